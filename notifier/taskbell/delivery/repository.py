"""The ledger of deliveries in PostgreSQL, under role `taskbell_delivery`.

PostgreSQL's clock alone decides what is due. To claim a row is to move its `due_at` ahead: that is the lease. When its
worker dies, the row is due again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from taskbell.delivery import metrics
from taskbell.delivery.claims import Claim, claim_of
from taskbell.delivery.incoming import Incoming
from taskbell.delivery.policy import Decision, Outcome
from taskbell.delivery.shares import Queue, QueueKey
from taskbell.delivery.targets import Wanted, due_at, within_limit
from taskbell.kit.ids import lowest_id
from taskbell.kit.postgres.errors import FAILED, translating
from taskbell.kit.postgres.pool import Connection, Pool, open_lender
from taskbell.kit.postgres.statements import load

_ADD_ALERTS = load(__package__, "add_alerts")
_ADD_TO_WEBHOOKS = load(__package__, "add_to_webhooks")
_ADD_WITHDRAWALS = load(__package__, "add_withdrawals")
_CHECK_LEDGER = load(__package__, "check_ledger")
_CHOOSE_ENDPOINTS = load(__package__, "choose_endpoints")
_CLAIM_DUE = load(__package__, "claim_due")
_DEFER_ALERT = load(__package__, "defer_alert")
_DISABLE_WEBHOOK = load(__package__, "disable_webhook")
_GIVE_BACK = load(__package__, "give_back")
_MEASURE_BACKLOG = load(__package__, "measure_backlog")
_RECORD_ATTEMPTS = load(__package__, "record_attempts")
_SELECT_OLDEST_DUE = load(__package__, "select_oldest_due")
_WALK_QUEUES = load(__package__, "walk_queues")
SECONDS = 10.0
_MANY = 1_000_000


class LedgerUnavailable(Exception):
    """PostgreSQL does not answer; nothing is known to have been changed."""


class LedgerRefused(Exception):
    """PostgreSQL answered that these values cannot be stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What became of events in the ledger.

    Attributes:
        rows: How many rows were written.
        alerts: How many alerts are wanted of each event, now or later.
        deferred: How many of these wait for the end of quiet hours.
    """

    rows: int
    alerts: Counter[UUID]
    deferred: Counter[UUID]


class Ledger:
    """The ledger. Every call raises `LedgerUnavailable` when there is no answer within some seconds."""

    def __init__(self, pool: Pool, *, emails_per_hour: int, channels: Collection[str]) -> None:
        """Take a pool under role `taskbell_delivery`, and how many e-mails a user gets within an hour.

        `channels` are those that this worker can send by: an alert for another one is not recorded.
        """
        self._pool = pool
        self._emails_per_hour = emails_per_hour
        self._channels = list(channels)

    @property
    def pool(self) -> Pool:
        """The pool, for what else this role may read and write."""
        return self._pool

    async def add(
        self, events: Sequence[Incoming], *, shared: Sequence[Incoming], retry_for: timedelta, lease: timedelta
    ) -> Added:
        """Write a row for every endpoint that wants one of these events and has none for it.

        A user who got enough e-mails, about `emails_per_hour`, gets no further one.

        `shared` are the events that webhooks may receive. `lease` is how long an attempt may be in flight.

        Raises:
            LedgerRefused: A value cannot be stored; nothing was.
        """
        told = [event for event in events if event.kind is not None]
        read = [event for event in events if event.is_read]
        added, wanted, alerts, deferred = 0, Wanted(), Counter[UUID](), Counter[UUID]()
        async with self._pool.connection() as connection, connection.transaction():
            if shared:
                added += await _ADD_TO_WEBHOOKS.count(connection, **_columns(shared), retry_for=retry_for)
            if told:
                wanted = await self._choose(connection, told)
                added += await self._add_alerts(connection, told, wanted, retry_for=retry_for)
            if read:
                added += await _ADD_WITHDRAWALS.count(
                    connection,
                    **_columns(read),
                    notifications=[event.notification_id for event in read],
                    channels=self._channels,
                    lease=lease,
                    retry_for=retry_for,
                )
        for row, due in wanted:
            event_id = told[row["number"] - 1].id
            alerts[event_id] += 1
            if due is not None:
                deferred[event_id] += 1
                metrics.DEFERRED.labels(channel=row["channel"]).inc()
        return Added(rows=added, alerts=alerts, deferred=deferred)

    async def _choose(self, connection: Connection, told: Sequence[Incoming]) -> Wanted:
        """Choose the endpoints that are told of each event, and until when each waits."""
        notices = [(number, event, user) for number, event in enumerate(told, 1) for user in event.audience]
        found = await _CHOOSE_ENDPOINTS.rows(
            connection,
            numbers=[number for number, _, _ in notices],
            workspaces=[event.workspace_id for _, event, _ in notices],
            times=[event.time for _, event, _ in notices],
            users=[user for _, _, user in notices],
            kinds=[event.kind for _, event, _ in notices],
            channels=self._channels,
            most=self._emails_per_hour,
            recent=lowest_id(datetime.now(UTC) - timedelta(hours=1)),
        )
        dues = [due_at(row, urgent=told[row["number"] - 1].urgent) for row in found]
        wanted = within_limit(found, dues, most=self._emails_per_hour)
        metrics.EMAILS_LIMITED.inc(len(found) - len(wanted))
        return wanted

    async def _add_alerts(
        self, connection: Connection, told: Sequence[Incoming], wanted: Wanted, *, retry_for: timedelta
    ) -> int:
        if not wanted:
            return 0
        return await _ADD_ALERTS.count(
            connection,
            **_columns(told),
            notifications=[event.notification_id for event in told],
            numbers=[row["number"] for row, _ in wanted],
            channels=[row["channel"] for row, _ in wanted],
            endpoints=[row["endpoint_id"] for row, _ in wanted],
            dues=[due for _, due in wanted],
            retry_for=retry_for,
        )

    async def oldest_due(self, *, limit: int) -> list[Queue]:
        """Queues of the deliveries that have been due for the longest time; `waiting` counts at most `limit` in all."""
        return [Queue(**row) for row in await _SELECT_OLDEST_DUE.rows(self._pool, at_most=limit)]

    async def walk(
        self, *, past: QueueKey, limit: int, passed_over: Collection[str] = ()
    ) -> tuple[list[Queue], QueueKey | None]:
        """Queues after a key with something due, and the key to continue after; None when there are no more.

        Channels that are `passed_over` cost one step each.

        It looks at no more than `limit` queues, due or not. How many deliveries wait in each is unknown: many.
        """
        rows = await _WALK_QUEUES.rows(
            self._pool, past_channel=past[0], past=past[1], at_most=limit, passed_over=list(passed_over)
        )
        queues = [
            Queue(id=row["id"], channel=row["channel"], workspace_id=row["workspace_id"], waiting=_MANY)
            for row in rows
            if row["is_due"]
        ]
        return queues, (rows[-1]["channel"], rows[-1]["id"]) if len(rows) == limit else None

    async def claim(self, granted: Mapping[QueueKey, int], *, lease: timedelta) -> list[Claim]:
        """Take what has been due the longest from each queue, up to the places granted to it.

        Deferred alerts of one endpoint are taken as one. Alerts whose notification is read are withdrawn.
        """
        rows = await _CLAIM_DUE.rows(
            self._pool,
            channels=[channel for channel, _ in granted],
            queues=[queue for _, queue in granted],
            places=list(granted.values()),
            lease=lease,
        )
        spared: defaultdict[tuple[str, UUID], list[str]] = defaultdict(list)
        for row in rows:
            if not row["is_taken"]:
                metrics.SPARED.labels(channel=row["channel"], state=row["state"]).inc()
                if row["state"] == "collapsed" and row["traceparent"]:
                    spared[row["channel"], row["endpoint_id"]].append(row["traceparent"])
        return [claim_of(row, spared) for row in rows if row["is_taken"]]

    async def record(self, attempts: Sequence[tuple[Claim, Outcome, Decision]]) -> list[tuple[UUID, str]]:
        """Write the outcomes of attempts of different deliveries, in one statement.

        Devices and chats that their provider calls gone are removed, unless they were registered again since the
        claim. Returns the id and the channel of each.

        Raises:
            LedgerRefused: A value cannot be stored; nothing was.
        """
        rows = await _RECORD_ATTEMPTS.rows(
            self._pool,
            events=[claim.event_id for claim, _, _ in attempts],
            channels=[claim.channel for claim, _, _ in attempts],
            endpoints=[claim.endpoint_id for claim, _, _ in attempts],
            attempts=[claim.attempts for claim, _, _ in attempts],
            states=[decision.state.value for _, _, decision in attempts],
            pauses=[timedelta(seconds=decision.pause) for _, _, decision in attempts],
            statuses=[outcome.status for _, outcome, _ in attempts],
            errors=[outcome.error for _, outcome, _ in attempts],
            registered=[
                claim.endpoint.registered_at if outcome.gone and claim.endpoint is not None else None
                for claim, outcome, _ in attempts
            ],
        )
        return [(row["id"], row["kind"]) for row in rows]

    async def defer(self, claim: Claim, until: datetime) -> None:
        """Let an alert that was taken wait for the end of quiet hours; the attempt does not count."""
        await _DEFER_ALERT.count(
            self._pool,
            event_id=claim.event_id,
            channel=claim.channel,
            endpoint_id=claim.endpoint_id,
            attempts=claim.attempts,
            until=until,
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


def _meaning(error: BaseException) -> Exception:
    # Only a value that cannot be stored is the event's own fault. The rest passes: people mend a missing right.
    if isinstance(error, asyncpg.DataError | asyncpg.IntegrityConstraintViolationError):
        return LedgerRefused(str(error))
    return LedgerUnavailable(type(error).__name__)


AWAY = translating(_meaning, errors=FAILED)


@asynccontextmanager
async def open_ledger(
    url: str, *, pool_size: int, emails_per_hour: int, channels: Collection[str]
) -> AsyncIterator[Ledger]:
    """Open a pool. Nothing connects yet: a worker starts, unready, while PostgreSQL is away."""
    lender = await open_lender(url, most=pool_size, statement_seconds=SECONDS, application="taskbell-delivery")
    try:
        yield Ledger(Pool(lender, away=AWAY, within=SECONDS), emails_per_hour=emails_per_hour, channels=channels)
    finally:
        lender.terminate()  # all work has ended or been given back


def _columns(events: Sequence[Incoming]) -> dict[str, Any]:
    return {
        "ids": [event.id for event in events],
        "workspaces": [event.workspace_id for event in events],
        "types": [event.type for event in events],
        "times": [event.time for event in events],
        "payloads": [event.payload for event in events],
        "traceparents": [event.traceparent for event in events],
    }
