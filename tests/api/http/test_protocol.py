"""Over a real socket: a malformed request, or an endless head, is answered with a problem document, then closed."""

import asyncio
import json

import pytest
import uvicorn

from taskbell.api.http.protocol import HEAD_BYTES, BoundedProtocol


async def _echo(scope, receive, send):
    """Answers with the length of the body."""
    length, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        length, more = length + len(message["body"]), message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(length).encode()})


@pytest.fixture
async def send():
    """Sends bytes on a connection of its own and returns all that comes back until the server closes."""
    config = uvicorn.Config(_echo, log_config=None, lifespan="off", ws="none", http=BoundedProtocol, port=0)
    config.load()
    state = uvicorn.server.ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: BoundedProtocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )

    async def exchange(*parts):
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            async with asyncio.timeout(20):
                for part in parts:
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0)
                return await reader.read()
        finally:
            writer.close()

    yield exchange
    server.close()


def _problem(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    found = json.loads(body)
    assert "content-type: application/problem+json" in lines
    assert "connection: close" in lines
    assert f"content-length: {len(body)}" in lines
    assert f"x-request-id: {found['request_id']}" in lines
    assert int(lines[0].split()[1]) == found["status"]
    return found["status"], found["code"]


_LONG = b"a" * (HEAD_BYTES + 1)
_START = b"GET / HTTP/1.1\r\nHost: x\r\n"
_CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.feature("M35")
@pytest.mark.parametrize(
    "parts",
    [
        [_START + b"X: " + _LONG],
        [_START + b"X: ", *[b"a" * 1024] * 65],
        [_START + b"X: " + _LONG + b"\r\n\r\n"],
        [_START + b"X: 1\r\n" * 20_000],
        [b"GET /" + _LONG],
        [b"GET / HTTP/1.1\r\n" + _LONG],
        [_CHUNKED + b"1\r\nx\r\n0\r\nX: ", *[_LONG] * 10],
    ],
    ids=["one field", "in pieces", "whole", "many fields", "target", "name", "trailer"],
)
async def test_a_head_too_long_is_431(send, parts):
    """However it grows, finished or not, it is refused once it is over the bound."""
    assert _problem(await send(*parts)) == (431, "headers_too_large")


async def test_a_client_that_goes_on_still_reads_why(send):
    """What is sent past the refusal is thrown away for a moment, so that no reset takes the answer away."""
    assert _problem(await send(_START + b"X: ", *[b"a" * 2**16] * 160)) == (431, "headers_too_large")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        _CHUNKED + b"zz\r\n",
    ],
)
async def test_a_malformed_request_is_400(send, request_bytes):
    """Errors of the parser are problems like all others."""
    assert _problem(await send(request_bytes)) == (400, "invalid_request")


async def test_long_bodies_and_many_requests_on_a_connection_pass(send):
    """The bound is on heads alone, each by itself: bodies, tiny chunks and a connection's age do not count."""
    closing = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    head = b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * (HEAD_BYTES // 2) + b"\r\n\r\n"
    assert (await send(*[head] * 5, closing)).count(b" 200 OK") == 6
    chunks = b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n"
    answer = await send(_CHUNKED, chunks, closing)
    assert answer.count(b" 200 OK") == 2
    assert b"20000" in answer
    long = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 500000\r\n\r\n"
    assert (await send(long, b"x" * 500_000)).endswith(b"500000\r\n0\r\n\r\n")
