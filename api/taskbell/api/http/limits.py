"""A bound on request bodies, kept before a byte too many is held."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from taskbell.api.http.problem import problem_response
from taskbell.contract.problems import ProblemCode, Refused


class BodyTooLarge(Refused):
    """The body is larger than this service accepts."""

    code = ProblemCode.BODY_TOO_LARGE


class BodyLimit:
    """Refuses bodies over `limit` bytes: at once by their Content-Length, else as soon as they have grown too long."""

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        """Wrap an application."""
        self._app = app
        self._limit = limit
        self._detail = f"The body is larger than {limit} bytes."

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, counting what it brings."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        for name, value in scope["headers"]:
            if name == b"content-length":
                if not value.isdigit() or int(value[:20]) > self._limit:
                    answer = problem_response(
                        ProblemCode.BODY_TOO_LARGE,
                        detail=self._detail,
                        instance=scope["path"],
                        headers={"Connection": "close"},
                    )
                    await answer(scope, receive, send)
                    return
                await self._app(scope, receive, send)
                return
            if name == b"transfer-encoding":
                await self._app(scope, self._counting(receive), send)
                return
        await self._app(scope, receive, send)

    def _counting(self, receive: Receive) -> Receive:
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._limit:
                raise BodyTooLarge(self._detail, headers={"Connection": "close"})
            return message

        return counted
