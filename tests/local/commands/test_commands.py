import asyncio
import json
import os
import re
import socket
import subprocess
import sys

import pytest

from taskbell.kit.jwt import parse_keys
from taskbell.local import cli, credentials, db
from taskbell.local.data_dir import DataDir
from taskbell.store import revisions


@pytest.fixture
def taskbell(tmp_path):
    """Run `taskbell` in an empty folder with the given variables alone."""

    def run(*arguments, **variables):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TASKBELL_")}
        given = {"TASKBELL_DATA_DIR": str(tmp_path / "data"), **variables}
        command = [sys.executable, "-m", "taskbell.local", *arguments]
        return subprocess.run(
            command, env={**kept, **given}, cwd=tmp_path, text=True, capture_output=True, timeout=60, check=False
        )

    return run


def assert_refused(done, *, status, pattern):
    """One line on standard error, nothing else, and the status."""
    assert done.returncode == status
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert re.search(pattern, done.stderr), done.stderr


@pytest.mark.parametrize(
    ("variable", "value", "pattern"),
    [
        ("TASKBELL_API_PROT", "1", "TASKBELL_API_PROT is not a setting.*TASKBELL_API_PORT"),
        ("TASKBELL_API_PORT", "http", "TASKBELL_API_PORT: .*integer"),
        ("TASKBELL_API_PORT", "65536", "TASKBELL_API_PORT: .*65535"),
        ("TASKBELL_API_WORKERS", "0", "TASKBELL_API_WORKERS: .*1"),
    ],
)
def test_wrong_settings_are_one_line(taskbell, variable, value, pattern):
    """A wrong or unknown variable is named, with status 2, and nothing is started."""
    assert_refused(taskbell("up", **{variable: value}), status=2, pattern=pattern)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--help"], "TASKBELL_DATA_DIR"),
        (["--version"], "taskbell 0."),
        (["up", "--help"], "TASKBELL_API_PORT"),
        (["remind", "--help"], "--kind"),
        (["relay", "--help"], "--port"),
    ],
)
def test_help_tells_what_can_be_given(taskbell, arguments, told):
    """The version, the variables of `up`, and the options of commands that are passed on, without a platform."""
    done = taskbell(*arguments, COLUMNS="100")
    assert (done.returncode, done.stderr) == (0, "")
    assert told in done.stdout


@pytest.mark.parametrize("variable", ["TASKBELL_API_PORT", "TASKBELL_GATEWAY_PORT"])
def test_a_port_in_use_is_one_line(taskbell, variable):
    """The line names the port and the variable that sets it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = {"TASKBELL_API_PORT": "0", "TASKBELL_GATEWAY_PORT": "0", variable: str(port)}
        assert_refused(taskbell("up", **ports), status=2, pattern=rf"port {port} is in use.*{variable}")


def test_a_second_up_names_the_first(taskbell, tmp_path):
    """One data directory serves one platform."""
    with DataDir(tmp_path / "data").locked():
        assert_refused(taskbell("up"), status=1, pattern=rf"process {os.getpid()}\) already runs")


@pytest.mark.parametrize(
    ("file", "text", "pattern"),
    [
        ("postgres/PG_VERSION", "15", "made by PostgreSQL '15'"),
        ("postgres/something", "", "PG_VERSION cannot be read"),
        ("secrets.json", "{", "secrets.json is damaged"),
    ],
)
def test_a_damaged_data_directory_is_one_line(taskbell, tmp_path, file, text, pattern):
    """Errors are reported and nothing is deleted; `doctor` reports the same."""
    data = DataDir(tmp_path / "data")
    data.logs.mkdir(parents=True)
    if not file.startswith("secrets"):
        credentials.save(data, credentials.generate())
        data.postgres.mkdir()
    (data.root / file).write_text(text)
    ports = {"TASKBELL_API_PORT": "0", "TASKBELL_GATEWAY_PORT": "0"}
    assert_refused(taskbell("up", **ports), status=1, pattern=pattern)
    assert (data.root / file).read_text() == text
    told = taskbell("doctor", "--json", **ports)
    failed = [finding for finding in json.loads(told.stdout) if finding["severity"] == "fail"]
    assert told.returncode == 1
    assert [finding["name"] for finding in failed] == ["data directory"]
    assert re.search(pattern, failed[0]["detail"])
    assert failed[0]["remedy"]


def test_doctor_finds_nothing_wrong_before_the_first_start(taskbell, tmp_path):
    """A fresh installation is well, `doctor` says that nothing runs yet, and makes nothing."""
    told = taskbell("doctor", TASKBELL_API_PORT="0", TASKBELL_GATEWAY_PORT="0")
    assert told.returncode == 0, told.stdout
    assert "no `taskbell up` runs" in told.stdout
    assert list(tmp_path.iterdir()) == []


def test_doctor_names_a_taken_port_and_an_unknown_variable(taskbell):
    """Each finding has a remedy, and the status says that something fails."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        told = taskbell("doctor", TASKBELL_API_PORT=port, TASKBELL_GATEWAY_PORT="0", TASKBELL_UNHEARD="1")
    assert told.returncode == 1
    assert f"port {port} is in use" in told.stdout
    assert "TASKBELL_UNHEARD is not a setting" in told.stdout


