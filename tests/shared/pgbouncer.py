"""A fixture: a real PgBouncer for one test."""

import pytest

import poolers
from taskbell.local.embedded.process import free_port
from taskbell.store import roles


@pytest.fixture
def pgbouncer(servers, tmp_path_factory):
    """A pooler with three connections for each role: so statements of one client come to several sessions."""
    path, reason = poolers.program()
    if path is None:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("pgbouncer") / "run"
    for parent in (folder.parent, folder.parent.parent):
        parent.chmod(0o755)  # it runs as an ordinary user
    made = poolers.PgBouncer(
        path=path,
        folder=folder,
        port=free_port(),
        postgres_port=servers.postgres_port,
        passwords=dict.fromkeys(roles.ROLES, servers.secret),
        pool_size=3,
    )
    with made.running():
        yield made
