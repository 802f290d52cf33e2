"""How far a client has come: the position of a request, from its header and for that of its answer. Pure.

A position is a transaction id (`xid8`), as a decimal number. A replica has come to it when it shows no older
transaction as unfinished any more.
"""

from __future__ import annotations

from contextvars import ContextVar

LATEST = 2**64 - 1
"""The position that no replica ever reaches: only the primary may answer."""
LATEST_TEXT = "latest"
"""`LATEST` as clients send and get it."""
_MOST_DIGITS = 20


class PositionMalformed(ValueError):
    """A text is not a position."""


class Consistency:
    """What is known of one request.

    Attributes:
        wanted: The position that the client sent: it may read nothing older. None if it sent none.
        reached: The position of its own change. None while nothing told it.
        from_primary: Whether the primary answered a read, which may be newer than every replica.
    """

    __slots__ = ("from_primary", "reached", "wanted")

    def __init__(self, wanted: int | None = None) -> None:
        """Begin with what the client sent."""
        self.wanted = wanted
        self.reached: int | None = None
        self.from_primary = False


current: ContextVar[Consistency | None] = ContextVar("taskbell_consistency", default=None)
"""That of the request that is worked on."""


def reached(position: str | None) -> None:
    """Note the position that the latest statement of a change returned, None if none, for the answer to its request."""
    request = current.get()
    if request is not None:
        request.reached = None if position is None else int(position)


def parse(text: str) -> int:
    """Read a position. Raises `PositionMalformed`."""
    if text == LATEST_TEXT:
        return LATEST
    if not (text.isascii() and text.isdigit()) or len(text) > _MOST_DIGITS:
        raise PositionMalformed(f"give a number that an earlier answer held, or `{LATEST_TEXT}`")
    return min(int(text), LATEST)


def text_of(position: int) -> str:
    """Write a position as `parse` reads it."""
    return LATEST_TEXT if position >= LATEST else str(position)