def test_keys_rotate_keeps_the_old_ones(taskbell, tmp_path):
    """The new key signs, the old one still verifies; without data there is nothing to rotate."""
    assert_refused(taskbell("keys", "rotate"), status=1, pattern="secrets.json cannot be read")
    data = DataDir(tmp_path / "data")
    data.logs.mkdir(parents=True)
    before = credentials.load_or_generate(data)
    assert taskbell("keys", "rotate").returncode == 0
    after = credentials.load(data)
    old, new = (parse_keys(found.signing_keys).keys for found in (before, after))
    assert [key.kid for key in new[1:]] == [key.kid for key in old]
    assert new[0].kid != old[0].kid
    assert after.model_copy(update={"signing_keys": ""}) == before.model_copy(update={"signing_keys": ""})


def test_keys_new_prints_a_set(taskbell):
    """What is printed can be given as TASKBELL_SIGNING_KEYS."""
    assert len(parse_keys(taskbell("keys", "new").stdout).keys) == 1


def test_openapi_needs_no_server(taskbell):
    """The description of the interface is printed without any setting."""
    assert json.loads(taskbell("openapi").stdout)["openapi"].startswith("3.")


async def test_migrate_brings_an_empty_database_to_head(taskbell, empty_database):
    """From empty to head, and again without effect; without an address it is one line."""
    for _ in range(2):
        done = await asyncio.to_thread(taskbell, "migrate", TASKBELL_DATABASE_URL=empty_database.owner_url)
        assert done.returncode == 0, done.stderr
    async with db.connected(empty_database.owner_url) as connection:
        assert await connection.fetchval("SELECT version_num FROM alembic_version") == revisions.head()
    assert_refused(await asyncio.to_thread(taskbell, "migrate"), status=2, pattern="TASKBELL_DATABASE_URL: .*required")


@pytest.mark.parametrize(
    ("arguments", "status", "pattern"),
    [
        (["listen", "--url", "nonsense", "--token", "x"], 2, "--url: not an address like wss?://.*: nonsense"),
        (["listen", "--url", "ftp://example.com", "--token", "x"], 2, "--url: not an address.*ftp"),
        (
            ["listen", "--url", "ws://x", "--api-url", "x", "--email", "a@b.c", "--password", "x"],
            2,
            "--api-url: not an address like https?://",
        ),
        (
            ["listen", "--url", "ws://127.0.0.1:1", "--token", "x", "--cursor", "zzz"],
            2,
            "--cursor: not an event cursor",
        ),
    ],
)
def test_what_listen_cannot_use_is_one_line(taskbell, arguments, status, pattern):
    """A wrong address or cursor is reported at once, not after the first attempt to use it."""
    assert_refused(taskbell(*arguments), status=status, pattern=pattern)


@pytest.mark.parametrize(
    ("url", "pattern"),
    [
        ("nonsense", "TASKBELL_DATABASE_URL: .*DSN"),
        ("postgresql://127.0.0.1:1/x", "TASKBELL_DATABASE_URL: .*(refused|failed)"),
    ],
)
def test_a_database_that_cannot_be_migrated_is_one_line(taskbell, url, pattern):
    """`migrate` says what keeps it from the database, without a traceback."""
    assert_refused(taskbell("migrate", TASKBELL_DATABASE_URL=url), status=1, pattern=pattern)


@pytest.mark.parametrize("command", [["replay", "--from", "P1D"], ["deadletters", "list"]])
def test_a_database_that_is_away_is_named(taskbell, command):
    """The line names what could not be reached."""
    away = {"TASKBELL_DATABASE_URL": "postgresql://127.0.0.1:1/x", "TASKBELL_NATS_URL": "nats://127.0.0.1:1"}
    assert_refused(taskbell(*command, **away), status=1, pattern="PostgreSQL does not answer: ConnectionRefusedError")


def test_an_empty_data_directory_variable_is_as_good_as_none(taskbell, tmp_path):
    """An empty TASKBELL_DATA_DIR, as scripts leave one, never makes the working directory the data directory."""
    told = taskbell("doctor", "--json", TASKBELL_DATA_DIR="", TASKBELL_API_PORT="0", TASKBELL_GATEWAY_PORT="0")
    details = {finding["name"]: finding["detail"] for finding in json.loads(told.stdout)}
    assert details["data directory"].startswith(str(tmp_path / ".taskbell"))


def test_one_port_for_two_is_one_line(taskbell):
    """The line names both variables: nobody else has taken the port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
    done = taskbell("up", TASKBELL_API_PORT=port, TASKBELL_GATEWAY_PORT=port)
    assert_refused(done, status=2, pattern="TASKBELL_API_PORT and TASKBELL_GATEWAY_PORT")


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_list_of_commands_tells_what_each_says_of_itself(name):
    """Help lists commands without importing them; the line is how the command's own help begins."""
    said = cli.loaded(name).help
    assert " ".join(said.split()).startswith(cli.COMMANDS[name].summary.removesuffix("."))
