"""PgBouncer's server and users are made from the URLs of the programs."""

import stat

import pytest
from pydantic import ValidationError

from taskbell.store.pooler import POOLED, PoolerSettings, configuration, write

pytestmark = pytest.mark.feature("M41")


def urls(*, server="db.example:5433", database="taskbell", query="", **others):
    """A URL of each role, as the variable has them."""
    made = {role: f"postgresql://{role}:secret-of-{role}@{server}/{database}{query}" for role in POOLED}
    return ",".join({**made, **others}.values())


def test_server_users_and_tls_come_from_the_urls(tmp_path):
    """One server and database, each role with its password, TLS as the URLs say; nobody else reads it."""
    strange = "postgresql://taskbell_api:a%22b%2Cc@db.example:5433/taskbell?sslmode=require"
    given = urls(query="?sslmode=require", taskbell_api=strange)
    write(tmp_path, PoolerSettings(role_urls=given))
    server, users = tmp_path / "server.ini", tmp_path / "users.txt"
    assert server.read_text().splitlines() == [
        "server_tls_sslmode = require",
        *("[databases]", "taskbell = host=db.example port=5433 dbname=taskbell"),
    ]
    assert '"taskbell_api" "a""b,c"' in users.read_text().splitlines()
    assert '"taskbell_sweeper" "secret-of-taskbell_sweeper"' in users.read_text().splitlines()
    assert {stat.S_IMODE(path.stat().st_mode) for path in (server, users)} == {0o600}


def test_a_ca_is_named_to_pgbouncer():
    """`sslrootcert` of the URLs is PgBouncer's file of CAs, and the port is PostgreSQL's own where none is named."""
    given = PoolerSettings(role_urls=urls(server="db", query="?sslmode=verify-full&sslrootcert=/certs/ca.crt"))
    text = configuration(given.role_urls)["server.ini"]
    assert "host=db port=5432" in text
    assert "server_tls_ca_file = /certs/ca.crt" in text


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (urls(taskbell_api="postgresql://taskbell_api:x@other.example:5433/taskbell"), "several servers"),
        (urls(taskbell_api="postgresql://taskbell_api:x@db.example:5433/other"), "several servers"),
        (urls(taskbell_api="postgresql://taskbell_api:x@db.example:5433/taskbell?sslmode=require"), "differ in TLS"),
        (urls(taskbell_api="postgresql://taskbell_relay:x@db.example:5433/taskbell"), "no other"),
        (urls(query="?target_session_attrs=read-write"), "does not understand target_session_attrs"),
        (urls(database="task%20bell"), "plain names"),
        (urls(server="db%0Ahost:5433"), "plain names"),
        ("taskbell", "begin with postgresql://"),
    ],
)
def test_what_pgbouncer_cannot_do_is_refused(given, words):
    """Each fault is named, and no password is told."""
    with pytest.raises(ValidationError, match=words) as refused:
        PoolerSettings(role_urls=given)
    assert "secret-of" not in str(refused.value)
