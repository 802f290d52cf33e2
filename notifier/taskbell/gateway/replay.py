"""Resuming: whether everything after a cursor can be replayed, and from where."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass

from taskbell.contract.cursors import CursorMalformed, EventCursor
from taskbell.contract.subjects import EVENTS_ROOT, workspace_filter
from taskbell.gateway import metrics
from taskbell.gateway.frames import event_frame
from taskbell.gateway.hub import Hub
from taskbell.gateway.recent import StreamEvent
from taskbell.kit.nats_replay import ReplayInterrupted, StreamReplay, StreamReplays

_PATIENCE = 2.0
"""Seconds to wait for this gateway to reach the cursor of a client."""
_MAX_FILTERS = 256
"""With more workspaces than this the gateway reads all events and selects: NATS compares many filters too slowly."""


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
        if event.workspace_id in self.workspaces and not event.personal:
            carried = self.carried_user and event.sequence > self.carried_after
            return not (carried and _addresses(event, self.carried_user))
        return bool(self.user_id) and event.workspace_id in self.member_of and _addresses(event, self.user_id)

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
        self, hub: Hub, missed: Missed, source: list[StreamEvent] | StreamReplay, stack: AsyncExitStack
    ) -> None:
        """Take what `Resumption.prepare` found."""
        self._epoch = hub.epoch
        self._missed = missed
        self._source = source
        self._stack = stack

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield frames, many at a time.

        Raises:
            ReplayInterrupted: NATS failed in the middle; the frames before are in order and without gaps.
        """
        async with self._stack:
            if isinstance(self._source, list):
                for start in range(0, len(self._source), 200):
                    yield self._written(self._source[start : start + 200])
                return
            async for batch in self._source.batches():
                events = [StreamEvent.read(one.sequence, one.subject, one.headers, one.data) for one in batch]
                yield self._written([event for event in events if self._missed.wants(event)])

    async def abandon(self) -> None:
        """Release a replay that will not be read."""
        await self._stack.aclose()

    def _written(self, events: list[StreamEvent]) -> bytes:
        metrics.REPLAYED_EVENTS.inc(len(events))
        return b"".join(event_frame(self._epoch, event.sequence, event.payload) for event in events)


class Resumption:
    """Finds out whether a cursor can be served: from memory after a short absence, else from the stream."""

    def __init__(self, hub: Hub, replays: StreamReplays, *, max_events: int) -> None:
        """`max_events`: a replay of more events than this is answered with `gap`."""
        self._hub = hub
        self._replays = replays
        self._max_events = max_events

    async def locate(self, cursor: str) -> int | None:
        """Return the sequence of a cursor; None if it is malformed, of another epoch or from the future.

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
        return parsed.sequence if parsed.epoch == self._hub.epoch else None

    async def prepare(self, missed: Missed) -> Prepared | None:
        """Prepare to serve everything missed; None is a gap.

        Raises:
            ReplayInterrupted: NATS does not answer.
        """
        epoch = self._hub.epoch
        recent = self._hub.recent.after(missed.after)
        if recent is not None:
            wanted = [event for event in recent if missed.wants(event)]
            return self._found("memory", Prepared(self._hub, missed, wanted, AsyncExitStack()), len(wanted))
        if not missed.subjects:
            return self._found("memory", Prepared(self._hub, missed, [], AsyncExitStack()), 0)
        stack = AsyncExitStack()
        opened = await stack.enter_async_context(
            self._replays.open(subjects=missed.subjects, after=missed.after, until=missed.until)
        )
        try:
            # Ask after opening: the replay's own count shows what retention removes from now on.
            bounds = await self._replays.bounds()
        except BaseException:
            await stack.aclose()
            raise
        if bounds.epoch != epoch or missed.after < bounds.first - 1 or epoch != self._hub.epoch:
            await stack.aclose()
            return self._found("gap", None, 0)
        prepared = self._found("stream", Prepared(self._hub, missed, opened, stack), opened.pending)
        if prepared is None:
            await stack.aclose()
        return prepared

    def _found(self, outcome: str, prepared: Prepared | None, events: int) -> Prepared | None:
        if prepared is not None and events > self._max_events:
            outcome, prepared = "gap", None
        metrics.REPLAYS.labels(outcome=outcome).inc()
        return prepared


def _addresses(event: StreamEvent, user_id: str) -> bool:
    return user_id in event.audience  # ids have one form and length: a part of the list is one of its ids
