"""A PostgreSQL of its own with a streaming replica: to pause, to kill and to lag, which no other test may notice."""

import asyncio
import contextlib
import dataclasses
import os
import secrets
import shutil
import signal
import tempfile
from pathlib import Path

import asyncpg
import psutil
import pytest

from taskbell.local import db
from taskbell.local.embedded.postgres import PostgresReplica, PostgresServer
from taskbell.store import migrate, roles
from taskbell.testing.waiting import eventually

_ROOM = 4 * 2**30


@dataclasses.dataclass(frozen=True, kw_only=True)
class Replicated:
    """A migrated database on a primary and its replica. URLs are of the API's role unless another one is named."""

    primary: PostgresServer
    replica: PostgresReplica
    folder: Path
    secret: str

    def primary_url(self, role=roles.API):
        """URL of the primary."""
        return self.primary.url(role, self.secret, db.DATABASE)

    def replica_url(self, role=roles.API):
        """URL of the replica."""
        return self.replica.url(role, self.secret, db.DATABASE)

    @contextlib.asynccontextmanager
    async def administering(self, server):
        """A connection to a server as superuser."""
        connection = await asyncpg.connect(server.url(database=db.DATABASE), timeout=10)
        try:
            yield connection
        finally:
            await connection.close(timeout=5)

    @contextlib.asynccontextmanager
    async def paused(self):
        """The replica replays nothing while the block lasts."""
        async with self.administering(self.replica) as connection:
            await connection.execute("SELECT pg_wal_replay_pause()")
            await eventually(lambda: _is_paused(connection), "the pause")
            try:
                yield
            finally:
                await connection.execute("SELECT pg_wal_replay_resume()")

    def pid(self):
        """The process id of the replica."""
        return int((self.replica.data_dir / "postmaster.pid").read_text().split()[0])

    @contextlib.contextmanager
    def frozen(self):
        """The replica's processes stand still while the block lasts: connections stay open, and nothing answers."""
        main = psutil.Process(self.pid())
        processes = [main, *main.children(recursive=True)]
        for each in processes:
            each.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for each in processes:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.send_signal(signal.SIGCONT)


async def _is_paused(connection):
    return await connection.fetchval("SELECT pg_get_wal_replay_pause_state()") == "paused"


def _quick_folder():
    memory = Path("/dev/shm")
    has_room = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _ROOM
    return str(memory) if has_room else None


@pytest.fixture(scope="session")
def replicated(request):
    """A primary with a replica for this run of pytest. Each test leaves both running and the replay going on."""
    folder = Path(tempfile.mkdtemp(prefix="taskbell-tests-", dir=_quick_folder()))
    secret = secrets.token_hex(16)
    primary = PostgresServer(folder / "primary", password=secret, durable=False)
    replica = PostgresReplica(folder / "replica", primary=primary)
    try:
        with primary.running(folder / "primary.log"):
            asyncio.run(_migrate(primary, secret))
            with replica.running(folder / "replica.log"):
                yield Replicated(primary=primary, replica=replica, folder=folder, secret=secret)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _migrate(primary, secret):
    await db.ensure_roles(primary.url(), dict.fromkeys(roles.ROLES, secret))
    await db.ensure_database(primary.url())
    await migrate.upgrade_async(primary.url(roles.OWNER, secret, db.DATABASE))
    async with db.connected(primary.url()) as connection:
        # As in production. Otherwise the log is flushed, and sent to the replica, only now and then.
        await connection.execute(f"ALTER DATABASE {db.DATABASE} SET synchronous_commit = on")
