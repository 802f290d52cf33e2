"""Resuming: whether everything after a cursor can be replayed, and from where."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from taskbell.contract.cursors import CursorMalformed, EventCursor
from taskbell.contract.subjects import EVENTS_ROOT, workspace_filter
from taskbell.gateway import metrics
from taskbell.gateway.hub import Hub
from taskbell.gateway.live import LiveEvent
from taskbell.gateway.recent import StreamEvent
from taskbell.gateway.shares import NoShare, ReplayShares
from taskbell.kit.nats_replay import ReplayInterrupted, StreamReplay, StreamReplays

_PATIENCE = 2.0
"""Seconds to wait for this gateway to reach the cursor of a client."""
_MAX_FILTERS = 256
"""With more workspaces than this the gateway reads all events and selects: NATS compares many filters too slowly."""
_CHUNK_BYTES = 64 * 1024
"""Frames are written this many bytes at a time, or one that is larger. A replay that is no larger needs no share."""
_FROM_MEMORY_BYTES = 2**20
"""A larger replay reads the stream, at the client's pace: it would keep old events in memory while the client reads."""


@dataclass(frozen=True, slots=True)
class Missed:
    """Which events a connection missed.

    Attributes:
        after: The sequence of its cursor.
        until: The position from which it is served live.
        user_id: The user whose `me` channel is replayed; empty if none is.
        workspaces: Workspaces whose channels are replayed, with all their shared events.
        member_of: The user's workspaces; `me` is replayed only within them.
        carried_user: The user whose `me` channel has delivered events already; empty if none has.
        carried_after: The sequence after which it did.
    """

    after: int
    until: int
    user_id: str
    workspaces: frozenset[str]
    member_of: frozenset[str]
    carried_user: str = ""
    carried_after: int = 0

    def wants(self, event: StreamEvent) -> bool:
        """Whether this event was missed."""
        if not self.after < event.sequence <= self.until:
            return False
        if self.carried_user and event.sequence > self.carried_after and _addresses(event, self.carried_user):
            return False
        if event.workspace_id in self.workspaces and not event.personal:
            return True
        return bool(self.user_id) and event.workspace_id in self.member_of and _addresses(event, self.user_id)

    @property
    def reader(self) -> str:
        """The user who missed them."""
        return self.user_id or self.carried_user

    @property
    def subjects(self) -> list[str]:
        """The subjects to read from the stream; they may hold more than is wanted."""
        wanted = self.workspaces | (self.member_of if self.user_id else frozenset())
        if len(wanted) > _MAX_FILTERS:
            return [f"{EVENTS_ROOT}.>"]
        return [workspace_filter(workspace_id) for workspace_id in sorted(wanted)]


class Prepared:
    """A replay that can be served as a whole, once."""

    def __init__(
        self,
        hub: Hub,
        missed: Missed,
        source: list[StreamEvent] | StreamReplay,
        stack: AsyncExitStack,
        *,
        max_bytes: int,
    ) -> None:
        """Take what `Resumption.prepare` found, and how many bytes may be served at once."""
        self._max_bytes = max_bytes
        self._epoch = hub.epoch
        self._missed = missed
        self._source = source
        self._stack = stack

    async def chunks(self, encode: Callable[[LiveEvent, int], bytes]) -> AsyncGenerator[bytes, None]:
        """Yield frames, 64 KiB at a time, as `encode` writes them.

        Raises:
            ReplayInterrupted: NATS failed in the middle, or the replay has become too large; the frames before are in
                order and without gaps.
        """
        written = 0
        async with self._stack:
            async for events in self._batches():
                for some in _by_size(events):
                    if written > self._max_bytes:
                        raise ReplayInterrupted("the replay is too large to be served at once")
                    frames = self._written(some, encode)
                    written += len(frames)
                    yield frames

    async def _batches(self) -> AsyncGenerator[list[StreamEvent], None]:
        if isinstance(self._source, list):
            yield self._source
            return
        async for batch in self._source.batches():
            events = [StreamEvent.read(one.sequence, one.subject, one.headers, one.data) for one in batch]
            yield [event for event in events if self._missed.wants(event)]

    async def abandon(self) -> None:
        """Release a replay that will not be read."""
        await self._stack.aclose()

    def _written(self, events: list[StreamEvent], encode: Callable[[LiveEvent, int], bytes]) -> bytes:
        metrics.REPLAYED_EVENTS.inc(len(events))
        return b"".join(encode(LiveEvent(self._epoch, event), 0) for event in events)


