"""The events that wait to be written to one connection: limited, in order, each once."""

from __future__ import annotations

from collections import deque

from taskbell.gateway.unsent import Unsent

_CHUNK_BYTES = 64 * 1024


class QueueOverflow(Exception):
    """The client reads more slowly than events come."""


class SendQueue:
    """The events of one connection between the hub and the wire.

    While `flowing` is true, an event may be written at once. It is false until `release`, while the transport is full
    (`pause`), while older frames wait, and after `close`.
    """

    __slots__ = (
        "_bytes",
        "_closed",
        "_frames",
        "_held",
        "_max_bytes",
        "_max_messages",
        "_paused",
        "_unsent",
        "flowing",
    )

    def __init__(self, *, max_messages: int, max_bytes: int, unsent: Unsent | None = None) -> None:
        """Begin held: the `welcome` goes first. `unsent` counts the frames of all queues together."""
        self._unsent = unsent
        self._frames: deque[bytes] = deque()
        self._bytes = 0
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._held = True
        self._paused = False
        self._closed = False
        self.flowing = False

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def size(self) -> int:
        """The bytes of what it holds."""
        return self._bytes

    def keep(self, frame: bytes) -> None:
        """Keep an event that cannot be written now. After `close`, drop it: the client resumes by cursor.

        Raises:
            QueueOverflow: The queue is full; the connection must be closed.
        """
        if self._closed:
            return
        if len(self._frames) >= self._max_messages or self._bytes + len(frame) > self._max_bytes:
            raise QueueOverflow
        self._frames.append(frame)
        self._bytes += len(frame)
        if self._unsent is not None:
            self._unsent.kept(frame)

    def take(self) -> bytes:
        """Return what may be written now, about 64 KiB at most; empty if there is nothing."""
        if self._held or self._paused or self._closed:
            return b""
        chunk: list[bytes] = []
        size = 0
        while self._frames and size < _CHUNK_BYTES:
            frame = self._frames.popleft()
            chunk.append(frame)
            size += len(frame)
            if self._unsent is not None:
                self._unsent.released(frame)
        self._bytes -= size
        self._settle()
        return b"".join(chunk)

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
            for frame in self._frames:
                self._unsent.released(frame)
        self._frames.clear()
        self._bytes = 0
        self._settle()

    def _settle(self) -> None:
        self.flowing = not (self._held or self._paused or self._closed or self._frames)
