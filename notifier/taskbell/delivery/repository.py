"""The ledger of deliveries, as PostgreSQL has it under role `taskbell_delivery`.

Its clock alone decides what is due. A row that is taken has its `due_at` moved ahead: that is the lease, and when its
worker dies the row is simply due again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from taskbell.delivery.policy import Decision, Outcome

# Whatever else PostgreSQL says (a schema not migrated yet, a right that is missing) is ours to mend and passes, too:
# only a value that it does not store is an event's own fault.
_REFUSED = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)
_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a session that broke in the middle of an answer
)
_TIMEOUT = 10.0

# An event of an earlier time than its switching on is not for a webhook, so that a replay floods nobody.
_ADD_TO_WEBHOOKS = """
INSERT INTO deliveries (event_id, channel, endpoint_id, workspace_id, event_type, payload, traceparent, give_up_at)
SELECT e.id, 'webhook', w.id, e.workspace_id, e.type, e.payload, e.traceparent, now() + $7::interval
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::text[], $6::text[])
  AS e (id, workspace_id, type, time, payload, traceparent)
JOIN webhooks w ON w.workspace_id = e.workspace_id AND w.enabled AND w.enabled_at <= e.time
  AND (e.type = ANY (w.event_types) OR '*' = ANY (w.event_types))
ON CONFLICT DO NOTHING
"""
_ADD_TO_EMAIL = """
INSERT INTO deliveries (event_id, channel, endpoint_id, workspace_id, event_type, payload, traceparent, give_up_at)
SELECT e.id, 'email', c.user_id, e.workspace_id, e.type, e.payload, e.traceparent, now() + $8::interval
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::text[], $6::text[], $7::uuid[], $9::text[])
  AS e (id, workspace_id, type, time, payload, traceparent, user_id, kind)
JOIN email_channels c ON c.user_id = e.user_id AND c.enabled AND c.enabled_at <= e.time
  AND (e.kind = ANY (c.kinds) OR '*' = ANY (c.kinds))
ON CONFLICT DO NOTHING
"""
_CLAIM = """
WITH due AS (
  SELECT d.event_id, d.channel, d.endpoint_id FROM deliveries d
  WHERE d.state IN ('pending', 'retrying') AND d.due_at <= now()
    AND d.channel = ANY ($3::text[]) AND d.endpoint_id <> ALL ($4::uuid[])
  ORDER BY d.due_at LIMIT $1 FOR UPDATE SKIP LOCKED
), taken AS (
  UPDATE deliveries d SET due_at = now() + $2::interval, attempts = d.attempts + 1, attempted_at = now()
  FROM due WHERE d.event_id = due.event_id AND d.channel = due.channel AND d.endpoint_id = due.endpoint_id
  RETURNING d.*
)
SELECT t.id, t.event_id, t.channel, t.endpoint_id, t.event_type, t.payload, t.traceparent, t.attempts,
  extract(epoch FROM t.give_up_at - now())::float8 AS remaining,
  extract(epoch FROM now() - t.created_at)::float8 AS age,
  w.url, w.enabled, w.secret, CASE WHEN w.previous_secret_expires_at > now() THEN w.previous_secret END AS previous,
  CASE WHEN c.enabled THEN u.email END AS email
FROM taken t
LEFT JOIN webhooks w ON t.channel = 'webhook' AND w.id = t.endpoint_id
LEFT JOIN email_channels c ON t.channel = 'email' AND c.user_id = t.endpoint_id
LEFT JOIN users u ON u.id = c.user_id
"""
# What was delivered stays so, whoever else took the row meanwhile; a failure counts only for the attempt it was of.
_RECORD = """
UPDATE deliveries SET state = $4, due_at = now() + $5::interval,
  response_status = coalesce($6, response_status), error = $7,
  delivered_at = CASE WHEN $4 = 'delivered' THEN now() ELSE delivered_at END
WHERE event_id = $1 AND channel = $2 AND endpoint_id = $3 AND state IN ('pending', 'retrying')
  AND (attempts = $8 OR $4 = 'delivered')
