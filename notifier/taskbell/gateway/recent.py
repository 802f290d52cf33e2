"""The newest events, kept in memory: most reconnects come back within seconds and need nothing else."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

_OVERHEAD = 300
"""About what an entry costs beside its payload, in bytes."""


@dataclass(frozen=True, slots=True)
class PastEvent:
    """An event as the stream carries it.

    Attributes:
        audience: User ids, separated by commas; possibly empty.
        personal: Whether only the audience may have it (`contract.events.is_personal`).
    """

    sequence: int
    workspace_id: str
    audience: str
    payload: bytes
    personal: bool = False


class RecentEvents:
    """A window that ends at the newest event, without holes, bounded by number and by bytes."""

    def __init__(self, *, max_events: int, max_bytes: int) -> None:
        """Keep nothing when either bound is 0."""
        self._events: deque[PastEvent] = deque()
        self._bytes = 0
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._floor = 0

    def __len__(self) -> int:
        return len(self._events)

    def clear(self, *, floor: int) -> None:
        """Begin anew: everything after sequence `floor` will be added."""
        self._events.clear()
        self._bytes = 0
        self._floor = floor

    def add(self, event: PastEvent) -> None:
        """Add the newest event; the oldest make room."""
        events = self._events
        events.append(event)
        self._bytes += len(event.payload) + _OVERHEAD
        while events and (len(events) > self._max_events or self._bytes > self._max_bytes):
            oldest = events.popleft()
            self._bytes -= len(oldest.payload) + _OVERHEAD
            self._floor = oldest.sequence

    def after(self, sequence: int) -> list[PastEvent] | None:
        """Every event after a sequence, in order; None when the window does not reach back that far."""
        if sequence < self._floor:
            return None
        found: list[PastEvent] = []
        for event in reversed(self._events):  # costs what was missed, not what is kept
            if event.sequence <= sequence:
                break
            found.append(event)
        found.reverse()
        return found
