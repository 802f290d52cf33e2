"""The probes' server over real sockets, and its answers to malformed input."""

import asyncio
import contextlib

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from taskbell.kit.entry import listen
from taskbell.kit.probes import server


async def _well():
    """A part that is well."""


async def _unwell():
    raise ConnectionRefusedError("secret address")


@contextlib.asynccontextmanager
async def _probes(**checks):
    listening = listen(host="127.0.0.1", port=0)
    port = listening.getsockname()[1]
    async with server.serving_probes(checks, listening=listening):
        yield port


async def _exchange(port, request):
    """Send bytes and the end of the stream; return what comes back until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        writer.write_eof()
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_each_probe_answers():
    """All checks pass: 200 everywhere, nothing is cached, and metrics have Prometheus' format."""
    async with _probes(database=_well) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        live, ready, metrics = [await client.get(path) for path in ("/livez", "/readyz?verbose", "/metrics")]
    assert (live.status_code, live.text) == (200, "ok")
    assert (ready.status_code, ready.json()) == (200, {"ok": True, "checks": {"database": "ok"}})
    assert metrics.status_code == 200
    assert "python_info" in metrics.text
    assert {answer.headers["cache-control"] for answer in (live, ready, metrics)} == {"no-store"}


async def test_a_failed_check_is_named():
    """One failed check makes `/readyz` 503 and leaves `/livez` alone; the answer tells no detail."""
    async with _probes(a=_well, b=_unwell) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        ready = await client.get("/readyz")
        assert (await client.get("/livez")).status_code == 200
    assert ready.status_code == 503
    assert ready.json() == {"ok": False, "checks": {"a": "ok", "b": "ConnectionRefusedError"}}


async def test_head_has_the_headers_of_get_and_no_body():
    """HEAD answers with the length that GET would send, and sends none of it."""
    async with _probes() as port:
        answer = await _exchange(port, b"HEAD /livez HTTP/1.1\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Length: 2" in head
    assert body == b""


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 404),
        (b"POST / HTTP/1.1\r\n\r\n", 404),
        (b"POST /livez HTTP/1.1\r\n\r\n", 405),
        (b"GET /livez\r\n\r\n", 400),
        (b"GET /livez HTTP/2.0\r\n\r\n", 400),
        (b"GET  /livez HTTP/1.1\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", 431),
    ],
)
async def test_other_requests_are_refused(request_, status):
    """Other paths, other methods, malformed request lines and heads of more than 16 KiB have their status each."""
    async with _probes() as port:
        answer = await _exchange(port, request_)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert (b"Allow: GET, HEAD\r\n" in answer) is (status == 405)


@example(b"GET /livez HTTP/1.1\r\n\r\nGET /livez HTTP/1.1\r\n\r\n")
@example(b"GET /\xff\x00 HTTP/1.1\r\n\r\n")
@example(b"HEAD \r\n\r\n")
@given(st.binary(max_size=200).flatmap(lambda found: st.sampled_from([found, found + b"\r\n\r\n"])))
def test_malformed_input_gets_one_answer_or_none(request_):
    """Whatever bytes arrive, the server sends at most one well-formed answer and goes on answering others."""

    async def scene():
        async with _probes() as port:
            answer = await _exchange(port, request_)
            assert (await _exchange(port, b"GET /livez HTTP/1.1\r\n\r\n")).endswith(b"\r\n\r\nok")
        return answer

    answer = asyncio.run(scene())
    if answer:
        head, _, body = answer.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        assert lines[0].startswith("HTTP/1.1 ")
        length = int(dict(line.split(": ", 1) for line in lines[1:])["Content-Length"])
        assert len(body) == (0 if request_.startswith(b"HEAD ") else length)  # RFC 9110, section 9.3.2
    else:
        assert b"\r\n\r\n" not in request_


async def test_a_silent_client_is_let_go(monkeypatch):
    """A client that sends half a request is disconnected when its time is over; others are answered meanwhile."""
    monkeypatch.setattr(server, "_REQUEST_SECONDS", 0.2)
    async with _probes() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /livez HT")
        assert (await _exchange(port, b"GET /livez HTTP/1.1\r\n\r\n")).endswith(b"ok")
        assert await reader.read() == b""
        writer.close()


async def test_the_end_waits_for_no_client():
    """A client that is connected and says nothing is disconnected when the program stops."""
    async with _probes() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET")
        await _exchange(port, b"GET /livez HTTP/1.1\r\n\r\n")  # by now the server has taken the first client, too
    with contextlib.suppress(ConnectionResetError):
        assert await reader.read() == b""
    writer.close()
