"""The relay's SQL. Every change of `relay_state` is conditional on the lease's term."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from taskbell.contract.events import EventRecord
from taskbell.relay.errors import DatabaseUnavailable, LeaseLost
from taskbell.relay.policy import Position
from taskbell.store.queries import load

_PACKAGE = "taskbell.relay"
_CONNECT_SECONDS = 5.0
_STATEMENT_SECONDS = 10.0
_REFUSALS = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a session that broke in the middle of an answer
)
_SESSION = {
    "application_name": "taskbell-relay",
    "plan_cache_mode": "force_generic_plan",
    # A plan made while a partition is still empty reads it as a whole, and lives on while it fills.
    "enable_seqscan": "off",
    # Every query here wants the order of an index; a bitmap would be sorted anew for each page.
    "enable_bitmapscan": "off",
}

_LATENESS_SESSION = {
    "application_name": "taskbell-relay-lateness",
    # A plan that was made while a table was empty lives on while it fills.
    "enable_seqscan": "off",
    "jit": "off",
}


@dataclass(frozen=True, slots=True)
class Term:
    """A time of holding the lease: the holder's name and its fencing token, which grows with every term."""

    holder: str
    number: int


@dataclass(frozen=True, slots=True)
class Saved:
    """A position as found in the database, with the database's clock and the replay that is asked for."""

    position: Position
    replay_from: datetime | None
    now: datetime


@dataclass(frozen=True, slots=True)
class Backlog:
    """What of the table is not yet carried: how much, the lowest id of it, and the snapshot that shows so."""

    events: int
    lowest_id: UUID | None
    snapshot: str


@asynccontextmanager
async def connected(url: str, *, session: Mapping[str, str] = _SESSION) -> AsyncIterator[asyncpg.Connection]:
    """Yield a session. Raises `DatabaseUnavailable` if there is none to be had."""
    with _translated():
        connection = await asyncpg.connect(url, timeout=_CONNECT_SECONDS, server_settings=dict(session))
    try:
        yield connection
    finally:
        await _close(connection)


async def _close(connection: asyncpg.Connection) -> None:
    try:
        await connection.close(timeout=1)
    except _REFUSALS:
        connection.terminate()


class Leases:
    """The lease row and the health of the database, on a session of its own: renewal never waits for events."""

    def __init__(self, connection: asyncpg.Connection, *, holder: str, ttl: float) -> None:
        """Take a session, this relay's unique name, and how long (seconds) a lease holds without renewal."""
        self._connection = connection
        self._holder = holder
        self._ttl = ttl
        self._one_at_a_time = asyncio.Lock()

    async def acquire(self) -> Term | None:
        """Begin a term, or None while another relay holds the lease."""
        number = await self._value("acquire_lease", self._holder, self._ttl)
        return None if number is None else Term(self._holder, number)

    async def renew(self, term: Term) -> bool:
        """Prolong a term; tells whether a replay is wanted.

        Raises:
            LeaseLost: Another term has begun.
        """
        wanted = await self._value("renew_lease", term.holder, term.number, self._ttl)
        if wanted is None:
            raise LeaseLost("the lease was not renewed in time")
        return bool(wanted)

    async def release(self, term: Term) -> None:
        """End a term at once, if it has not ended."""
        await self._value("release_lease", term.holder, term.number)

    async def check(self) -> None:
        """Health check: a round trip to the database."""
        async with self._one_at_a_time:
            with _translated():
                await self._connection.fetchval("SELECT 1", timeout=2)

    async def _value(self, query: str, *arguments: Any) -> Any:
        async with self._one_at_a_time:
            with _translated():
                return await self._connection.fetchval(load(_PACKAGE, query), *arguments, timeout=self._ttl)


class Events:
    """Event rows and the position, during one term, on a session of its own."""

    def __init__(self, connection: asyncpg.Connection, *, term: Term) -> None:
        """Take a session and the term in whose name the position is written."""
        self._connection = connection
        self._term = term

    async def position(self) -> Saved:
        """Where the relay stands.

        Raises:
            LeaseLost: The term is over.
        """
        row = await self._row("select_position", self._term.holder, self._term.number)
        if row is None:
            raise LeaseLost("the term is over")
        position = Position(
            epoch=row["epoch"],
            sequence=row["stream_sequence"],
            done=row["done"],
            window=row["window"],
            window_last_id=row["window_last_id"],
        )
        return Saved(position=position, replay_from=row["replay_from"], now=row["now"])

    async def save(self, position: Position, *, wait_for_disk: bool = False) -> None:
        """Write the position.

        Raises:
            LeaseLost: The term is over.
        """
        saved = await self._row(
            "save_position",
            self._term.holder,
            self._term.number,
            position.sequence,
            position.done,
            position.window,
            position.window_last_id,
            "on" if wait_for_disk else "off",
        )
        if saved is None:
            raise LeaseLost("the term is over")

    async def begin_epoch(self, epoch: int, *, after_id: UUID, window: str) -> Position:
        """Begin an epoch that holds every event visible in a snapshot after an id; returns the new position.

        The snapshot must be the one in which `after_id` was found to leave out nothing.

        Raises:
            LeaseLost: The term is over.
        """
        begun = await self._row("begin_epoch", self._term.holder, self._term.number, epoch, after_id, window)
        if begun is None:
            raise LeaseLost("the term is over")
        return Position(epoch=epoch, sequence=0, window=window, window_last_id=after_id)

    async def fresh(self, position: Position, *, limit: int) -> tuple[str, list[EventRecord]]:
        """Look once: the snapshot of the look and what it holds beyond `done`; more than `limit` rows are not all."""
        with _translated():
            rows = await self._connection.fetch(
                load(_PACKAGE, "select_fresh_events"), position.done_snapshot, limit + 1, timeout=_STATEMENT_SECONDS
            )
        return rows[0]["snapshot"], [_record(row) for row in rows if row["id"] is not None]

    async def page(self, position: Position, *, limit: int) -> list[EventRecord]:
        """The next events of the window being carried, in order; fewer than `limit` are its last."""
        with _translated():
            rows = await self._connection.fetch(
                load(_PACKAGE, "select_window_page"),
                position.done_snapshot,
                position.window,
                position.after_id,
                limit,
                timeout=30,
            )
        return [_record(row) for row in rows]

    async def backlog(self, position: Position) -> Backlog:
        """What is not yet carried. Reads an index entry for each event of it."""
        with _translated():
            async with self._connection.transaction(readonly=True):
                # After a long absence this may take longer than any other statement is allowed to.
                await self._connection.execute("SET LOCAL statement_timeout = 0")
                (row,) = await self._connection.fetch(
                    load(_PACKAGE, "measure_backlog"), position.done_snapshot, position.window, position.after_id
                )
        return Backlog(row["events"], row["lowest_id"], row["snapshot"])

    async def _row(self, query: str, *arguments: Any) -> asyncpg.Record | None:
        with _translated():
            return await self._connection.fetchrow(load(_PACKAGE, query), *arguments, timeout=_STATEMENT_SECONDS)


