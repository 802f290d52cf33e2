"""The relay's SQL. Every change of `relay_state` is conditional on the lease's term."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Any
from uuid import UUID

import asyncpg

from taskbell.contract.events import EventRecord
from taskbell.kit.postgres.connection import Session, open_session
from taskbell.kit.postgres.statements import load
from taskbell.relay.errors import AWAY, LeaseLost
from taskbell.relay.policy import Position

_ACQUIRE_LEASE = load(__package__, "acquire_lease")
_BEGIN_EPOCH = load(__package__, "begin_epoch")
_LIFT_TIME_LIMIT = load(__package__, "lift_time_limit")
_MEASURE_BACKLOG = load(__package__, "measure_backlog")
_PING = load(__package__, "ping")
_RELEASE_LEASE = load(__package__, "release_lease")
_RENEW_LEASE = load(__package__, "renew_lease")
_REQUEST_REPLAY = load(__package__, "request_replay")
_SAVE_POSITION = load(__package__, "save_position")
_SELECT_FRESH_EVENTS = load(__package__, "select_fresh_events")
_SELECT_POSITION = load(__package__, "select_position")
_SELECT_REPLAY_PROGRESS = load(__package__, "select_replay_progress")
_SELECT_WINDOW_PAGE = load(__package__, "select_window_page")
_STATEMENT_SECONDS = 10.0
_PAGE_SECONDS = 30.0
_PING_SECONDS = 2.0
_SETTINGS = {
    "application_name": "taskbell-relay",
    "plan_cache_mode": "force_generic_plan",
    # A plan made while a partition is still empty reads it completely, and is kept while it fills.
    "enable_seqscan": "off",
    # Every query here wants the order of an index; a bitmap would be sorted again for each page.
    "enable_bitmapscan": "off",
}


@dataclass(frozen=True, slots=True)
class Term:
    """One time of holding the lease.

    Attributes:
        holder: The relay's name.
        number: The fencing number, which grows with every term.
    """

    holder: str
    number: int


@dataclass(frozen=True, slots=True)
class Saved:
    """The saved position.

    Attributes:
        position: As the database holds it.
        replay_from: The replay that is asked for.
        now: The database's clock.
    """

    position: Position
    replay_from: datetime | None
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Events in their order, within the bounds that were asked for: at least one, if there is any.

    Attributes:
        events: They.
        is_all: Whether no more are waiting.
    """

    events: Sequence[EventRecord]
    is_all: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Look(Page):
    """What one look found.

    Attributes:
        snapshot: The snapshot of the look.
    """

    snapshot: str


@dataclass(frozen=True, slots=True)
class Backlog:
    """Events that are not carried yet.

    Attributes:
        events: How many.
        lowest_id: The lowest id of them, None when there are none.
        snapshot: The snapshot that they were counted in.
    """

    events: int
    lowest_id: UUID | None
    snapshot: str


def connected(url: str) -> AbstractAsyncContextManager[Session]:
    """Connect as the relay for the length of the block. Raises `DatabaseUnavailable`, also where a pooler answers."""
    return open_session(url, away=AWAY, settings=_SETTINGS, direct=True)


class Leases:
    """The lease row and the health of the database, on a session of its own: renewal never waits for events."""

    def __init__(self, session: Session, *, holder: str, ttl: float) -> None:
        """Take a session, this relay's unique name, and how long (seconds) a lease lasts without renewal."""
        self._session = session
        self._holder = holder
        self._ttl = ttl
        self._one_at_a_time = asyncio.Lock()

    async def acquire(self) -> Term | None:
        """Begin a term. Returns None while another relay holds the lease."""
        async with self._one_at_a_time:
            number = await _ACQUIRE_LEASE.value(self._session, within=self._ttl, holder=self._holder, ttl=self._ttl)
        return None if number is None else Term(self._holder, number)

    async def renew(self, term: Term) -> bool:
        """Prolong a term. Returns whether a replay is wanted.

        Raises:
            LeaseLost: Another term has begun.
        """
        async with self._one_at_a_time:
            wanted = await _RENEW_LEASE.value(
                self._session, within=self._ttl, holder=term.holder, term=term.number, ttl=self._ttl
            )
        if wanted is None:
            raise LeaseLost("the lease was not renewed in time")
        return bool(wanted)

    async def release(self, term: Term) -> None:
        """End a term at once, if it has not ended."""
        async with self._one_at_a_time:
            await _RELEASE_LEASE.count(self._session, within=self._ttl, holder=term.holder, term=term.number)

    async def check(self) -> None:
        """Health check: a round trip to the database."""
        async with self._one_at_a_time:
            await _PING.value(self._session, within=_PING_SECONDS)


