"""The ledger of deliveries in PostgreSQL, under role `taskbell_delivery`.

PostgreSQL's clock alone decides what is due. To claim a row is to move its `due_at` ahead: that is the lease. When its
worker dies, the row is due again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from taskbell.contract.events import EventRecord, envelope
from taskbell.delivery import metrics
from taskbell.delivery.alerts import Endpoint
from taskbell.delivery.policy import Decision, Outcome
from taskbell.delivery.shares import Queue, QueueKey
from taskbell.kit.ids import lowest_id
from taskbell.kit.postgres.connection import Session, open_session
from taskbell.kit.postgres.errors import FAILED, translating
from taskbell.kit.postgres.pool import Pool, create_pool
from taskbell.kit.postgres.statements import load

_ADD_TO_EMAIL = load(__package__, "add_to_email")
_ADD_TO_WEBHOOKS = load(__package__, "add_to_webhooks")
_CHECK_LEDGER = load(__package__, "check_ledger")
_CLAIM_DUE = load(__package__, "claim_due")
_DISABLE_WEBHOOK = load(__package__, "disable_webhook")
_GET_DEAD = load(__package__, "get_dead")
_GIVE_BACK = load(__package__, "give_back")
_LIST_DEAD = load(__package__, "list_dead")
_MEASURE_BACKLOG = load(__package__, "measure_backlog")
_RECORD_ATTEMPT = load(__package__, "record_attempt")
_REVIVE_DEAD = load(__package__, "revive_dead")
_SELECT_OLDEST_DUE = load(__package__, "select_oldest_due")
_WALK_QUEUES = load(__package__, "walk_queues")
_SECONDS = 10.0
_MANY = 1_000_000
_ADDRESSES = frozenset({"webhook", "webpush", "slack", "teams"})
"""Channels whose endpoints are addresses that users chose: each has a queue of its own."""
_OF_THE_EVENT = frozenset({"subject_id", "actor_id", "event_traceparent", "event_time", "data"})
"""Columns that the document contains."""


class LedgerUnavailable(Exception):
    """PostgreSQL does not answer; nothing is known to have been changed."""


class LedgerRefused(Exception):
    """PostgreSQL answered that these values cannot be stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """An event as the ledger takes it. Only notifications have a `kind`, and an `audience` that matters."""

    id: UUID
    workspace_id: UUID
    type: str
    time: datetime
    payload: str
    traceparent: str | None
    kind: str | None
    audience: tuple[UUID, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A delivery that this worker may attempt until its lease ends.

    Attributes:
        id: The delivery's own id.
        event_id: The same in all attempts; receivers know the delivery by it.
        payload: The event's CloudEvents document; empty when the event is not kept any more.
        attempts: How many there were, with this one.
        remaining: Seconds until it is given up.
        age: Seconds since it was written.
        url: The webhook's URL; None when the webhook is deleted or switched off.
        secrets: The webhook's secrets, the newest first.
        email: The user's address; None when the user is gone or wants no e-mail.
        endpoint: Where an alert goes; None when it was removed, and for webhooks and e-mail.
        others: How many further notifications an alert speaks for.
    """

    id: UUID
    event_id: UUID
    channel: str
    endpoint_id: UUID
    workspace_id: UUID
    event_type: str
    payload: str
    traceparent: str | None
    attempts: int
    remaining: float
    age: float
    url: str | None
    secrets: tuple[str, ...]
    email: str | None
    endpoint: Endpoint | None = None
    others: int = 0

    @property
    def queue_key(self) -> QueueKey:
        """The queue that it waited in."""
        return self.channel, self.endpoint_id if self.channel in _ADDRESSES else self.workspace_id


class Ledger:
    """The ledger. Every call raises `LedgerUnavailable` when there is no answer within some seconds."""

    def __init__(self, pool: Pool, *, emails_per_hour: int) -> None:
        """Take a pool under role `taskbell_delivery`, and how many e-mails a user gets within an hour."""
        self._pool = pool
        self._emails_per_hour = emails_per_hour

    async def add(self, events: Sequence[Incoming], *, shared: Sequence[Incoming], retry_for: timedelta) -> int:
        """Write a row for every endpoint that wants one of these events and has none for it. Returns how many.

        A user who got enough e-mails, about `emails_per_hour`, gets no further one.

        `shared` are the events that webhooks may receive.

        Raises:
            LedgerRefused: A value cannot be stored; nothing was.
        """
        notices = [(event, user) for event in events if event.kind is not None for user in event.audience]
        added = 0
        async with self._pool.connection() as connection, connection.transaction():
            if shared:
                added += await _ADD_TO_WEBHOOKS.count(connection, **_columns(shared), retry_for=retry_for)
            if notices:
                (row,) = await _ADD_TO_EMAIL.rows(
                    connection,
                    **_columns([event for event, _ in notices]),
                    users=[user for _, user in notices],
                    kinds=[event.kind for event, _ in notices],
                    retry_for=retry_for,
                    most=self._emails_per_hour,
                    recent=lowest_id(datetime.now(UTC) - timedelta(hours=1)),
                )
                added += row["added"]
                metrics.EMAILS_LIMITED.inc(row["refused"])
        return added

    async def oldest_due(self, *, limit: int) -> list[Queue]:
        """Queues of the deliveries that have been due for the longest time; `waiting` counts at most `limit` in all."""
        return [Queue(**row) for row in await _SELECT_OLDEST_DUE.rows(self._pool, at_most=limit)]

    async def walk(self, *, past: QueueKey, limit: int) -> tuple[list[Queue], QueueKey | None]:
        """Queues after a key with something due, and the key to continue after; None when there are no more.

        It looks at no more than `limit` queues, due or not. How many deliveries wait in each is unknown: many.
        """
        rows = await _WALK_QUEUES.rows(self._pool, past_channel=past[0], past=past[1], at_most=limit)
        queues = [
            Queue(id=row["id"], channel=row["channel"], workspace_id=row["workspace_id"], waiting=_MANY)
            for row in rows
            if row["is_due"]
        ]
        return queues, (rows[-1]["channel"], rows[-1]["id"]) if len(rows) == limit else None

    async def claim(self, granted: Mapping[QueueKey, int], *, lease: timedelta) -> list[Claim]:
        """Take what has been due the longest from each queue, up to the places granted to it."""
        rows = await _CLAIM_DUE.rows(
            self._pool,
            channels=[channel for channel, _ in granted],
            queues=[queue for _, queue in granted],
            places=list(granted.values()),
            lease=lease,
        )
        return [_claim(row) for row in rows]

    async def record(self, claim: Claim, outcome: Outcome, decision: Decision) -> None:
        """Write the outcome of an attempt."""
        await _RECORD_ATTEMPT.count(
            self._pool,
            event_id=claim.event_id,
            channel=claim.channel,
            endpoint_id=claim.endpoint_id,
            state=decision.state.value,
            pause=timedelta(seconds=decision.pause),
            status=outcome.status,
            error=outcome.error,
            attempts=claim.attempts,
        )

    async def give_back(self, claim: Claim) -> None:
        """Let another worker attempt it at once; the attempt that was stopped does not count."""
        await _GIVE_BACK.count(
            self._pool,
            event_id=claim.event_id,
            channel=claim.channel,
            endpoint_id=claim.endpoint_id,
            attempts=claim.attempts,
        )

    async def disable(self, claim: Claim, *, reason: str) -> bool:
        """Switch the webhook of a delivery off. Returns False when it was off already, or has another URL meanwhile."""
        return await _DISABLE_WEBHOOK.count(self._pool, id=claim.endpoint_id, url=claim.url, reason=reason) > 0

    async def backlog(self) -> dict[str, tuple[int, float]]:
        """By channel, how many deliveries are due, and for how many seconds the oldest has been.

        Only the 10,000 that have been due the longest are counted.
        """
        rows = await _MEASURE_BACKLOG.rows(self._pool)
        return {row["channel"]: (row["waiting"], row["oldest"]) for row in rows}

    async def check(self) -> None:
        """Health check: the ledger can be read."""
        await _CHECK_LEDGER.count(self._pool)


class DeadDeliveries:
    """Deliveries that were given up, for a person to read and to send again. Raises `LedgerUnavailable` as above."""

    def __init__(self, session: Session) -> None:
        """Take a session under `taskbell_delivery` or the owner, which the caller closes."""
        self._session = session

    async def page(self, *, past: UUID | None, limit: int) -> list[dict[str, Any]]:
        """Some of them, without their payload, the oldest first."""
        return [dict(row) for row in await _LIST_DEAD.rows(self._session, past=past, at_most=limit)]

    async def get(self, delivery_id: UUID) -> dict[str, Any] | None:
        """One with everything that is known of it, or None."""
        row = await _GET_DEAD.row(self._session, id=delivery_id)
        if row is None:
            return None
        found = dict(row) | {"payload": _document(row) or None}
        return {name: value for name, value in found.items() if name not in _OF_THE_EVENT}

    async def redrive(self, delivery_ids: Sequence[UUID]) -> int:
        """Begin them again, at once and for as long as they first had. Returns how many of them were dead."""
        return await _REVIVE_DEAD.count(self._session, ids=list(delivery_ids))


def _meaning(error: BaseException) -> Exception:
    # Only a value that cannot be stored is the event's own fault. The rest passes: people mend a missing right.
    if isinstance(error, asyncpg.DataError | asyncpg.IntegrityConstraintViolationError):
        return LedgerRefused(str(error))
    return LedgerUnavailable(type(error).__name__)


_AWAY = translating(_meaning, errors=FAILED)


@asynccontextmanager
async def dead_deliveries(url: str) -> AsyncIterator[DeadDeliveries]:
    """Connect for the length of the block. Raises `LedgerUnavailable`."""
    async with open_session(url, away=_AWAY, statement_seconds=_SECONDS) as session:
        yield DeadDeliveries(session)


@asynccontextmanager
async def open_ledger(url: str, *, pool_size: int, emails_per_hour: int) -> AsyncIterator[Ledger]:
    """Open a pool. Nothing connects yet: a worker starts, unready, while PostgreSQL is away."""
    pool = await create_pool(url, most=pool_size, statement_seconds=_SECONDS, application="taskbell-delivery")
    try:
        yield Ledger(Pool(pool, away=_AWAY, within=_SECONDS), emails_per_hour=emails_per_hour)
    finally:
        pool.terminate()  # all work has ended or been given back


def _columns(events: Sequence[Incoming]) -> dict[str, Any]:
    return {
        "ids": [event.id for event in events],
        "workspaces": [event.workspace_id for event in events],
        "types": [event.type for event in events],
        "times": [event.time for event in events],
        "payloads": [event.payload for event in events],
        "traceparents": [event.traceparent for event in events],
    }


def _document(row: asyncpg.Record) -> str:
    """Return the event's document, from the delivery or from the event that it refers to, byte for byte the same."""
    if row["payload"] is not None:
        return str(row["payload"])
    if row["data"] is None:
        return ""
    event = EventRecord(
        id=row["event_id"],
        workspace_id=row["workspace_id"],
        type=row["event_type"],
        subject_id=row["subject_id"],
        actor_id=row["actor_id"],
        audience=(),
        traceparent=row["event_traceparent"],
        created_at=row["event_time"],
        data=row["data"],
    )
    return envelope(event).decode()


def _claim(row: asyncpg.Record) -> Claim:
    is_on = row["enabled"] is True
    return Claim(
        id=row["id"],
        event_id=row["event_id"],
        channel=row["channel"],
        endpoint_id=row["endpoint_id"],
        workspace_id=row["workspace_id"],
        event_type=row["event_type"],
        payload=_document(row),
        traceparent=row["traceparent"],
        attempts=row["attempts"],
        remaining=row["remaining"],
        age=row["age"],
        url=row["url"] if is_on else None,
        secrets=tuple(secret for secret in (row["secret"], row["previous"]) if secret) if is_on else (),
        email=row["email"],
    )
