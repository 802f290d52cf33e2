"""The newest events of the stream, kept in memory: nearly every poll asks only for these."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from contextlib import suppress

from taskbell.contract.cursors import EventCursor
from taskbell.contract.subjects import HEADER_AUDIENCE, parse_event_subject
from taskbell.kit.nats_replay import StreamMessage

_OVERHEAD = 700
"""Approximate bytes of an event in addition to its payload."""


class RecentEvents:
    """A window without gaps, limited in bytes, that ends at the last event read. The stream reader fills it."""

    def __init__(self, *, max_bytes: int) -> None:
        """Begin without a stream."""
        self._max_bytes = max_bytes
        self._bytes = 0
        self._epoch = 0
        self._floor = 0
        self._position = 0
        self._order: deque[str] = deque()
        self._workspaces: dict[str, deque[StreamMessage]] = {}
        self._moved = asyncio.Event()

    def begin(self, *, epoch: int, position: int) -> None:
        """Start again: every event after `position` will be added."""
        self._epoch = epoch
        self._floor = self._position = position
        self._bytes = 0
        self._order.clear()
        self._workspaces.clear()
        self._moved.set()

    def forget(self) -> None:
        """Hold nothing, and know of no stream, until `begin`."""
        self.begin(epoch=0, position=0)

    def message(self, sequence: int, subject: str, headers: Mapping[str, str], data: bytes) -> None:
        """Add the newest event; the oldest make room. Messages that are not events are ignored."""
        with suppress(ValueError):
            workspace_id, _ = parse_event_subject(subject)
            kept = {HEADER_AUDIENCE: headers.get(HEADER_AUDIENCE, "")}
            self._workspaces.setdefault(workspace_id, deque()).append(StreamMessage(sequence, subject, kept, data))
            self._order.append(workspace_id)
            self._bytes += len(data) + _OVERHEAD
        while self._bytes > self._max_bytes:
            self._drop_oldest()
        self._position = sequence
        self._moved.set()

    def detached(self, reason: str) -> None:
        """Do nothing: the events that were read stay valid."""

    def lag(self, messages: int) -> None:
        """Do nothing: a caller that needs more waits for it."""

    async def between(
        self, after: EventCursor, until: EventCursor, *, workspace_id: str, patience: float
    ) -> list[StreamMessage] | None:
        """The events of a workspace after one position, up to another; None if the window does not hold all of them.

        Waits at most `patience` seconds for events that this process has not read yet.
        """
        if not self._reaches_back_to(after):
            return None
        if self._position < until.sequence:
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._reached(until)
        if not self._reaches_back_to(after) or self._position < until.sequence:
            return None
        found: list[StreamMessage] = []
        for event in reversed(
            self._workspaces.get(workspace_id, ())
        ):  # the cost depends on what was missed, not on what is kept
            if event.sequence <= after.sequence:
                break
            if event.sequence <= until.sequence:
                found.append(event)
        found.reverse()
        return found

    def _reaches_back_to(self, place: EventCursor) -> bool:
        return self._epoch == place.epoch and self._floor <= place.sequence

    async def _reached(self, place: EventCursor) -> None:
        while self._epoch == place.epoch and self._position < place.sequence:
            self._moved.clear()
            await self._moved.wait()

    def _drop_oldest(self) -> None:
        workspace_id = self._order.popleft()
        events = self._workspaces[workspace_id]
        oldest = events.popleft()
        self._floor = oldest.sequence
        self._bytes -= len(oldest.data) + _OVERHEAD
        if not events:
            del self._workspaces[workspace_id]