def _record(row: asyncpg.Record) -> EventRecord:
    return EventRecord(
        id=row["id"],
        workspace_id=row["workspace_id"],
        type=row["type"],
        subject_id=row["subject_id"],
        actor_id=row["actor_id"],
        audience=tuple(row["audience"]),
        traceparent=row["traceparent"],
        created_at=row["created_at"],
        data=row["data"],
    )


class _translated:  # noqa: N801 -- reads as a word in `with`; a generator-based one costs more on the hot path
    """Turns the driver's errors into `DatabaseUnavailable`."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, _REFUSALS):
            raise DatabaseUnavailable(f"{type(error).__name__}: {error}") from error


@dataclass(frozen=True, slots=True)
class ReplayProgress:
    """How far a replay has come.

    Attributes:
        epoch: The epoch at hand.
        published: Events of it in the stream.
        waiting: No relay has begun it yet.
        carrying: The relay is at it.
        last_id: The last event carried; it begins with its time.
        relay_active: Some relay holds the lease.
    """

    epoch: int
    published: int
    waiting: bool
    carrying: bool
    last_id: UUID | None
    relay_active: bool


class Replays:
    """Asking for replays, from outside the relay."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        """Take a session with the rights of the relay or of the owner."""
        self._connection = connection

    async def request(self, since: datetime) -> int:
        """Ask for a replay from an instant; returns the epoch that it will end."""
        with _translated():
            epoch = await self._connection.fetchval(load(_PACKAGE, "request_replay"), since)
        return int(epoch)

    async def progress(self) -> ReplayProgress:
        """How far the replay has come."""
        with _translated():
            (row,) = await self._connection.fetch(load(_PACKAGE, "select_replay_progress"))
        return ReplayProgress(
            epoch=row["epoch"],
            published=row["stream_sequence"],
            waiting=row["waiting"],
            carrying=row["carrying"],
            last_id=row["window_last_id"],
            relay_active=bool(row["relay_active"]),
        )


@dataclass(frozen=True, slots=True)
class Overdue:
    """What is due and has not fired: how many reminders, counted up to a bound, and the oldest one's age in seconds."""

    reminders: int
    oldest: float


@dataclass(frozen=True, slots=True)
class FiredBucket:
    """Reminders that fired about as late: a place among the bounds asked for, how many, and their seconds together."""

    place: int
    reminders: int
    seconds: float


@asynccontextmanager
async def watching(url: str) -> AsyncIterator[Punctuality]:
    """Connect as the relay. Raises `DatabaseUnavailable` when PostgreSQL is away."""
    async with connected(url, session=_LATENESS_SESSION) as connection:
        yield Punctuality(connection)


class Punctuality:
    """How late reminders are, by the database's clock.

    Every call raises `DatabaseUnavailable` when PostgreSQL is away.
    """

    def __init__(self, connection: asyncpg.Connection) -> None:
        """Take a connection; the caller closes it. Nothing that fired before is counted."""
        self._connection = connection
        self._seen: str | None = None

    async def overdue(self, *, at_most: int) -> Overdue:
        """What is due now and has not fired. One round trip."""
        with _translated():
            (row,) = await self._connection.fetch(
                load(_PACKAGE, "measure_overdue"), at_most, timeout=_STATEMENT_SECONDS
            )
        return Overdue(*row)

    async def fired(self, *, bounds: Sequence[float]) -> list[FiredBucket]:
        """What has fired since the call before, each reminder once; nothing at the first call. One round trip."""
        with _translated():
            rows = await self._connection.fetch(
                load(_PACKAGE, "measure_fired"), self._seen, bounds, timeout=_STATEMENT_SECONDS
            )
        self._seen = rows[0]["snapshot"]
        return [FiredBucket(place, reminders, seconds) for _, place, reminders, seconds in rows if place is not None]
