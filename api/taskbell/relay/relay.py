"""Moves events from the table to the stream during one term of the lease."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog
from opentelemetry.trace import SpanKind

from taskbell.contract.events import EventRecord, envelope
from taskbell.contract.subjects import HEADER_AUDIENCE, HEADER_TRACEPARENT, event_subject
from taskbell.kit.nats_publisher import AppendInterrupted, AppendPublisher, Message, MessageDuplicated, PositionTaken
from taskbell.kit.trace import TraceContext, Tracing
from taskbell.kit.waiting import happens
from taskbell.relay import metrics
from taskbell.relay.errors import StreamChanged, StreamReconnected
from taskbell.relay.policy import (
    Pace,
    Position,
    StreamAction,
    StreamState,
    Youth,
    before,
    in_doubt,
    judge,
    next_epoch,
    rebuild_after,
)
from taskbell.relay.repository import Events
from taskbell.relay.stream import EventStream

_log = structlog.get_logger(__name__)
_TAKEN_AT_MOST = 5


@dataclass(slots=True)
class RelayInputs:
    """What the outside tells a relay's loop. `wake` is set together with each of the others."""

    wake: asyncio.Event
    stopping: bool = False
    replay_wanted: bool = False
    reconnected: bool = False


@dataclass(slots=True)
class Watermark:
    """What this process knows of the stream, over all its terms: the database may lag.

    Attributes:
        epoch: The epoch that the rest is about.
        sequence: The highest acknowledged sequence.
        term: The last term in which this process published.
        in_flight: Whether messages after `sequence` may be stored.
        youth: Which messages cannot have expired.
    """

    epoch: int = 0
    sequence: int = 0
    term: int = 0
    in_flight: bool = False
    youth: Youth = field(default_factory=Youth)

    def over(self, position: Position) -> int:
        """The highest sequence known of the epoch of a position."""
        return max(position.sequence, self.sequence) if self.epoch == position.epoch else position.sequence

    def is_exact(self, *, term: int) -> bool:
        """Whether the stream had ended at `sequence` when this term began: nobody has published since."""
        return not self.in_flight and self.term in {term - 1, term}

    def begin(self, *, epoch: int, term: int) -> None:
        """Publish from now on."""
        if self.epoch != epoch:
            self.epoch, self.sequence = epoch, 0
            self.youth.forget()
        self.term, self.in_flight = term, False


@dataclass(slots=True)
class Lag:
    """Since when (Unix seconds) the relay is behind; None if it is not."""

    since: float | None = None

    def seconds(self) -> float:
        """How long the relay has been behind."""
        return 0.0 if self.since is None else max(0.0, time.time() - self.since)

    def interrupted(self) -> None:
        """From now on it is unknown whether events wait."""
        if self.since is None:
            self.since = time.time()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """The relay's times and sizes (seconds, events), as the settings describe them."""

    pace: Pace
    batch: int
    batch_bytes: int
    save_every: float
    stream_check: float
    retention: timedelta


