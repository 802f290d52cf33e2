"""What waits for slow clients, on all connections of a process together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from taskbell.gateway.live import LiveEvent


class Waiting(Protocol):
    """A connection for which something may wait."""

    @property
    def waiting_bytes(self) -> int:
        """How much waits for it."""

    def lighten(self) -> None:
        """Keep only the newest of what waits about each task, where the client allows it."""

    def too_slow(self) -> None:
        """Drop what waits, and close the connection."""


class Unsent:
    """Counts the bytes that wait in memory. An event that waits for many connections is there once.

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

    def kept(self, event: LiveEvent) -> None:
        """A queue holds an event now."""
        holders = self._holders.get(id(event), 0)
        self._holders[id(event)] = holders + 1
        if not holders:
            self.size += len(event)

    def released(self, event: LiveEvent) -> None:
        """A queue holds an event no longer."""
        holders = self._holders[id(event)] - 1
        if holders:
            self._holders[id(event)] = holders
        else:
            del self._holders[id(event)]
            self.size -= len(event)

    def added(self, size: int) -> None:
        """So many bytes wait that no other connection waits for; fewer, if `size` is negative."""
        self.size += size

    def make_room(self) -> None:
        """Past the bound, coalesce what waits for the connections with the most, and then close them, until it fits.

        So a crowd of slow clients costs no other client its events, and the process not its memory.
        """
        for connection in self._heaviest():
            connection.lighten()
        for connection in self._heaviest():
            connection.too_slow()

    def _heaviest(self) -> Iterator[Waiting]:
        """The connections with the most waiting bytes, as long as all together are past the bound."""
        if self.size <= self._at_most:
            return
        for connection in sorted(self.connections(), key=lambda one: one.waiting_bytes, reverse=True):
            if self.size <= self._at_most or not connection.waiting_bytes:
                return
            yield connection
