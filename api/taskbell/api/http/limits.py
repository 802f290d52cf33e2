"""A limit for request bodies: no more is held in memory, and the client can still read the error."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from taskbell.api.http.problem import problem_response
from taskbell.contract.problems import ProblemCode, Refused

DRAINED_BYTES = 64 * 1024 * 1024
"""How much of a refused body is read and discarded. Closing at once would reset the connection, and most clients read
the response only after they have sent everything."""
DRAIN_SECONDS = 10.0
ANONYMOUS_BYTES = 16 * 1024
"""The longest body of a request that needs no access token."""
_ANONYMOUS = ("/v1/auth/", "/v1/unsubscribe")
_MOST_DIGITS = 19


class BodyTooLarge(Refused):
    """The body is larger than this service accepts."""

    code = ProblemCode.BODY_TOO_LARGE


class BodyLimit:
    """Refuses bodies over `limit` bytes: at once by their Content-Length, otherwise as soon as they exceed it.

    The bytes of every body are counted, whatever its head announces. Before a sign-in less is accepted, because anybody
    can send it on every connection.
    """

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        """Wrap an application."""
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and count the bytes of its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        limit = min(self._limit, ANONYMOUS_BYTES) if path.startswith(_ANONYMOUS) else self._limit
        for name, value in scope["headers"]:
            if name == b"content-length" and not _permits(value, limit=limit):
                await _drain(receive)
                code, detail = ProblemCode.BODY_TOO_LARGE, _detail(limit)
                await problem_response(code, detail=detail, instance=path, headers=_CLOSE)(scope, receive, send)
                return
        await self._app(scope, _counting(receive, limit=limit), send)


def _permits(length: bytes, *, limit: int) -> bool:
    """Whether a Content-Length is a number up to the limit (RFC 9110, section 8.6: any number of digits)."""
    digits = length.lstrip(b"0")
    # `int` refuses thousands of digits, and needs time that grows with their square.
    return length.isdigit() and len(digits) <= _MOST_DIGITS and int(digits or b"0") <= limit


def _counting(receive: Receive, *, limit: int) -> Receive:
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            if message.get("more_body", False):
                await _drain(receive)
            raise BodyTooLarge(_detail(limit), headers=_CLOSE)
        return message

    return counted


def _detail(limit: int) -> str:
    return f"The body is larger than {limit} bytes."


_CLOSE = {"Connection": "close"}


async def _drain(receive: Receive) -> None:
    """Discard the rest of the body, up to a limit in bytes and time."""
    thrown = 0
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            while thrown < DRAINED_BYTES:
                message = await receive()
                thrown += len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
    except TimeoutError:
        return
