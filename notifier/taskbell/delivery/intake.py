"""Writes events from the stream to the ledger, and acknowledges an event when each endpoint that wants it has a row."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta

import structlog
from opentelemetry.trace import SpanKind

from taskbell.contract.webhooks import is_shared
from taskbell.delivery import metrics
from taskbell.delivery.incoming import EventMalformed, Incoming, read_event
from taskbell.delivery.repository import Added, Ledger, LedgerRefused, LedgerUnavailable
from taskbell.kit.nats_bus import BusUnavailable
from taskbell.kit.nats_dead_letters import DeadLetters
from taskbell.kit.nats_message import MESSAGE_ID
from taskbell.kit.nats_pull import WorkItem
from taskbell.kit.trace import TraceContext, Tracing

_log = structlog.get_logger(__name__)
_AGAIN = 0.5


class Intake:
    """Handles the batches of one consumer."""

    def __init__(
        self,
        ledger: Ledger,
        letters: DeadLetters,
        *,
        source: str,
        retry_for: timedelta,
        lease: timedelta,
        max_deliver: int,
        room: Callable[[], Awaitable[None]],
        recorded: Callable[[], None],
        tracing: Tracing,
    ) -> None:
        """Take the ledger, and the dead letters for messages that cannot be processed.

        `source` is the name of the consumer. `room` waits until the sender can take more, so that a backlog stays in
        the stream, where it is measured. `recorded` is called when there is something to send.
        """
        self._ledger = ledger
        self._letters = letters
        self._source = source
        self._retry_for = retry_for
        self._lease = lease
        self._max_deliver = max_deliver
        self._room = room
        self._recorded = recorded
        self._tracing = tracing

    async def handle(self, items: list[WorkItem]) -> None:
        """Record a batch and answer each of its messages. While PostgreSQL is away, wait with the batch."""
        await self._room()
        events: list[tuple[WorkItem, Incoming]] = []
        for item in items:
            try:
                events.append((item, read_event(item)))
            except EventMalformed as malformed:
                await self._failed(item, str(malformed))
        try:
            await self._record([event for _, event in events])
        except LedgerRefused:
            await self._one_by_one(events)
            return
        for item, _ in events:
            await item.done()

    async def _one_by_one(self, events: list[tuple[WorkItem, Incoming]]) -> None:
        """Find the event that the ledger refuses, and record the others."""
        for item, event in events:
            try:
                await self._record([event])
            except LedgerRefused as refused:
                await self._failed(item, str(refused))
            else:
                await item.done()

    async def _record(self, events: list[Incoming]) -> None:
        wanted = [event for event in events if is_shared(event.type) or event.notification_id is not None]
        metrics.EVENTS.labels(outcome="unwanted").inc(len(events) - len(wanted))
        if not wanted:
            return
        with ExitStack() as spans:
            traced = [self._traced(event, spans) for event in wanted]
            added = await self._add([event for event, _ in traced])
            for event, attributes in traced:
                attributes["taskbell.alerts"] = added.alerts[event.id]
                attributes["taskbell.deferred"] = added.deferred[event.id]
        metrics.EVENTS.labels(outcome="recorded").inc(len(wanted))
        metrics.RECORDED.inc(added.rows)
        if added.rows:
            self._recorded()

    async def _add(self, events: list[Incoming]) -> Added:
        shared = [event for event in events if is_shared(event.type)]
        while True:
            try:
                return await self._ledger.add(events, shared=shared, retry_for=self._retry_for, lease=self._lease)
            except LedgerUnavailable as away:
                # Keep the batch: if it were given back, each message would come nearer to its limit of deliveries.
                _log.warning("intake_waits", reason=str(away))
                await asyncio.sleep(_AGAIN)

    def _traced(self, event: Incoming, spans: ExitStack) -> tuple[Incoming, dict[str, str | int]]:
        """Begin the span of an event in which it is decided who is told and when; its deliveries continue it."""
        attributes: dict[str, str | int] = {"taskbell.event_type": event.type, "taskbell.kind": event.kind or ""}
        parent = TraceContext.parse(event.traceparent)
        if parent is None or not parent.sampled:
            return event, attributes
        span = self._tracing.span("record", parent=parent, kind=SpanKind.CONSUMER, attributes=attributes)
        return replace(event, traceparent=str(spans.enter_context(span))), attributes

    async def _failed(self, item: WorkItem, reason: str) -> None:
        """Have the message delivered again, or make it a dead letter when it has reached its limit."""
        if item.deliveries < self._max_deliver:
            metrics.EVENTS.labels(outcome="failed").inc()
            await item.give_back(after=min(2.0 ** (item.deliveries - 1), 30.0))
            return
        try:
            await self._letters.keep(
                identity=f"{self._source}-{item.sequence}-{item.headers.get(MESSAGE_ID, '')}",
                subject=item.subject,
                headers=item.headers,
                data=item.data,
                reason=reason,
                deliveries=item.deliveries,
            )
        except BusUnavailable as away:
            # The server stores an advisory for a message that has reached its limit of deliveries.
            _log.warning("dead_letter_not_kept", sequence=item.sequence, reason=str(away))
            return
        metrics.EVENTS.labels(outcome="dead_letter").inc()
        _log.error("dead_letter", sequence=item.sequence, subject=item.subject, reason=reason)
        await item.give_up()
