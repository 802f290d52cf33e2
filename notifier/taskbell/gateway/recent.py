"""The newest events, kept in memory: most clients reconnect within seconds and need no more."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from taskbell.contract.events import is_personal
from taskbell.contract.subjects import HEADER_AUDIENCE, parse_event_subject

_OVERHEAD = 300
"""Bytes that an entry takes besides its payload, roughly."""


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """An event as the stream carries it.

    Attributes:
        type: One of `contract.events.EventType`, or a newer one.
        audience: User ids, separated by commas; possibly empty.
        payload: Its JSON text.
    """

    sequence: int
    workspace_id: str
    type: str
    audience: str
    payload: bytes

    @classmethod
    def read(cls, sequence: int, subject: str, headers: Mapping[str, str], payload: bytes) -> StreamEvent:
        """Read a message by its subject and headers; nobody parses the payload.

        Raises:
            ValueError: The relay did not write it.
        """
        workspace_id, event_type = parse_event_subject(subject)
        return cls(sequence, workspace_id, event_type, headers.get(HEADER_AUDIENCE, ""), payload)

    @property
    def personal(self) -> bool:
        """Whether it is for its audience alone."""
        return is_personal(self.type)


class RecentEvents:
    """A window that ends at the newest event, without holes, bounded by number and by bytes."""

    def __init__(self, *, max_events: int, max_bytes: int) -> None:
        """Keep nothing when either bound is 0."""
        self._events: deque[StreamEvent] = deque()
        self._bytes = 0
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._floor = 0

    def __len__(self) -> int:
        return len(self._events)

    def clear(self, *, floor: int) -> None:
        """Start again: every event after sequence `floor` will be added."""
        self._events.clear()
        self._bytes = 0
        self._floor = floor

    def add(self, event: StreamEvent) -> None:
        """Add the newest event; the oldest make room."""
        events = self._events
        events.append(event)
        self._bytes += len(event.payload) + _OVERHEAD
        while events and (len(events) > self._max_events or self._bytes > self._max_bytes):
            oldest = events.popleft()
            self._bytes -= len(oldest.payload) + _OVERHEAD
            self._floor = oldest.sequence

    def after(self, sequence: int) -> list[StreamEvent] | None:
        """Every event after a sequence, in order; None when the window does not reach back that far."""
        if sequence < self._floor:
            return None
        found: list[StreamEvent] = []
        for event in reversed(self._events):  # costs what was missed, not what is kept
            if event.sequence <= sequence:
                break
            found.append(event)
        found.reverse()
        return found