class Resumption:
    """Finds out whether a cursor can be served: from memory after a short absence, else from the stream."""

    def __init__(
        self, hub: Hub, replays: StreamReplays, shares: ReplayShares, *, max_events: int, max_bytes: int
    ) -> None:
        """Take the bounds of one replay.

        More than `max_events` is a `gap`. One that reaches `max_bytes` breaks off, and continues when its client
        resumes: so its share goes to another meanwhile.
        """
        self._shares = shares
        self._max_bytes = max_bytes
        self._hub = hub
        self._replays = replays
        self._max_events = max_events

    async def locate(self, cursor: str) -> EventCursor | None:
        """Read a client's cursor; None if it is malformed, of another epoch or from the future.

        The stream may be rebuilt later: compare the epoch again after the next wait.

        A client may come from a gateway that was faster than this one: wait until this one has caught up.

        Raises:
            ReplayInterrupted: This gateway is too far behind, or NATS does not answer.
        """
        try:
            parsed = EventCursor.parse(cursor)
        except CursorMalformed:
            return None
        if parsed.epoch != self._hub.epoch:
            return None
        if parsed.sequence > self._hub.position:
            bounds = await self._replays.bounds()
            if bounds.epoch != parsed.epoch or parsed.sequence > bounds.last:
                return None
            try:
                async with asyncio.timeout(_PATIENCE):
                    await self._hub.reached(parsed.sequence)
            except TimeoutError:
                raise ReplayInterrupted("this gateway is behind") from None
        return parsed if parsed.epoch == self._hub.epoch else None

    async def prepare(self, missed: Missed) -> Prepared | None:
        """Prepare to serve everything missed; None is a gap.

        Raises:
            ReplayInterrupted: NATS does not answer, or too many replays are under way.
        """
        stack = AsyncExitStack()
        remembered = self._remembered(missed)
        if remembered is not None and _size(remembered) <= _CHUNK_BYTES:
            return self._found("memory", self._prepared(missed, remembered, stack), len(remembered))
        try:
            await stack.enter_async_context(self._shares.held(missed.reader))
            remembered = self._remembered(missed)
            if remembered is not None and _size(remembered) <= _FROM_MEMORY_BYTES:
                found = self._found("memory", self._prepared(missed, remembered, stack), len(remembered))
            else:
                found = await self._from_stream(missed, stack)
        except NoShare:
            await stack.aclose()
            metrics.REPLAYS.labels(outcome="refused").inc()
            raise ReplayInterrupted("too many replays are under way") from None
        except BaseException:
            await stack.aclose()
            raise
        if found is None:
            await stack.aclose()
        return found

    def _remembered(self, missed: Missed) -> list[StreamEvent] | None:
        """What was missed, if memory reaches back that far."""
        recent = self._hub.recent.after(missed.after) if missed.subjects else []
        return None if recent is None else [event for event in recent if missed.wants(event)]

    async def _from_stream(self, missed: Missed, stack: AsyncExitStack) -> Prepared | None:
        epoch = self._hub.epoch
        opened = await stack.enter_async_context(
            self._replays.open(subjects=missed.subjects, after=missed.after, until=missed.until)
        )
        # Ask after opening: the replay's own count shows what retention removes from now on.
        bounds = await self._replays.bounds()
        if bounds.epoch != epoch or missed.after < bounds.first - 1 or epoch != self._hub.epoch:
            return self._found("gap", None, 0)
        return self._found("stream", self._prepared(missed, opened, stack), opened.pending)

    def _prepared(self, missed: Missed, source: list[StreamEvent] | StreamReplay, stack: AsyncExitStack) -> Prepared:
        return Prepared(self._hub, missed, source, stack, max_bytes=self._max_bytes)

    def _found(self, outcome: str, prepared: Prepared | None, events: int) -> Prepared | None:
        if prepared is not None and events > self._max_events:
            outcome, prepared = "gap", None
        metrics.REPLAYS.labels(outcome=outcome).inc()
        return prepared


def _size(events: Sequence[StreamEvent]) -> int:
    return sum(len(event.payload) for event in events)


def _by_size(events: Sequence[StreamEvent]) -> Iterator[list[StreamEvent]]:
    """Divide events into parts of about a chunk each."""
    part: list[StreamEvent] = []
    size = 0
    for event in events:
        if part and size + len(event.payload) > _CHUNK_BYTES:
            yield part
            part, size = [], 0
        part.append(event)
        size += len(event.payload)
    if part:
        yield part


def _addresses(event: StreamEvent, user_id: str) -> bool:
    return user_id in event.audience  # ids have one form and length: a part of the list is one of its ids