"""
_GIVE_BACK = """
UPDATE deliveries SET due_at = now(), attempts = attempts - 1
WHERE event_id = $1 AND channel = $2 AND endpoint_id = $3 AND attempts = $4 AND state IN ('pending', 'retrying')
"""
_DISABLE = """
UPDATE webhooks SET enabled = false, disabled_reason = $3, updated_at = now() WHERE id = $1 AND url = $2 AND enabled
"""
_BACKLOG = """
SELECT count(*), coalesce(extract(epoch FROM now() - min(d.due_at)), 0)::float8 FROM (
  SELECT due_at FROM deliveries WHERE state IN ('pending', 'retrying') AND due_at <= now() ORDER BY due_at LIMIT 10000
) d
"""

_DEAD = """
SELECT id, event_id, channel, endpoint_id, event_type, attempts, response_status, error, created_at, attempted_at
FROM deliveries WHERE state = 'dead' AND ($1::uuid IS NULL OR id > $1) ORDER BY id LIMIT $2
"""
_DEAD_ONE = "SELECT * FROM deliveries WHERE state = 'dead' AND id = $1"
_REVIVE = """
UPDATE deliveries SET state = 'pending', attempts = 0, due_at = now(), error = NULL,
  give_up_at = now() + greatest(give_up_at - created_at, interval '10 minutes')
WHERE state = 'dead' AND id = ANY ($1::uuid[])
"""


class LedgerUnavailable(Exception):
    """PostgreSQL does not answer; nothing is known to have been changed."""


class LedgerRefused(Exception):
    """PostgreSQL answered that these values cannot be stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """An event as the ledger takes it. `kind` and `audience` matter for notifications alone."""

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
    """A delivery that is this worker's to attempt, until its lease ends.

    Attributes:
        id: The delivery's own id.
        event_id: Constant over all attempts; what receivers know it by.
        attempts: How many there were, with the one to be made.
        remaining: Seconds until it is given up.
        age: Seconds since it was written.
        url: Of the webhook; None when it is gone or switched off.
        secrets: The webhook's, the newest first.
        email: The user's address; None when there is none any more or no e-mail is wanted.
    """

    id: UUID
    event_id: UUID
    channel: str
    endpoint_id: UUID
    event_type: str
    payload: str
    traceparent: str | None
    attempts: int
    remaining: float
    age: float
    url: str | None
    secrets: tuple[str, ...]
    email: str | None


class _StatelessConnection(asyncpg.Connection):
    """Leaves no session state behind, so that no reset is needed and PgBouncer in transaction mode serves."""

    def get_reset_query(self) -> str:
        return ""


class Ledger:
    """The ledger. Every call waits a few seconds at most and raises `LedgerUnavailable` when there is no answer."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Take a pool; the caller closes it."""
        self._pool = pool

    async def add(self, events: Sequence[Incoming], *, shared: Sequence[Incoming], retry_for: timedelta) -> int:
        """Write a row for every endpoint that wants one of these events and has none for it; how many were written.

        `shared` are those of them that webhooks may have.

        Raises:
            LedgerRefused: A value cannot be stored; nothing was.
        """
        notices = [(event, user) for event in events if event.kind is not None for user in event.audience]
        async with self._session() as session, session.transaction():
            added = 0
            if shared:
                added += _count(await session.execute(_ADD_TO_WEBHOOKS, *_columns(shared), retry_for))
            if notices:
                added += _count(
                    await session.execute(
                        _ADD_TO_EMAIL,
                        *_columns([event for event, _ in notices]),
                        [user for _, user in notices],
                        retry_for,
                        [event.kind for event, _ in notices],
                    )
                )
        return added

    async def claim(
        self, *, limit: int, lease: timedelta, channels: Collection[str], busy: Collection[UUID]
    ) -> list[Claim]:
        """Take deliveries that are due, the longest waiting first, but none to `busy` endpoints."""
        async with self._session() as session:
            rows = await session.fetch(_CLAIM, limit, lease, list(channels), list(busy))
        return [_claim(row) for row in rows]

    async def record(self, claim: Claim, outcome: Outcome, decision: Decision) -> None:
        """Write what became of an attempt."""
        async with self._session() as session:
            await session.execute(
                _RECORD,
                claim.event_id,
                claim.channel,
                claim.endpoint_id,
                decision.state.value,
                timedelta(seconds=decision.pause),
                outcome.status,
                outcome.error,
                claim.attempts,
            )

    async def give_back(self, claim: Claim) -> None:
        """Let somebody else attempt it at once; the attempt that was broken off does not count."""
        async with self._session() as session:
            await session.execute(_GIVE_BACK, claim.event_id, claim.channel, claim.endpoint_id, claim.attempts)

    async def disable(self, claim: Claim, *, reason: str) -> bool:
        """Switch the webhook of a delivery off; False when it was off already, or leads elsewhere meanwhile."""
        async with self._session() as session:
            return _count(await session.execute(_DISABLE, claim.endpoint_id, claim.url, reason)) > 0

    async def backlog(self) -> tuple[int, float]:
        """How many deliveries are due (counted up to 10,000) and for how many seconds the oldest has been."""
        async with self._session() as session:
            row = await session.fetchrow(_BACKLOG)
        return (row[0], row[1]) if row else (0, 0.0)

    async def check(self) -> None:
        """Health check: the ledger can be read."""
        async with self._session() as session:
            await session.fetchval("SELECT 1 FROM deliveries LIMIT 1")

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[asyncpg.pool.PoolConnectionProxy]:
        with _translated():
            async with asyncio.timeout(_TIMEOUT), self._pool.acquire() as session:
                yield session


