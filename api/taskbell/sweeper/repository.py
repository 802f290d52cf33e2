"""The sweeps' SQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg

from taskbell.store import partitions
from taskbell.store.queries import load
from taskbell.sweeper.errors import BatchTooSlow, SweepInterrupted
from taskbell.sweeper.policy import Shard

_FIRE = load(__package__, "fire_due")
_NEXT = load(__package__, "select_next")
_SECONDS = 40.0
"""Longer than the role's statement_timeout (30 s): the server cuts a batch off, and the session can be used on."""
_FAILURES = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
_SWEEP_SESSION = {"application_name": "taskbell-sweeper"}
"""Nothing else: PgBouncer refuses what it does not know. The role has the rest (`taskbell.store.roles`)."""
_UPKEEP_SESSION = {"application_name": "taskbell-maintenance", "lock_timeout": "5s", "statement_timeout": "300s"}
"""Dropping a partition locks its table for a moment: rather try again in an hour than hold up requests."""
_OUTLIVED = {
    "sessions": "SELECT ctid FROM sessions WHERE expires_at < now() - interval '7 days'",
    "login_attempts": "SELECT ctid FROM login_attempts WHERE window_started_at < now() - interval '1 day'"
    " AND (blocked_until IS NULL OR blocked_until < now())",
    "deleted_tasks": "SELECT ctid FROM deleted_tasks WHERE deleted_at < now() - interval '7 days'",
    # A lead may be longer than that: until the task was due, whoever reopens it plans the same reminder once more.
    "job_log": "SELECT ctid FROM job_log WHERE finished_at < now() - interval '30 days'"
    " AND CASE WHEN job_id LIKE 'due_soon:%' THEN to_timestamp(split_part(job_id, ':', 3)::float8) < now()"
    " ELSE true END",
}
_DELETED_AT_ONCE = 5000
OUTLIVED_TABLES = tuple(_OUTLIVED)
"""Tables whose old rows maintenance deletes: sessions (with their refresh tokens), throttles, tombstones, job log."""


@dataclass(frozen=True, slots=True)
class Fired:
    """What became of one reminder.

    Attributes:
        lateness: Seconds from when it had to fire.
        outcome: `fired`, `repeated` or `void`.
        told: How many people were notified.
    """

    lateness: float
    outcome: str
    told: int


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except _FAILURES as lost:
        raise SweepInterrupted(f"{type(lost).__name__}: {lost}") from lost


@asynccontextmanager
async def _connected(url: str, session: Mapping[str, str], *, seconds: float) -> AsyncIterator[asyncpg.Connection]:
    with _translated():
        connection = await asyncpg.connect(url, timeout=10, command_timeout=seconds, server_settings=dict(session))
    try:
        yield connection
    finally:
        connection.terminate()  # every statement commits by itself: there is nothing to say goodbye for


@asynccontextmanager
async def sweeping(url: str) -> AsyncIterator[Reminders]:
    """Connect as the sweeper. Raises `SweepInterrupted` when PostgreSQL is away."""
    async with _connected(url, _SWEEP_SESSION, seconds=_SECONDS) as connection:
        yield Reminders(connection)


class Reminders:
    """The reminders of all workspaces. Every call raises `SweepInterrupted` when PostgreSQL is away."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        """Take a connection; the caller closes it."""
        self._connection = connection

    async def fire(self, *, shard: Shard, at_most: int) -> list[Fired]:
        """Fire what is due and nobody else is firing, the longest due first. One transaction, one round trip.

        Raises:
            BatchTooSlow: The database cut it off, so that nothing of it was fired; the session can be used on.
        """
        with _translated():
            try:
                rows = await self._connection.fetch(_FIRE, at_most, shard.number, shard.count)
            except asyncpg.QueryCanceledError as cut_off:
                raise BatchTooSlow(f"{at_most} reminders took too long") from cut_off
        return [Fired(*row) for row in rows]

    async def next_in(self, *, shard: Shard) -> float | None:
        """Seconds until the next reminder, None when there is none. One round trip."""
        with _translated():
            seconds: float | None = await self._connection.fetchval(_NEXT, shard.number, shard.count)
        return seconds


@asynccontextmanager
async def upkeeping(url: str) -> AsyncIterator[Upkeep]:
    """Connect as the schema's owner. Raises `SweepInterrupted` when PostgreSQL is away."""
    async with _connected(url, _UPKEEP_SESSION, seconds=310.0) as connection:
        yield Upkeep(connection)


class Upkeep:
    """What keeps the database small. Every call raises `SweepInterrupted` when it fails."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        """Take a connection; the caller closes it."""
        self._connection = connection

    async def now(self) -> datetime:
        """The database's time."""
        with _translated():
            found: datetime = await self._connection.fetchval("SELECT now()")
        return found

    async def make_partitions(self, settings: partitions.MaintenanceSettings, *, now: datetime) -> partitions.Report:
        """Make the partitions that will be needed, and count the rows that have none."""
        with _translated():
            return await partitions.maintain(self._connection, settings=settings, now=now)

    async def drop_expired(self, retention: Mapping[str, timedelta], *, now: datetime) -> list[str]:
        """Drop the partitions that are older than their table's retention; returns their names."""
        with _translated():
            return await partitions.drop_expired(self._connection, retention=retention, now=now)

    async def delete_outlived(self, table: str) -> int:
        """Delete what a table keeps no longer, some thousand rows in a transaction; returns how many."""
        statement = f"DELETE FROM {table} WHERE ctid = ANY (ARRAY({_OUTLIVED[table]} LIMIT {_DELETED_AT_ONCE}))"  # noqa: S608 -- own names
        deleted = 0
        while True:
            with _translated():
                count = int((await self._connection.execute(statement)).rpartition(" ")[2])
            deleted += count
            if count < _DELETED_AT_ONCE:
                return deleted
