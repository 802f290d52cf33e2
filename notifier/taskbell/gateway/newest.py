"""Coalescing: of the events about one task that wait for a slow client, only the newest stays.

An event may give way to a later one that waits behind it, so that no cursor of the client is ever past both. The later
one must tell as much: it holds the long text if the earlier one does, and it is addressed to the client if the earlier
one is, because a client that resumes with fewer channels gets only what is addressed to it. So at most three events of
a task wait. What is not about a task's state never gives way, and neither does the end of a task.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from itertools import product

from taskbell.gateway.live import LiveEvent


class Newest:
    """The waiting events, in order. Each call costs the same, however many wait.

    Attributes:
        size: Their bytes.
    """

    __slots__ = ("_reader", "_waiting", "size")

    def __init__(self, reader: str) -> None:
        """Take the user for whom they wait."""
        self._reader = reader
        self._waiting: OrderedDict[Hashable, tuple[LiveEvent, int]] = OrderedDict()
        self.size = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def events(self) -> Iterable[LiveEvent]:
        """Return those that wait."""
        return [event for event, _ in self._waiting.values()]

    def add(self, event: LiveEvent) -> list[LiveEvent]:
        """Add an event behind the others; return those that gave way to it."""
        state, others = event.state, 0
        dropped: list[LiveEvent] = []
        name: Hashable = event.sequence
        if state is not None:
            is_addressed = event.is_addressed_to(self._reader)
            for covered in product(_covered(by=state.is_whole), _covered(by=is_addressed)):
                found = self._waiting.pop((state.task, *covered), None)
                if found is not None:
                    dropped.append(found[0])
                    others += 1 + found[1]
                    self.size -= len(found[0])
            if not state.is_end:
                name = (state.task, state.is_whole, is_addressed)
        self._waiting[name] = (event, others)
        self.size += len(event)
        return dropped

    def pop(self) -> tuple[LiveEvent, int]:
        """Remove the first event; return it with the number of those that it stands for besides itself."""
        _, (event, others) = self._waiting.popitem(last=False)
        self.size -= len(event)
        return event, others


def _covered(*, by: bool) -> tuple[bool, ...]:
    return (False, True) if by else (False,)
