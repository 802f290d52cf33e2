"""What waits for slow clients, on all connections of a process together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol


class Waiting(Protocol):
    """A connection for which something may wait."""

    @property
    def waiting_bytes(self) -> int:
        """How much waits for it."""

    def too_slow(self) -> None:
        """Drop what waits, and close the connection."""


class Unsent:
    """Counts the bytes that wait in memory. A frame that waits for many connections is there once.

    Attributes:
        size: The bytes.
        connections: Returns the connections that are open.
    """

    def __init__(self, *, at_most: int) -> None:
        """Take the bound in bytes."""
        self.size = 0
        self.connections: Callable[[], Iterable[Waiting]] = tuple
        self._at_most = at_most
        self._holders: dict[int, int] = {}

    def kept(self, frame: bytes) -> None:
        """A queue holds a frame now."""
        holders = self._holders.get(id(frame), 0)
        self._holders[id(frame)] = holders + 1
        if not holders:
            self.size += len(frame)

    def released(self, frame: bytes) -> None:
        """A queue holds a frame no longer."""
        holders = self._holders[id(frame)] - 1
        if holders:
            self._holders[id(frame)] = holders
        else:
            del self._holders[id(frame)]
            self.size -= len(frame)

    def added(self, size: int) -> None:
        """So many bytes wait that no other connection waits for; fewer, if `size` is negative."""
        self.size += size

    def make_room(self) -> None:
        """Past the bound, close the connections with the most waiting bytes until the rest fits.

        So a crowd of slow clients costs no other client its events, and the process not its memory.
        """
        if self.size <= self._at_most:
            return
        for connection in sorted(self.connections(), key=lambda one: one.waiting_bytes, reverse=True):
            if self.size <= self._at_most or not connection.waiting_bytes:
                return
            connection.too_slow()
