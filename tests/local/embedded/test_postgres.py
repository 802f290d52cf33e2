import subprocess
from functools import partial

import asyncpg
import pytest

from taskbell.local import db
from taskbell.local.embedded.postgres import PostgresReplica, PostgresServer
from taskbell.local.embedded.process import ServerNotStarted
from taskbell.testing.waiting import eventually


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A prepared server with an awkward password that no test leaves running."""
    server = PostgresServer(tmp_path_factory.mktemp("pg") / "data", password="it's a \\ 'p@ss: /?#", durable=False)
    server.prepare()
    return server


def _log(server):
    return server.data_dir.parent / "postgres.log"


async def test_data_survives_a_restart(stopped):
    """A server started again on its folder still holds what was committed."""
    with stopped.running(_log(stopped)):
        async with db.connected(stopped.url()) as connection:
            await connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    with stopped.running(_log(stopped)):
        async with db.connected(stopped.url()) as connection:
            assert await connection.fetchval("SELECT number FROM kept") == 7


def test_it_starts_after_everything_was_killed(stopped):
    """A lock file left by SIGKILL, even one that names a living foreign process, does not prevent a start."""
    with stopped.running(_log(stopped)):
        lock = (stopped.data_dir / "postmaster.pid").read_text().splitlines()
        subprocess.run(["kill", "-9", lock[0]], check=True)
    with subprocess.Popen(["sleep", "60"]) as stranger:
        (stopped.data_dir / "postmaster.pid").write_text("\n".join([str(stranger.pid), *lock[1:]]) + "\n")
        with stopped.running(_log(stopped)):
            assert stopped.accepts_connections()
        stranger.kill()


def test_two_servers_never_share_a_folder(stopped, monkeypatch):
    """A second server on the folder of a running one is refused with the process id of the first."""
    monkeypatch.setattr("taskbell.local.embedded.postgres.ORPHAN_PATIENCE", 0.2)
    with stopped.running(_log(stopped)), pytest.raises(ServerNotStarted, match=r"another PostgreSQL \(process \d+\)"):
        PostgresServer(stopped.data_dir, password=stopped.password).prepare()


async def test_a_replica_streams_what_the_primary_commits(stopped, tmp_path):
    """A row written on the primary is soon read on the replica, also after a restart of both; writes are refused."""
    for number in range(2):
        with stopped.running(_log(stopped)):
            replica = PostgresReplica(tmp_path / "replica", primary=stopped)
            with replica.running(tmp_path / "replica.log"):
                async with db.connected(stopped.url()) as connection:
                    await connection.execute(f"CREATE TABLE streamed_{number} ()")
                async with db.connected(replica.url()) as connection:
                    seen = partial(connection.fetchval, "SELECT to_regclass($1)", f"streamed_{number}")
                    await eventually(seen, "the table on the replica")
                    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
                        await connection.execute("CREATE TABLE refused ()")


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [("PG_VERSION", "15\n", "made by PostgreSQL '15'"), ("other.txt", "x", "PG_VERSION cannot be read")],
)
def test_a_foreign_folder_is_refused_and_left_alone(tmp_path, file, text, told):
    """A folder of another version, or of something else, is one clear line; nothing in it changes."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / file).write_text(text)
    with pytest.raises(ServerNotStarted, match=told):
        PostgresServer(folder, password="x").prepare()
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [(file, text)]


def test_a_server_that_cannot_start_names_its_log(tmp_path):
    """A damaged folder ends in one line that says where the log is."""
    server = PostgresServer(tmp_path / "data", password="x", durable=False)
    server.prepare()
    (server.data_dir / "global" / "pg_control").unlink()
    with (
        pytest.raises(ServerNotStarted, match=r"did not start: .*pg_control.*postgres\.log"),
        server.running(_log(server)),
    ):
        pass


def test_stopping_is_a_fast_shutdown(stopped):
    """The signal that stops a server lets it write a checkpoint."""
    with stopped.running(_log(stopped)):
        pass
    assert "database system is shut down" in _log(stopped).read_text().splitlines()[-1]


async def test_folders_may_have_any_name(tmp_path):
    """Letters beyond ASCII, quotes, spaces and signs, in the primary's path and in the replica's."""
    folder = tmp_path / "ünï 'x' %"
    primary = PostgresServer(folder / "primary", password="ü'\\:", durable=False)
    replica = PostgresReplica(folder / "replica", primary=primary)
    with primary.running(tmp_path / "primary.log"), replica.running(tmp_path / "replica.log"):
        async with db.connected(primary.url()) as connection:
            streaming = partial(connection.fetchval, "SELECT count(*) FROM pg_stat_replication")
            await eventually(streaming, "the replica")


def test_a_damaged_replica_is_set_aside_and_copied_again(tmp_path):
    """What cannot start is renamed, never deleted, and the primary is copied once more, slot and all."""
    primary = PostgresServer(tmp_path / "primary", password="p", durable=False)
    replica, log = PostgresReplica(tmp_path / "replica", primary=primary), tmp_path / "replica.log"
    assert replica.set_damaged_aside() is None
    with primary.running(tmp_path / "primary.log"):
        with replica.running(log):
            pass
        (replica.data_dir / "global" / "pg_control").unlink()
        log.write_text("FATAL: of yesterday\n")
        with pytest.raises(ServerNotStarted, match="pg_control"), replica.running(log):
            pass
        told = replica.set_damaged_aside()
        (aside,) = tmp_path.glob("replica.damaged-*")
        assert told == f"the damaged copy was set aside as {aside}; the primary is copied again"
        with replica.running(log):
            pass
