"""Bounds of connections: how long they wait for their clients, and how many a process has."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeVar


class Late(Enum):
    """What a client is late with. The value is the label of the metric."""

    HEAD = "head"
    """The rest of the head of a request, or the first request."""
    BODY = "body"
    """The rest of a body."""
    READING = "reading"
    """Reading a response."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Bounds of the connections of one process.

    Attributes:
        most: Connections at a time.
        head_seconds: From the first byte of a request, or from the connection, to the end of its head.
        request_seconds: From the first byte of a request to its last one.
        reading_seconds: How long a client may leave a response unread, and longer by a second for each 32 KiB.
        held_bytes: Bytes of unfinished bodies and of unread responses, see `Held`.
    """

    most: int = 2_000
    head_seconds: float = 10.0
    request_seconds: float = 60.0
    reading_seconds: float = 30.0
    held_bytes: int = 64 * 1024 * 1024

    @property
    def shortest(self) -> float:
        """How often a connection is looked at: no client is late by more than this."""
        return min(self.head_seconds, self.request_seconds, self.reading_seconds)


SLOWEST_READING = 32 * 1024
"""Bytes a second at which a client must read what it asked for."""
_AT_ONCE = 16
"""One in so many connections is given up at a time, so that a flood of connections costs little."""


@dataclass(slots=True)
class Held:
    """What the connections of a process hold for clients that are not done: bodies to come, and responses unread."""

    bytes: int = 0


class Waiting(Protocol):
    """A connection, as `oldest` needs it."""

    def gives_way(self) -> bool:
        """Whether it waits for its client, and no request of it is worked on."""

    def rank(self) -> tuple[bool, float]:
        """What gives way first is smallest."""


W = TypeVar("W", bound=Waiting)


def oldest(connections: Iterable[W], *, most: int) -> list[W]:
    """Choose which connections give way to a new one: those that wait longest, and never had a request first.

    A connection with a request at work never gives way, so there may be none. One whose request has a head, and a body
    that is still to come, does: else half bodies fill a process.
    """
    waiting = (each for each in connections if each.gives_way())
    return heapq.nsmallest(max(1, most // _AT_ONCE), waiting, key=lambda each: each.rank())
