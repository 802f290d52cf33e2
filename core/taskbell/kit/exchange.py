"""One HTTP/1.1 request and its response, on a connection of its own and within bounds.

A receiver may be hostile: what it sends costs the worker a bounded number of bytes and of parsed parts, however it is
divided. An HTTP client would also read interim responses without end, which httpx does.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

import h11

MOST_INTERIM = 8
"""Most interim responses (1xx, RFC 9110, section 15.2) before the final one."""
MOST_HEAD_BYTES = 16 * 1024
"""Most bytes up to the end of the final response's head, interim responses included."""
MOST_BODY_BYTES = 64 * 1024
"""Most bytes of a body that are read; the rest is cut off."""
MOST_PIECES = 512
"""Most pieces of a body that are parsed; a receiver chooses the size of its chunks."""
_READ = 4 * 1024


class NotConnected(Exception):
    """The receiver takes no connection, or is not who its name says; another address of it may."""


class ResponseExcessive(Exception):
    """The receiver's interim responses or head are more than the bounds allow."""


class ResponseMalformed(Exception):
    """What the receiver sent is not an HTTP/1.1 response, or not a whole one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a request goes.

    Attributes:
        address: The IP address that was checked.
        port: TCP port.
        name: The host's name, which a certificate must be for.
        trusted: The trusted certificates; None sends without TLS.
    """

    address: str
    port: int
    name: str
    trusted: ssl.SSLContext | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """The part of a response that counts.

    Attributes:
        status: HTTP status.
        retry_after: The header's text, if there is one.
        body: About the first `MOST_BODY_BYTES`.
        whole: Whether it is the whole body.
    """

    status: int
    retry_after: str | None
    body: bytes = b""
    whole: bool = False


async def exchange(
    target: Target,
    *,
    path: str,
    headers: Sequence[tuple[str, str]],
    body: bytes,
    connect_within: float,
    method: str = "POST",
) -> Response:
    """Send a request and read the response to its end, or to its bound.

    Args:
        target: The receiver.
        path: Path and query of the request.
        headers: With `Host`; the length of the body and the end of the connection are added.
        body: The content.
        connect_within: Seconds for the connection; the caller bounds the rest.
        method: Of the request.

    Raises:
        NotConnected: There is no connection in time, or no TLS.
        OSError: The connection broke.
        ResponseExcessive: The response's head is more than the bounds allow.
        ResponseMalformed: There is no response, or a malformed one.
    """
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MOST_HEAD_BYTES)
    request = h11.Request(
        method=method, target=path, headers=[*headers, ("Content-Length", str(len(body))), ("Connection", "close")]
    )
    async with _connected(target, within=connect_within) as (reader, writer):
        # Not drained: the body waits in memory anyway, and a receiver may answer before it has read it.
        for part in (request, h11.Data(data=body), h11.EndOfMessage()):
            writer.write(connection.send(part) or b"")
        try:
            return await _read(connection, reader)
        except h11.RemoteProtocolError as malformed:
            raise ResponseMalformed("the response is not HTTP/1.1") from malformed


@contextlib.asynccontextmanager
async def _connected(
    target: Target, *, within: float
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    try:
        async with asyncio.timeout(within):
            reader, writer = await asyncio.open_connection(
                target.address,
                target.port,
                ssl=target.trusted,
                server_hostname=None if target.trusted is None else target.name,
                limit=_READ,
            )
    except OSError as failed:  # `TimeoutError` too
        raise NotConnected(f"no connection: {type(failed).__name__}") from failed
    try:
        yield reader, writer
    finally:
        writer.transport.abort()  # a receiver that does not close its side would keep the connection


async def _read(connection: h11.Connection, reader: asyncio.StreamReader) -> Response:
    response = await _head(connection, reader)
    taken = 0
    body = bytearray()
    for _ in range(MOST_PIECES):
        event, received = await _next(connection, reader)
        taken += received
        if isinstance(event, h11.Data):
            body += event.data
        if isinstance(event, h11.EndOfMessage):
            return replace(response, body=bytes(body), whole=True)
        if taken > MOST_BODY_BYTES:
            break
    return replace(response, body=bytes(body))


async def _head(connection: h11.Connection, reader: asyncio.StreamReader) -> Response:
    taken = interim = 0
    while True:
        event, received = await _next(connection, reader)
        taken += received
        if isinstance(event, h11.Response):
            found = next((value for name, value in event.headers if name == b"retry-after"), None)
            retry_after = None if found is None else found.decode("ascii", "replace")
            return Response(status=event.status_code, retry_after=retry_after)
        if isinstance(event, h11.InformationalResponse):
            interim += 1
        elif event is not h11.NEED_DATA:
            raise ResponseMalformed("the response is not HTTP/1.1")
        if interim > MOST_INTERIM or taken > MOST_HEAD_BYTES:
            raise ResponseExcessive("the receiver's interim responses or headers are too many or too long")


async def _next(connection: h11.Connection, reader: asyncio.StreamReader) -> tuple[object, int]:
    """Return the next part of the response, or `NEED_DATA` after reading; and how many bytes were read."""
    event = connection.next_event()
    if event is not h11.NEED_DATA:
        return event, 0
    found = await reader.read(_READ)
    connection.receive_data(found)
    return event, len(found)
