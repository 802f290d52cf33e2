"""One timer for all connections: a hashed timing wheel."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class TimerWheel(Generic[T]):
    """Keeps when each item is due, to a resolution, at a cost per item that does not grow with their number."""

    def __init__(self, *, resolution: float, now: float) -> None:
        """Begin at `now`; `resolution` is in seconds."""
        self._resolution = resolution
        self._next = self._slot(now)
        self._slots: dict[int, set[T]] = {}
        self._places: dict[T, int] = {}

    def __len__(self) -> int:
        return len(self._places)

    def schedule(self, item: T, at: float) -> None:
        """Make an item due at a time, which replaces its former one; an infinite time removes it."""
        if at == math.inf:
            self.remove(item)
            return
        slot = max(self._slot(at) + 1, self._next)
        if self._places.get(item) == slot:
            return
        self.remove(item)
        self._places[item] = slot
        self._slots.setdefault(slot, set()).add(item)

    def remove(self, item: T) -> None:
        """Remove an item."""
        slot = self._places.pop(item, None)
        if slot is not None:
            waiting = self._slots[slot]
            waiting.discard(item)
            if not waiting:
                del self._slots[slot]

    def due(self, now: float) -> list[T]:
        """Remove and return the items that are due."""
        found: list[T] = []
        last = self._slot(now)
        while self._next <= last:
            for item in self._slots.pop(self._next, ()):
                del self._places[item]
                found.append(item)
            self._next += 1
        return found

    def _slot(self, at: float) -> int:
        return int(at / self._resolution)
