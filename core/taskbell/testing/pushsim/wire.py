"""What goes over the wire: a request, and the reply to it, which may be another thing than an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from h2.errors import ErrorCodes

_NONE: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        method: Such as `POST`.
        path: The path with the query.
        headers: Fields by lower-case name, without the pseudo-header fields. Of a repeated one, the last.
        repeated: Names that came more than once.
        body: At most 256 KB.
        port: The port of the server that it came to.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    repeated: frozenset[str]
    body: bytes
    port: int


@dataclass(frozen=True, slots=True)
class Answer:
    """A status (200 to 599), header fields with lower-case names, and a body."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: _NONE)


class Ending(StrEnum):
    """What happens on the wire after a request."""

    ANSWER = "answer"
    RESET = "reset"
    """RST_STREAM instead of the answer; other streams go on."""
    CUT = "cut"
    """The TCP connection breaks, without a word."""
    GOAWAY = "goaway"
    """GOAWAY that spares this stream, the answer, and the end of the connection when its streams are done."""
    GOAWAY_ERROR = "goaway_error"
    """GOAWAY with an error code, and the end of the connection: this request and later ones were not processed."""
    SILENT = "silent"
    """Nothing, for as long as the client waits."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server does after a request, `delay` seconds later. `code` is the error code of a frame."""

    answer: Answer
    delay: float = 0.0
    ending: Ending = Ending.ANSWER
    code: int = ErrorCodes.INTERNAL_ERROR
    debug: bytes = b""


Handle = Callable[[Request], Reply]
