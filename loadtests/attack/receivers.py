"""HTTP servers that receive webhooks: one answers at once, one late, one never."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

_HEAD_BYTES = 64 * 1024
_DONE = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_HINT = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"

Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
"""Takes a request's body and writes the response."""


async def answer_late(_body: bytes, writer: asyncio.StreamWriter) -> None:
    """Answer 200 a second before the delivery worker gives up."""
    await asyncio.sleep(14)
    writer.write(_DONE)


async def hint_forever(_body: bytes, writer: asyncio.StreamWriter) -> None:
    """Send interim responses without end, thousands a second."""
    while True:
        writer.write(_HINT * 512)
        await writer.drain()
        await asyncio.sleep(0.1)


def answer_at_once(taken: Callable[[bytes], None]) -> Answer:
    """Answer 200 and pass the body on."""

    async def answer(body: bytes, writer: asyncio.StreamWriter) -> None:
        taken(body)
        writer.write(_DONE)

    return answer


@asynccontextmanager
async def receiving(answer: Answer) -> AsyncIterator[str]:
    """Serve on a free port of this machine; yield the URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0] or 0)
            await answer(await reader.readexactly(length), writer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return  # the worker has ended the connection
        except asyncio.CancelledError:
            return  # the loop ends; Python 3.11 reports a cancelled handler as an error
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=_HEAD_BYTES)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    finally:
        server.close()