class Relay:
    """Publishes events during one term. It holds no state that the database and the stream do not have."""

    def __init__(
        self,
        *,
        events: Events,
        stream: EventStream,
        publisher: AppendPublisher,
        inputs: RelayInputs,
        watermark: Watermark,
        lag: Lag,
        rhythm: Rhythm,
        tracing: Tracing,
    ) -> None:
        """Take the collaborators; nothing is touched before `run`."""
        self._events = events
        self._stream = stream
        self._publisher = publisher
        self._inputs = inputs
        self._watermark = watermark
        self._lag = lag
        self._rhythm = rhythm
        self._tracing = tracing
        self._position = Position(epoch=0, sequence=0)
        self._saved = self._position
        self._saved_at = 0.0
        self._last_id: str | None = None
        self._found: set[str] = set()
        """Ids found in the stream after `_found_after` and not yet in the table: published before an interruption."""
        self._found_after = 0
        self._taken_in_a_row = 0
        self._page_size = rhythm.batch

    async def run(self) -> None:
        """Publish until `stopping` is set; then save the acknowledged position.

        Raises:
            RelayInterrupted: Start again.
            AppendInterrupted: The stream did not take a message; start again.
            BusUnavailable: JetStream does not answer; start again.
        """
        await self._settle()
        empty_looks, checked_at = 0, time.monotonic()
        while not self._inputs.stopping:
            if self._inputs.reconnected:
                raise StreamReconnected("reconnected to NATS")
            if self._inputs.replay_wanted:
                await self._settle()
            started = time.monotonic()
            found = await self._carry()
            empty_looks = 0 if found else empty_looks + 1
            await self._save_when_due(idle=not found)
            if time.monotonic() - checked_at >= self._rhythm.stream_check:
                await self._check()
                checked_at = time.monotonic()
            if not self._position.window and await self._rest(started, empty_looks):
                empty_looks = 0
        await self._end()

    async def _rest(self, started: float, empty_looks: int) -> bool:
        """Wait for a poke or the next poll, and at least for the gather time; return whether a poke came."""
        pace, wake = self._rhythm.pace, self._inputs.wake
        if pause := pace.pause(empty_looks=empty_looks):
            await happens(wake, within=pause)
        left = started + pace.gather - time.monotonic()
        if left > 0:
            await asyncio.sleep(left)  # one poll serves all pokes within this time
        poked = wake.is_set()
        wake.clear()
        return poked

    async def _settle(self) -> None:
        """Prepare the stream, and find out which events of the table it already holds."""
        saved = await self._events.position()
        self._inputs.replay_wanted = False
        position, looked, stream = saved.position, time.time(), await self._stream.state()
        action = self._judged(position, stream)
        if saved.replay_from is not None:
            position = await self._rebuild(position, stream, since=saved.replay_from, reason="replay")
        elif action is StreamAction.REBUILD:
            since = saved.now - self._rhythm.retention
            reason = "lost" if stream is None else "changed" if stream.epoch != position.epoch else "damaged"
            position = await self._rebuild(position, stream, since=since, reason=reason)
        elif action is StreamAction.KEEP and self._doubts(position, stream):
            since = saved.now - self._rhythm.retention
            position = await self._rebuild(position, stream, since=since, reason="doubtful")
        elif action is StreamAction.CREATE:
            await self._stream.create(position.epoch)
            _log.info("stream_created", epoch=position.epoch)
        elif await self._stream.adjust(position.epoch):
            _log.info("stream_adjusted", epoch=position.epoch)
        await self._stream.provide(adjust=True)
        tail = await self._stream.tail(after=position.sequence)
        if position.server != tail.server:
            # Durable before the first message: if this relay and the server's machine die, its successor is warned.
            position = replace(position, server=tail.server)
            await self._events.save(position, wait_for_disk=True)
        self._watermark.begin(epoch=position.epoch, term=self._events.term)
        self._watermark.youth.note(tail.sequence, now=looked, max_age=self._rhythm.retention.total_seconds())
        self._position, self._saved = replace(position, sequence=tail.sequence), position
        self._last_id, self._found, self._found_after = tail.last_id, set(tail.ids), position.sequence
        metrics.STREAM_EPOCH.set(position.epoch)
        metrics.BACKLOG_EVENTS.set(0)
        _log.info("relay_carrying", epoch=position.epoch, sequence=tail.sequence, found_beyond=len(tail.ids))

    async def _rebuild(
        self, position: Position, stream: StreamState | None, *, since: datetime, reason: str
    ) -> Position:
        """Begin a new epoch with an empty stream. If this is interrupted, the next relay creates the stream.

        Bound and window are of one snapshot: what commits later, however low its id, comes after the window.
        """
        backlog = await self._events.backlog(position)
        after_id = rebuild_after(since=since, lowest_undone=backlog.lowest_id)
        epoch = next_epoch(epoch=position.epoch, stream=stream)
        fresh = await self._events.begin_epoch(epoch, after_id=after_id, window=backlog.snapshot)
        await self._stream.create(fresh.epoch)
        metrics.REBUILDS.labels(reason=reason).inc()
        _log.warning("stream_rebuilt", reason=reason, epoch=fresh.epoch, since=since.isoformat())
        return fresh

    def _judged(self, position: Position, stream: StreamState | None) -> StreamAction:
        known = self._watermark
        cut = (
            stream is not None
            and known.epoch == position.epoch
            and known.youth.lost(stream.first_sequence, now=time.time(), max_age=self._rhythm.retention.total_seconds())
        )
        return judge(epoch=position.epoch, sequence=known.over(position), stream=stream, cut=cut)

    def _doubts(self, position: Position, stream: StreamState | None) -> bool:
        known = self._watermark.epoch == position.epoch and self._watermark.is_exact(term=self._events.term)
        return not known and stream is not None and in_doubt(position, stream=stream)

    async def _check(self) -> None:
        looked, stream = time.time(), await self._stream.state()
        if stream is None or self._judged(self._position, stream) is not StreamAction.KEEP:
            raise StreamChanged("the stream is gone, damaged or another")
        await self._stream.provide(adjust=False)
        max_age = self._rhythm.retention.total_seconds()
        self._watermark.youth.note(stream.last_sequence, now=looked, max_age=max_age)

    async def _carry(self) -> int:
        """Take one step; return the number of events found.

        Whoever held the lease before may have sent messages that only now arrive. They can but continue the stream as
        this relay would: so it reads the present end of the stream, and continues.
        """
        try:
            found = await self._page() if self._position.window else await self._look()
        except PositionTaken as taken:
            self._taken_in_a_row += 1
            if self._taken_in_a_row > _TAKEN_AT_MOST:
                raise
            _log.warning("relay_position_taken", detail=str(taken))
            await self._settle()
            return 1
        self._taken_in_a_row = 0
        return found

    async def _look(self) -> int:
        """Publish the new events; a large window is only begun. Return the number of events found."""
        with metrics.READ_SECONDS.time():
            look = await self._events.fresh(
                self._position, limit=self._rhythm.batch, limit_bytes=self._rhythm.batch_bytes
            )
        rows = look.events
        if not rows:
            self._found.clear()
            self._position = replace(self._position, done=look.snapshot)
            self._lag.since = None
            metrics.BACKLOG_EVENTS.set(0)
            return 0
        if not look.is_all:
            await self._begin_window(look.snapshot)
            return len(rows)
        metrics.WINDOW_EVENTS.observe(len(rows))
        await self._publish(rows)
        self._position = replace(self._position, done=look.snapshot)
        return len(rows)

    async def _begin_window(self, snapshot: str) -> None:
        backlog = await self._events.backlog(self._position)
        start = before(backlog.lowest_id) if backlog.lowest_id is not None else None
        self._position = replace(self._position, window=snapshot, window_last_id=start)
        metrics.WINDOW_EVENTS.observe(backlog.events)
        metrics.BACKLOG_EVENTS.set(backlog.events)
        await self._save()
        _log.info("relay_window_begun", events=backlog.events)

    async def _page(self) -> int:
        """Publish the next page of the large window. Return the number of events found."""
        with metrics.READ_SECONDS.time():
            page = await self._events.page(self._position, limit=self._page_size, limit_bytes=self._rhythm.batch_bytes)
        rows = page.events
        if rows:
            await self._publish(rows)
            self._position = replace(self._position, window_last_id=rows[-1].id)
        # The database measures each row that it is asked for: ask for few where they are large.
        self._page_size = min(self._rhythm.batch, 2 * max(len(rows), 1))
        if page.is_all:
            self._position = replace(self._position, done=self._position.window, window=None, window_last_id=None)
            _log.info("relay_window_done", sequence=self._position.sequence)
            self._page_size = self._rhythm.batch
        return max(len(rows), 1)

    async def _publish(self, rows: Sequence[EventRecord]) -> None:
        self._lag.since = rows[0].created_at.timestamp()
        self._watermark.in_flight = True
        pending = self._unpublished(rows) if self._found else rows
        while pending:
            with metrics.PUBLISH_SECONDS.time(), ExitStack() as spans:
                messages = [self._message(row, spans) for row in pending]
                try:
                    await self._publisher.append(messages, after=self._position.sequence, after_id=self._last_id)
                except MessageDuplicated as interrupted:
                    self._advance(messages[: interrupted.stored])
                    metrics.EVENTS_SKIPPED.inc()
                    pending = pending[interrupted.stored + 1 :]
                except AppendInterrupted as interrupted:
                    self._advance(messages[: interrupted.stored])
                    raise
                else:
                    self._advance(messages)
                    pending = []
        self._watermark.in_flight = False
        if self._position.window:
            metrics.BACKLOG_EVENTS.dec(len(rows))

    def _unpublished(self, rows: Sequence[EventRecord]) -> list[EventRecord]:
        """Drop the events that the stream already holds."""
        known = {str(row.id) for row in rows} & self._found
        self._found -= known
        metrics.EVENTS_SKIPPED.inc(len(known))
        return [row for row in rows if str(row.id) not in known]

    def _advance(self, messages: Sequence[Message]) -> None:
        if not messages:
            return
        self._position = replace(self._position, sequence=self._position.sequence + len(messages))
        self._last_id = messages[-1].id
        self._watermark.sequence = self._position.sequence
        metrics.EVENTS_PUBLISHED.inc(len(messages))

    def _message(self, row: EventRecord, spans: ExitStack) -> Message:
        headers = {HEADER_AUDIENCE: ",".join(map(str, row.audience))}
        if row.traceparent is not None:
            headers[HEADER_TRACEPARENT] = self._traced(row, spans)
        return Message(
            id=str(row.id),
            subject=event_subject(workspace_id=row.workspace_id, event_type=row.type),
            payload=envelope(row),
            headers=headers,
        )

    def _traced(self, row: EventRecord, spans: ExitStack) -> str:
        """The trace context that readers continue; a sampled event has a span until its acknowledgement."""
        assert row.traceparent is not None  # noqa: S101 -- asked by the caller
        if row.traceparent.endswith("-00"):
            return row.traceparent
        parent = TraceContext.parse(row.traceparent)
        if parent is None:
            return row.traceparent
        attributes: dict[str, str | int] = {"messaging.system": "nats", "messaging.message.id": str(row.id)}
        span = self._tracing.span(f"publish {row.type}", parent=parent, kind=SpanKind.PRODUCER, attributes=attributes)
        return str(spans.enter_context(span))

    async def _save_when_due(self, *, idle: bool) -> None:
        if self._position.sequence == self._saved.sequence and self._position.window == self._saved.window:
            return
        first = self._saved.sequence == 0  # so that a lost stream is never mistaken for a new one
        if first or idle or time.monotonic() - self._saved_at >= self._rhythm.save_every:
            await self._save(wait_for_disk=first)

    async def _end(self) -> None:
        """Save the position. Unless ids found in the stream are not yet found in the table, it is exact."""
        if not self._found:
            self._position = replace(self._position, server=None)
        await self._save(wait_for_disk=True)

    async def _save(self, *, wait_for_disk: bool = False) -> None:
        # While ids found in the stream are not yet found in the table, a successor must find them again.
        sequence = self._found_after if self._found else self._position.sequence
        self._saved = replace(self._position, sequence=sequence)
        await self._events.save(self._saved, wait_for_disk=wait_for_disk)
        self._saved_at = time.monotonic()
