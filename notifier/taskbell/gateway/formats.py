"""How frames are written: as messages of a WebSocket, or as server-sent events.

Both carry the same JSON texts, so that a client reads them alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Protocol

import orjson

from taskbell.contract.frames import CloseCode, Resume, ServerFrame
from taskbell.contract.problems import MEDIA_TYPE, TYPE_BASE
from taskbell.gateway.frames import text_frame
from taskbell.gateway.live import LiveEvent

RETRY_MS = 1_000
"""After how many milliseconds an `EventSource` connects again, unless `goaway` says otherwise."""
_TRY_AGAIN_LATER = HTTPStatus.SERVICE_UNAVAILABLE
_STATUSES: Mapping[int, HTTPStatus] = {
    CloseCode.BAD_FRAME: HTTPStatus.BAD_REQUEST,
    CloseCode.SIGN_IN: HTTPStatus.UNAUTHORIZED,
    CloseCode.FORBIDDEN: HTTPStatus.FORBIDDEN,
    CloseCode.TOO_MANY_CONNECTIONS: HTTPStatus.TOO_MANY_REQUESTS,
}
"""How a session that ends before its welcome is answered. All other ends: the client may try again."""


class Format(Protocol):
    """Writes what one connection is sent."""

    def event(self, event: LiveEvent, others: int) -> bytes:
        """Write an event, which stands for `others` earlier ones of its task."""

    def control(self, text: bytes) -> bytes:
        """Write any other frame, given its JSON text."""


class WebSocketFormat:
    """Text frames without a mask."""

    @staticmethod
    def event(event: LiveEvent, others: int) -> bytes:
        """Return the frame that all receivers share, unless it stands for others."""
        return event.standing_for(others) if others else event.frame

    @staticmethod
    def control(text: bytes) -> bytes:
        """Frame the text."""
        return text_frame(text)


class EventStreamFormat:
    """The response to `GET /sse`: HTML Living Standard, section 9.2 (server-sent events).

    Nothing is written before the outcome is known: the `welcome` begins the stream, and a session that ends before gets
    an HTTP error with a problem document (RFC 9457). The body ends with the connection (RFC 9112, section 6.3), which
    HTTP/1.0 knows, too; a client drops a last block that is incomplete.
    """

    def __init__(self, *, origin: str | None) -> None:
        """Take the page's origin, which may read the answer; None for a client without."""
        self._allowed = {"Vary": "Origin", **({} if origin is None else {"Access-Control-Allow-Origin": origin})}
        self._has_begun = False
        self._error: dict[str, Any] = {}

    def event(self, event: LiveEvent, others: int) -> bytes:
        """Return the block that all receivers share, unless it stands for others."""
        return event.block(others)

    def control(self, text: bytes) -> bytes:
        """Write a block. A `ping` is a comment, perhaps with a cursor; a `welcome` with a gap is named `gap`."""
        fields: dict[str, Any] = orjson.loads(text)
        kind, cursor = fields["t"], fields.get("cursor")
        place = f"id: {cursor}\n".encode() if cursor is not None else b""
        if kind == ServerFrame.WELCOME:
            self._has_begun = True
            name = "gap" if fields["resume"] == Resume.GAP else "welcome"
            return self._head() + b"retry: %d\n" % RETRY_MS + place + _block(name, text)
        if not self._has_begun:
            if kind == ServerFrame.ERROR:
                self._error = fields
            return b""
        match kind:
            case ServerFrame.PING:
                return b": ping\n" + place + b"\n"
            case ServerFrame.GOAWAY:
                return b"retry: %d\n" % fields["retry_after_ms"] + _block("goaway", text)
            case ServerFrame.ERROR:  # an `EventSource` has an event `error` of its own
                return _block("problem", text)
            case _:
                return place + _block(kind, text)

    def end(self, code: int, reason: str) -> bytes:
        """Write why the connection ends: a last block, or the answer if the stream has not begun."""
        if self._has_begun:
            return _block("close", orjson.dumps({"t": "close", "code": code, "reason": reason}))
        status = _TRY_AGAIN_LATER if self._error.get("retryable") else _STATUSES.get(code, _TRY_AGAIN_LATER)
        problem = self._error.get("code", "unavailable")
        body = orjson.dumps(
            {
                "type": f"{TYPE_BASE}/{problem}",
                "title": status.phrase,
                "status": status.value,
                "code": problem,
                "detail": self._error.get("message", reason),
            }
        )
        headers = {"Content-Type": MEDIA_TYPE, "Content-Length": str(len(body))}
        if status is HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Bearer"
        elif status in {HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS}:
            headers["Retry-After"] = "1"
        return _head(status, {**headers, **self._allowed}) + body

    def _head(self) -> bytes:
        # nginx would collect the stream before it passes it on (`X-Accel-Buffering`).
        return _head(HTTPStatus.OK, {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no", **self._allowed})


def _head(status: HTTPStatus, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", "Cache-Control: no-store", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _block(name: str, text: bytes) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), text)
