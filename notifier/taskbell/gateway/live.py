"""An event on its way to the connections of this process: encoded once, shared by all of them."""

from __future__ import annotations

from typing import NamedTuple

from taskbell.contract.events import EventType, omits_state, subject_of, tells_task_state
from taskbell.gateway.frames import event_frame, text_frame, text_of
from taskbell.gateway.recent import StreamEvent

_UNREAD = object()


class TaskState(NamedTuple):
    """What an event tells of a task.

    Attributes:
        task: The task: its workspace's id and its own.
        is_whole: It holds every field of the task, or the task is gone; otherwise a long text is left out.
        is_end: It reports that the task is gone.
    """

    task: tuple[str, str]
    is_whole: bool
    is_end: bool


class LiveEvent:
    """An event with its frame.

    Attributes:
        sequence: Its place in the stream.
        frame: The frame of the WebSocket.
    """

    __slots__ = ("_audience", "_block", "_cursor", "_state", "_type", "_workspace_id", "frame", "sequence")

    def __init__(self, epoch: int, event: StreamEvent) -> None:
        """Encode an event of the stream of this epoch."""
        self.sequence = event.sequence
        self.frame = event_frame(epoch, event.sequence, event.payload)
        self._cursor = b"%d-%d" % (epoch, event.sequence)
        self._workspace_id = event.workspace_id
        self._type = event.type
        self._audience = event.audience
        self._state: object = _UNREAD
        self._block = b""

    def __len__(self) -> int:
        """The bytes on the wire, about."""
        return len(self.frame)

    def is_addressed_to(self, user_id: str) -> bool:
        """Whether the `me` channel of a user carries it."""
        return bool(user_id) and user_id in self._audience  # ids have one form and length

    @property
    def state(self) -> TaskState | None:
        """What it tells of a task; None if it is about something else.

        Few events are asked, and those once: the text is searched, never parsed.
        """
        if self._state is _UNREAD:
            self._state = self._read()
        return self._state if isinstance(self._state, TaskState) else None

    def standing_for(self, others: int) -> bytes:
        """Return the frame that also says for how many earlier events about the same task it stands."""
        return text_frame(self._text(others)) if others else self.frame

    def block(self, others: int) -> bytes:
        """Return the same as a server-sent event, whose id is the cursor."""
        if others:
            return self._written(self._text(others))
        if not self._block:
            self._block = self._written(text_of(self.frame))
        return self._block

    def _text(self, others: int) -> bytes:
        head = len(b'{"t":"event","cursor":"') + len(self._cursor) + len(b'",')
        text = text_of(self.frame)
        return b'%b"coalesced":%d,%b' % (text[:head], others, text[head:])

    def _written(self, text: bytes) -> bytes:
        # A line break in JSON is only ever white space; in a block each line has its own `data`.
        lines = text if b"\n" not in text and b"\r" not in text else b"\ndata: ".join(text.splitlines())
        return b"id: %b\nevent: event\ndata: %b\n\n" % (self._cursor, lines)

    def _read(self) -> TaskState | None:
        if not tells_task_state(self._type):
            return None
        subject = subject_of(self.frame)
        if not subject:
            return None
        is_end = self._type == EventType.TASK_DELETED
        return TaskState((self._workspace_id, subject), is_end or not omits_state(self.frame), is_end)