class Events:
    """Event rows and the position, during one term, on a session of its own."""

    def __init__(self, session: Session, *, term: Term) -> None:
        """Take a session and the term in whose name the position is written."""
        self._session = session
        self._term = term

    @property
    def term(self) -> int:
        """The number of the term."""
        return self._term.number

    async def position(self) -> Saved:
        """Read how far the stream has come.

        Raises:
            LeaseLost: The term is over.
        """
        row = await _SELECT_POSITION.row(
            self._session, within=_STATEMENT_SECONDS, holder=self._term.holder, term=self._term.number
        )
        if row is None:
            raise LeaseLost("the term is over")
        position = Position(
            epoch=row["epoch"],
            sequence=row["stream_sequence"],
            done=row["done"],
            window=row["window"],
            window_last_id=row["window_last_id"],
            server=row["stream_server"],
        )
        return Saved(position=position, replay_from=row["replay_from"], now=row["now"])

    async def save(self, position: Position, *, wait_for_disk: bool = False) -> None:
        """Write the position.

        Raises:
            LeaseLost: The term is over.
        """
        saved = await _SAVE_POSITION.count(
            self._session,
            within=_STATEMENT_SECONDS,
            holder=self._term.holder,
            term=self._term.number,
            sequence=position.sequence,
            done=position.done,
            window=position.window,
            window_last_id=position.window_last_id,
            server=position.server,
            wait_for_disk="on" if wait_for_disk else "off",
        )
        if not saved:
            raise LeaseLost("the term is over")

    async def begin_epoch(self, epoch: int, *, after_id: UUID, window: str) -> Position:
        """Begin an epoch that holds every event visible in a snapshot after an id. Returns the new position.

        The snapshot must be the one in which `after_id` was found to leave out nothing.

        Raises:
            LeaseLost: The term is over.
        """
        begun = await _BEGIN_EPOCH.count(
            self._session,
            within=_STATEMENT_SECONDS,
            holder=self._term.holder,
            term=self._term.number,
            epoch=epoch,
            after_id=after_id,
            window=window,
        )
        if not begun:
            raise LeaseLost("the term is over")
        return Position(epoch=epoch, sequence=0, window=window, window_last_id=after_id)

    async def fresh(self, position: Position, *, limit: int, limit_bytes: int) -> Look:
        """Look once for events beyond `done`."""
        rows = await _SELECT_FRESH_EVENTS.rows(
            self._session,
            within=_STATEMENT_SECONDS,
            done=position.done_snapshot,
            at_most=limit + 1,
            at_most_bytes=limit_bytes,
        )
        found = _records([row for row in rows if row["id"] is not None], limit=limit)
        return Look(snapshot=rows[0]["snapshot"], **found)

    async def page(self, position: Position, *, limit: int, limit_bytes: int) -> Page:
        """The next events of the window being carried, in order."""
        rows = await _SELECT_WINDOW_PAGE.rows(
            self._session,
            within=_PAGE_SECONDS,
            done=position.done_snapshot,
            window=position.window,
            after_id=position.after_id,
            at_most=limit + 1,
            at_most_bytes=limit_bytes,
        )
        return Page(**_records(rows, limit=limit))

    async def backlog(self, position: Position) -> Backlog:
        """Count what is not carried yet. Reads an index entry for each event of it."""
        async with self._session.connection() as connection, connection.transaction(readonly=True):
            # After a long absence this may take longer than any other statement is allowed to.
            await _LIFT_TIME_LIMIT.value(connection)
            (row,) = await _MEASURE_BACKLOG.rows(
                connection, done=position.done_snapshot, window=position.window, after_id=position.after_id
            )
        return Backlog(row["events"], row["lowest_id"], row["snapshot"])


def _records(rows: Sequence[asyncpg.Record], *, limit: int) -> dict[str, Any]:
    """The events that are within the bounds, and whether these are all."""
    within = [_record(row) for row in takewhile(lambda row: row["data"] is not None, rows[:limit])]
    return {"events": within, "is_all": len(within) == len(rows)}


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
    """Asks for replays, from outside the relay. Every call raises `DatabaseUnavailable` when PostgreSQL is away."""

    def __init__(self, session: Session) -> None:
        """Take a session with the rights of the relay or of the owner."""
        self._session = session

    async def request(self, since: datetime) -> int:
        """Ask for a replay from an instant. Returns the epoch that it ends."""
        return int(await _REQUEST_REPLAY.value(self._session, since=since))

    async def progress(self) -> ReplayProgress:
        """Read how far the replay has come."""
        (row,) = await _SELECT_REPLAY_PROGRESS.rows(self._session)
        return ReplayProgress(
            epoch=row["epoch"],
            published=row["stream_sequence"],
            waiting=row["waiting"],
            carrying=row["carrying"],
            last_id=row["window_last_id"],
            relay_active=bool(row["relay_active"]),
        )
