"""`/livez`, `/readyz` and `/metrics` of a worker that serves nothing else."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus

import orjson
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from taskbell.kit.health import Check, examine

_REQUEST_SECONDS = 5.0
_REQUEST_BYTES = 16 * 1024


class Probes:
    """Answers one request a connection."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        """Take what `/readyz` asks."""
        self._checks = checks

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection."""
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                request = await reader.readuntil(b"\r\n\r\n")
                writer.write(await self._respond(request))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return  # whoever asked has left, or never asked
        finally:
            writer.close()

    async def _respond(self, request: bytes) -> bytes:
        words = request.split(b" ", 2)
        path = words[1].partition(b"?")[0] if len(words) == 3 else b""
        match path:
            case b"/livez":
                return _answer(HTTPStatus.OK, "text/plain", b"ok")
            case b"/readyz":
                health = await examine(self._checks)
                document = orjson.dumps({"ok": health.ok, "checks": dict(health.checks)})
                return _answer(
                    HTTPStatus.OK if health.ok else HTTPStatus.SERVICE_UNAVAILABLE, "application/json", document
                )
            case b"/metrics":
                return _answer(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest())
            case _:
                return _answer(HTTPStatus.NOT_FOUND, "text/plain", b"probes only\n")


def _answer(status: HTTPStatus, media_type: str, body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


@asynccontextmanager
async def serving(checks: Mapping[str, Check], *, listening: socket.socket) -> AsyncIterator[None]:
    """Answer probes on a socket, which is taken over, for the length of the block."""
    server = await asyncio.start_server(Probes(checks).answer, sock=listening, limit=_REQUEST_BYTES)
    try:
        yield
    finally:
        server.close()
        await server.wait_closed()