class DeadDeliveries:
    """Deliveries that were given up, for a person to look at and begin anew. Raises `LedgerUnavailable` as above."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        """Take a connection under `taskbell_delivery` or the owner; the caller closes it."""
        self._connection = connection

    async def page(self, *, past: UUID | None, limit: int) -> list[dict[str, Any]]:
        """Some of them, without their payload, the oldest first."""
        with _translated():
            return [dict(row) for row in await self._connection.fetch(_DEAD, past, limit)]

    async def get(self, delivery_id: UUID) -> dict[str, Any] | None:
        """One with all that is known of it, or None."""
        with _translated():
            row = await self._connection.fetchrow(_DEAD_ONE, delivery_id)
        return None if row is None else dict(row)

    async def redrive(self, delivery_ids: Sequence[UUID]) -> int:
        """Let them begin anew, at once and for as long as they first had; how many of them were dead."""
        with _translated():
            return _count(await self._connection.execute(_REVIVE, list(delivery_ids)))


@asynccontextmanager
async def dead_deliveries(url: str) -> AsyncIterator[DeadDeliveries]:
    """Connect for the length of the block. Raises `LedgerUnavailable`."""
    with _translated():
        connection = await asyncpg.connect(url, timeout=5.0, command_timeout=_TIMEOUT)
    try:
        yield DeadDeliveries(connection)
    finally:
        await connection.close(timeout=5.0)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except _REFUSED as refused:
        raise LedgerRefused(str(refused)) from refused
    except _AWAY as lost:
        raise LedgerUnavailable(type(lost).__name__) from lost


def _columns(events: Sequence[Incoming]) -> tuple[list[Any], ...]:
    return (
        [event.id for event in events],
        [event.workspace_id for event in events],
        [event.type for event in events],
        [event.time for event in events],
        [event.payload for event in events],
        [event.traceparent for event in events],
    )


def _count(tag: str) -> int:
    return int(tag.rpartition(" ")[2])


def _claim(row: asyncpg.Record) -> Claim:
    is_on = row["enabled"] is True
    return Claim(
        id=row["id"],
        event_id=row["event_id"],
        channel=row["channel"],
        endpoint_id=row["endpoint_id"],
        event_type=row["event_type"],
        payload=row["payload"],
        traceparent=row["traceparent"],
        attempts=row["attempts"],
        remaining=row["remaining"],
        age=row["age"],
        url=row["url"] if is_on else None,
        secrets=tuple(secret for secret in (row["secret"], row["previous"]) if secret) if is_on else (),
        email=row["email"],
    )


@asynccontextmanager
async def open_ledger(url: str, *, pool_size: int) -> AsyncIterator[Ledger]:
    """Connect lazily: a worker starts, unready, while PostgreSQL is away."""
    pool = await asyncpg.create_pool(
        url,
        min_size=0,
        max_size=pool_size,
        connection_class=_StatelessConnection,
        max_inactive_connection_lifetime=0,
        command_timeout=_TIMEOUT,
        timeout=5.0,
        server_settings={"application_name": "taskbell-delivery"},
    )
    try:
        yield Ledger(pool)
    finally:
        pool.terminate()  # all work has ended or been given back
