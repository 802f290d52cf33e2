"""The events that wait to be written to one connection: limited, in order, each once.

When it is full it keeps only the newest event of each task (`newest`), until it is empty again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from taskbell.gateway.live import LiveEvent
from taskbell.gateway.newest import Newest
from taskbell.gateway.unsent import Unsent

_CHUNK_BYTES = 64 * 1024


class QueueOverflow(Exception):
    """The client reads more slowly than events come."""


class SendQueue:
    """The events of one connection between the hub and the wire.

    While `flowing` is true, an event may be written at once. It is false until `release`, while the transport is full
    (`pause`), while older events wait, and after `close`.

    Attributes:
        reader: The user for whom they wait.
        coalesces: Whether events may give way to newer ones of the same task when it is full.
        encode: Writes an event that stands for so many others.
    """

    __slots__ = (
        "_bytes",
        "_closed",
        "_events",
        "_held",
        "_max_bytes",
        "_max_messages",
        "_newest",
        "_paused",
        "_unsent",
        "coalesces",
        "encode",
        "flowing",
        "reader",
    )

    def __init__(self, *, max_messages: int, max_bytes: int, unsent: Unsent | None = None) -> None:
        """Begin held: the `welcome` goes first. `unsent` counts the events of all queues together."""
        self._unsent = unsent
        self._events: deque[LiveEvent] = deque()
        self._newest: Newest | None = None
        self._bytes = 0
        self.reader = ""
        self.coalesces = True
        self.encode: Callable[[LiveEvent, int], bytes] = LiveEvent.standing_for
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._held = True
        self._paused = False
        self._closed = False
        self.flowing = False

    def __len__(self) -> int:
        return len(self._events) if self._newest is None else len(self._newest)

    @property
    def size(self) -> int:
        """The bytes of what it holds."""
        return self._bytes if self._newest is None else self._newest.size

    @property
    def is_paused(self) -> bool:
        """Whether the transport is full."""
        return self._paused

    def waiting(self) -> Iterable[LiveEvent]:
        """The events that it holds, in order."""
        return list(self._events) if self._newest is None else self._newest.events()

    def keep(self, event: LiveEvent) -> int:
        """Keep an event that cannot be written now; return how many gave way to it.

        After `close`, drop it: the client resumes by cursor.

        Raises:
            QueueOverflow: The queue is full; the connection must be closed.
        """
        if self._closed:
            return 0
        gave_way = 0 if self._has_room(for_=event) else self.coalesce()
        if self._newest is not None:
            gave_way += self._coalesced(self._newest, event)
        else:
            self._events.append(event)
            self._bytes += len(event)
        if self._unsent is not None:
            self._unsent.kept(event)
        if len(self) > self._max_messages or self.size > self._max_bytes:
            raise QueueOverflow
        return gave_way

    def coalesce(self) -> int:
        """Keep only the newest event of each task from now on until it is empty; return how many gave way."""
        if self._newest is not None or self._closed or not self.coalesces:
            return 0
        self._newest = Newest(self.reader)
        gave_way = sum(self._coalesced(self._newest, event) for event in self._events)
        self._events.clear()
        self._bytes = 0
        return gave_way

    def take(self) -> bytes:
        """Return what may be written now, about 64 KiB at most; empty if there is nothing."""
        if self._held or self._paused or self._closed:
            return b""
        chunk: list[bytes] = []
        size = 0
        while len(self) and size < _CHUNK_BYTES:
            event, others = self._pop()
            chunk.append(self.encode(event, others))
            size += len(event)
            if self._unsent is not None:
                self._unsent.released(event)
        self._settle()
        return b"".join(chunk)

    def _pop(self) -> tuple[LiveEvent, int]:
        if self._newest is None:
            event = self._events.popleft()
            self._bytes -= len(event)
            return event, 0
        found = self._newest.pop()
        if not len(self._newest):
            self._newest = None
        return found

    def _has_room(self, *, for_: LiveEvent) -> bool:
        return len(self) < self._max_messages and self.size + len(for_) <= self._max_bytes

    def _coalesced(self, newest: Newest, event: LiveEvent) -> int:
        dropped = newest.add(event)
        if self._unsent is not None:
            for one in dropped:
                self._unsent.released(one)
        return len(dropped)

    def hold(self) -> None:
        """Hold all events: a replay of older ones goes first."""
        self._held = True
        self._settle()

    def release(self) -> None:
        """The replay is over."""
        self._held = False
        self._settle()

    def pause(self) -> None:
        """The transport is full."""
        self._paused = True
        self._settle()

    def resume(self) -> None:
        """The transport takes bytes again."""
        self._paused = False
        self._settle()

    def close(self) -> None:
        """Drop everything, and all that comes later."""
        self._closed = True
        if self._unsent is not None:
            for event in self.waiting():
                self._unsent.released(event)
        self._events.clear()
        self._newest = None
        self._bytes = 0
        self._settle()

    def _settle(self) -> None:
        self.flowing = not (self._held or self._paused or self._closed or len(self))
