"""The event cursor: a reader's place in the stream of events."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FORM = re.compile(r"\A([1-9][0-9]{0,9})-(0|[1-9][0-9]{0,18})\Z", re.ASCII)


class CursorMalformed(ValueError):
    """The text does not have the form of a cursor."""


@dataclass(frozen=True, slots=True, order=True)
class EventCursor:
    """A place in the event stream, opaque to clients.

    Attributes:
        epoch: The identity of the stream. A rebuilt stream has a higher one, and cursors of an earlier epoch
            are answered with `gap`.
        sequence: The JetStream sequence of the last event its holder has seen; 0 means none.
    """

    epoch: int
    sequence: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.sequence}"

    @classmethod
    def parse(cls, text: str) -> EventCursor:
        """Read a cursor.

        Raises:
            CursorMalformed: The text has another form.
        """
        found = _FORM.match(text)
        if found is None:
            raise CursorMalformed("not an event cursor")
        return cls(epoch=int(found[1]), sequence=int(found[2]))


def is_cursor(text: str) -> bool:
    """Whether a text has the form of a cursor."""
    return _FORM.match(text) is not None
