"""Requests to servers of others: bounded, and only to addresses that are allowed."""

import asyncio
import contextlib
import ssl

import pytest

from taskbell.kit.addresses import is_public
from taskbell.kit.outgoing import NoAnswer, Outgoing, open_outgoing


@contextlib.asynccontextmanager
async def _server(answer, heard=None):
    """A server that sends this to everybody, or nothing at all."""
    served = []

    async def serve(reader, writer):
        served.append(asyncio.current_task())
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if heard is not None:
                heard.append(head)
            if answer is None:
                await reader.read()
            else:
                writer.write(answer)
                await writer.drain()
        except OSError:
            return
        finally:
            writer.transport.abort() if answer is None else writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.gather(*served)


@pytest.fixture
def outgoing():
    """What may reach this machine, too."""
    with open_outgoing(within=5, allow_private=True, threads=2) as found:
        yield found


async def test_an_answer_is_returned_whatever_its_status(outgoing):
    """Method, path, query and headers are sent as given; the whole body comes back."""
    heard = []
    async with _server(b"HTTP/1.1 404 No\r\nContent-Length: 5\r\n\r\nhello", heard) as port:
        answer = await outgoing.request(f"http://127.0.0.1:{port}/a?b=c", headers=[("Accept", "text/plain")])
    assert (answer.status, answer.body, answer.whole) == (404, b"hello", True)
    assert heard[0].startswith(b"GET /a?b=c HTTP/1.1\r\n")
    assert b"Accept: text/plain" in heard[0]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 2_000 + b"0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"",
    ],
)
async def test_an_answer_that_is_too_much_or_not_whole_is_none(outgoing, answer):
    """Too many bytes, too many pieces, an early end, a long head, no HTTP: each is an error, never a part."""
    async with _server(answer) as port:
        with pytest.raises(NoAnswer):
            await outgoing.request(f"http://127.0.0.1:{port}/")


async def test_a_server_that_says_nothing_has_a_time_limit():
    """The limit is the caller's; the text names no address."""
    with open_outgoing(within=0.2, allow_private=True, threads=1) as outgoing:
        async with _server(None) as port:
            with pytest.raises(NoAnswer, match=r"no answer within 0\.2 s"):
                await outgoing.request(f"http://127.0.0.1:{port}/")


async def test_a_redirect_is_not_followed(outgoing):
    """It is the answer."""
    heard = []
    async with _server(b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n", heard) as port:
        assert (await outgoing.request(f"http://127.0.0.1:{port}/")).status == 302
    assert len(heard) == 1


@pytest.mark.parametrize("found", [["10.0.0.1"], ["93.184.215.14", "10.0.0.1"], ["169.254.169.254"], ["::1"], []])
async def test_a_name_that_leads_into_a_private_network_is_refused(found):
    """One address that is not public is enough, and nothing is connected."""

    async def resolve(host, port):
        return found

    outgoing = Outgoing(within=5, resolve=resolve, trusted=ssl.create_default_context(), allowed=is_public)
    with pytest.raises(NoAnswer, match="no allowed address"):
        await outgoing.request("https://id.example.com/")


async def test_a_name_that_nobody_knows_is_told_in_the_same_words():
    """Nobody learns which names a private network has."""

    async def resolve(host, port):
        raise OSError("unknown")

    outgoing = Outgoing(within=5, resolve=resolve, trusted=ssl.create_default_context())
    with pytest.raises(NoAnswer, match="no allowed address"):
        await outgoing.request("https://id.example.com/")
