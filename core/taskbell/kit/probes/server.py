"""A small HTTP server for the probes of programs that serve nothing else.

It answers one GET or HEAD request per connection and reads no body. A request and its answer may take 5 s together;
the head may have 16 KiB.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus

from taskbell.kit.probes import answers
from taskbell.kit.probes.answers import Answer
from taskbell.kit.probes.health import Check, examine

_REQUEST_SECONDS = 5.0
_HEAD_BYTES = 16 * 1024
_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([^\s?]+)(?:\?\S*)? HTTP/1\.[0-9]\r\n")


@asynccontextmanager
async def serving_probes(checks: Mapping[str, Check], *, listening: socket.socket) -> AsyncIterator[None]:
    """Answer probes for the length of the block; `/readyz` runs the checks. Takes over the listening socket."""
    connections: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(_serve(reader, writer, checks), name="probe")
        connections.add(task)
        task.add_done_callback(connections.discard)

    server = await asyncio.start_server(connected, sock=listening, limit=_HEAD_BYTES)
    try:
        yield
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await server.wait_closed()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, checks: Mapping[str, Check]) -> None:
    try:
        async with asyncio.timeout(_REQUEST_SECONDS):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.LimitOverrunError:
                answer = answers.text(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The head has more than 16 KiB.\n")
                head = b""
            else:
                answer = await respond(head, checks)
            writer.write(serialized(answer, with_body=not head.startswith(b"HEAD ")))
            writer.close()
            await writer.wait_closed()
    except (TimeoutError, OSError, asyncio.IncompleteReadError):
        return  # the client is too slow, or gone
    finally:
        writer.transport.abort()  # does nothing after a clean end


async def respond(head: bytes, checks: Mapping[str, Check]) -> Answer:
    """Return the answer to a request's head."""
    request = _REQUEST_LINE.match(head)
    if request is None:
        return answers.text(HTTPStatus.BAD_REQUEST, "The request is malformed.\n")
    method, path = request.groups()
    if path not in {b"/livez", b"/readyz", b"/metrics"}:
        return answers.text(HTTPStatus.NOT_FOUND, "Only /livez, /readyz and /metrics are here.\n")
    if method not in {b"GET", b"HEAD"}:
        return answers.text(HTTPStatus.METHOD_NOT_ALLOWED, "Only GET and HEAD are allowed.\n", Allow="GET, HEAD")
    if path == b"/livez":
        return answers.live()
    if path == b"/readyz":
        return answers.ready(await examine(checks))
    return answers.metrics()


def serialized(answer: Answer, *, with_body: bool) -> bytes:
    """Return the bytes of an answer after which the connection is closed."""
    headers = {**answer.headers, "Content-Length": str(len(answer.body)), "Connection": "close"}
    lines = [f"HTTP/1.1 {answer.status.value} {answer.status.phrase}", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join([*lines, "\r\n"]).encode() + (answer.body if with_body else b"")
