"""The HTTP/2 client: many requests at a time, bounded answers, public addresses only, whatever a server does."""

import asyncio
import contextlib
import ssl
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskbell.delivery import metrics
from taskbell.delivery.providers.connection import MOST_BODY_BYTES, NoAnswer
from taskbell.delivery.providers.http2 import (
    MOST_ORIGINS,
    AddressMalformed,
    Limits,
    Origin,
    open_client,
    reach,
    read_address,
)
from taskbell.kit.addresses import is_public
from taskbell.testing.pushsim.server import Http2Server
from taskbell.testing.pushsim.tls import server_context
from taskbell.testing.pushsim.wire import Answer, Ending, Reply
from taskbell.testing.waiting import eventually

pytestmark = pytest.mark.feature("T11", "T2")

FIELDS = [(b"content-type", b"application/json")]


async def here(_host, _port):
    """Look every name up as this machine."""
    return ["127.0.0.1"]


@pytest.fixture
def authority(credentials, tmp_path):
    """The file of the authority of all servers here."""
    return credentials.write_authority(tmp_path)


@pytest.fixture
def client(authority):
    """Open a client for the length of a block."""

    @contextlib.asynccontextmanager
    async def opened(*, within=20.0, connections=4, idle=60.0, resolve=here, allowed=lambda _: True, fallback=False):
        to = reach(resolve, ca_file=authority, allowed=allowed, fallback=fallback)
        async with open_client(to, Limits(within=within, connections=connections, idle=idle)) as made:
            yield made

    return opened


@pytest.fixture
async def serve(credentials):
    """Start a server whose answers a function gives; returns it and its address."""
    servers = []

    async def start(handle, *, max_streams=250):
        tls = server_context(credentials.authority_key, credentials.authority)
        server = Http2Server(handle, tls=tls, max_streams=max_streams)
        servers.append(server)
        port = await server.listen("127.0.0.1", 0)
        return server, Origin("127.0.0.1", port)

    yield start
    for server in servers:
        await server.stop()


def ok(_request):
    """Answer 200 with a body."""
    return Reply(Answer(200, b"ok", {"retry-after": "3"}))


async def test_an_answer_comes_back_whole(client, serve):
    """Status, body and the time of the next attempt."""
    seen = []
    _, origin = await serve(lambda request: seen.append(request) or ok(request))
    async with client() as http:
        answer = await http.post(origin, b"/path?x=%20", FIELDS, b"body" * 5000)
    assert (answer.status, answer.body, answer.retry_after) == (200, b"ok", "3")
    (request,) = seen
    assert (request.method, request.path, request.body) == ("POST", "/path?x=%20", b"body" * 5000)
    assert request.headers[":authority"] == f"127.0.0.1:{origin.port}"


async def test_a_body_larger_than_the_windows_arrives_whole(client, serve):
    """A server opens its windows as it reads; the client goes on then."""
    seen = []
    _, origin = await serve(lambda request: seen.append(request.body) or ok(request))
    bodies = [bytes([number]) * 200_000 for number in range(8)]
    async with client() as http:
        await asyncio.gather(*(http.post(origin, b"/", FIELDS, body) for body in bodies))
    assert sorted(seen) == bodies


async def test_more_connections_open_when_streams_run_out(client, serve):
    """A server that takes ten requests at a time gets as many connections as allowed, and the rest of them in turn."""
    open_at_most = 0

    def slowly(_request):
        nonlocal open_at_most
        open_at_most = max(open_at_most, len(server.connections))
        return Reply(Answer(200), delay=0.02)

    server, origin = await serve(slowly, max_streams=10)
    async with client(connections=3) as http:
        answers = await asyncio.gather(*(http.post(origin, b"/", FIELDS, b"") for _ in range(200)))
    assert {answer.status for answer in answers} == {200}
    assert open_at_most == 3


async def test_one_connection_serves_all_that_fits(client, serve):
    """Nothing is opened that is not needed."""
    server, origin = await serve(lambda _: Reply(Answer(200), delay=0.05))
    async with client() as http:
        await asyncio.gather(*(http.post(origin, b"/", FIELDS, b"") for _ in range(200)))
        assert len(server.connections) == 1


async def test_who_waited_for_a_stream_and_gave_up_takes_no_turn(client, serve):
    """A request that is cancelled while it waits does not hold up the others."""
    gate = []
    _, origin = await serve(lambda _: Reply(Answer(200), delay=0.1 if gate else 0.3), max_streams=1)
    async with client(connections=1) as http:
        posts = [asyncio.create_task(http.post(origin, b"/", FIELDS, b"")) for _ in range(5)]
        await asyncio.sleep(0)
        gate.append(True)
        for post in posts[1:4]:
            post.cancel()
        assert (await posts[0]).status == 200
        assert (await posts[4]).status == 200


async def test_goaway_fails_only_what_the_server_did_not_take(client, serve):
    """Requests in flight are answered after GOAWAY; the next one has a new connection."""
    count = 0

    def leaving(_request):
        nonlocal count
        count += 1
        return Reply(Answer(200), delay=0.05, ending=Ending.GOAWAY if count == 5 else Ending.ANSWER)

    _, origin = await serve(leaving)
    async with client() as http:
        answers = await asyncio.gather(*(http.post(origin, b"/", FIELDS, b"") for _ in range(20)))
        assert {answer.status for answer in answers} == {200}
        assert (await http.post(origin, b"/", FIELDS, b"")).status == 200
    assert count == 21


async def test_a_time_out_of_one_request_leaves_the_others(client, serve):
    """One silent stream of a live connection is reset; the connection stays."""
    silent = Reply(Answer(200), ending=Ending.SILENT)
    server, origin = await serve(lambda request: silent if request.path == "/silent" else ok(request))
    async with client(within=1.0) as http:
        (connection,) = [c async for c in _first(http, origin, server)]
        late = asyncio.create_task(http.post(origin, b"/silent", FIELDS, b""))
        while not late.done():
            assert (await http.post(origin, b"/", FIELDS, b"")).status == 200
        with pytest.raises(NoAnswer, match="within 1 s"):
            await late
        assert connection in server.connections


async def _first(http, origin, server):
    await http.post(origin, b"/", FIELDS, b"")
    for connection in server.connections:
        yield connection


async def test_a_connection_that_says_nothing_at_all_is_replaced(client, serve):
    """After a time-out without a byte the connection may be dead, and nobody would tell."""
    server, origin = await serve(lambda r: Reply(Answer(200), ending=Ending.SILENT) if r.path == "/x" else ok(r))
    async with client(within=1.0) as http:
        await http.post(origin, b"/", FIELDS, b"")
        with pytest.raises(NoAnswer):
            await http.post(origin, b"/x", FIELDS, b"")
        await eventually(lambda: len(server.connections), "the connection is closed", wanted=lambda n: n == 0)


async def test_an_unused_connection_is_closed(client, serve):
    """An idle connection costs both sides memory."""
    server, origin = await serve(ok)
    async with client(idle=0.1) as http:
        await http.post(origin, b"/", FIELDS, b"")
        await eventually(lambda: len(server.connections), "the connection is closed", wanted=lambda n: n == 0)
        assert (await http.post(origin, b"/", FIELDS, b"")).status == 200


async def test_a_long_answer_is_cut(client, serve):
    """A receiver cannot fill the memory with its answer."""
    _, origin = await serve(lambda _: Reply(Answer(200, b"x" * 1_000_000)))
    async with client() as http:
        answer = await http.post(origin, b"/", FIELDS, b"")
        assert len(answer.body) == MOST_BODY_BYTES
        assert (await http.post(origin, b"/", FIELDS, b"")).status == 200


async def test_origins_without_end_are_not_kept(client, serve):
    """Addresses of users may be of any number of names; the connections that are kept are not."""
    server, origin = await serve(ok)
    async with client() as http:
        for number in range(MOST_ORIGINS + 20):
            name = Origin("localhost" if number == 0 else "127.0.0.1", origin.port)
            http._known(Origin(f"n{number}.example", 443))
            if number % 50 == 0:
                await http.post(name, b"/", FIELDS, b"")
        assert len(http._origins) <= MOST_ORIGINS
        assert len(server.connections) <= 2


async def test_a_name_with_a_private_address_is_refused(client, serve):
    """By a name too, and if only one of several addresses is private (DNS rebinding); the request never leaves."""
    called = []
    _, origin = await serve(lambda request: called.append(request) or ok(request))
    for addresses in (["127.0.0.1"], ["93.184.216.34", "10.0.0.1"], ["::1"], ["169.254.169.254"], []):

        async def resolve(_host, _port, found=addresses):
            return found

        before = metrics.REFUSED._value.get()
        async with client(resolve=resolve, allowed=is_public) as http:
            with pytest.raises(NoAnswer, match="no public address"):
                await http.post(Origin("example.com", origin.port), b"/", FIELDS, b"")
        assert metrics.REFUSED._value.get() == before + bool(addresses)
    assert called == []


async def test_an_unknown_name_looks_like_a_refused_one(client):
    """Nobody learns the names of this network (CWE-204)."""

    async def unknown(_host, _port):
        raise OSError("no such name")

    async with client(resolve=unknown, allowed=is_public) as http:
        with pytest.raises(NoAnswer, match=r"^the name leads to no public address$"):
            await http.post(Origin("example.com", 443), b"/", FIELDS, b"")


async def test_the_certificate_must_be_for_the_name(client, serve):
    """The checked address is connected to under the name of the address, by SNI."""
    _, origin = await serve(ok)
    async with client() as http:
        assert (await http.post(Origin("localhost", origin.port), b"/", FIELDS, b"")).status == 200
        with pytest.raises(NoAnswer, match="no connection"):
            await http.post(Origin("example.com", origin.port), b"/", FIELDS, b"")


async def test_nobody_listens(client):
    """A refused connection is an error with a text; all that wait get the same."""
    async with client(within=5.0) as http:
        posts = [http.post(Origin("127.0.0.1", 1), b"/", FIELDS, b"") for _ in range(10)]
        failed = await asyncio.gather(*posts, return_exceptions=True)
    assert {str(error) for error in failed} == {"no connection: ConnectionRefusedError"}


async def test_a_server_without_http2_is_served_by_http1(client, receiver, make_certificate, authority):
    """Some push services and chats speak only HTTP/1.1; Firebase and Apple must speak HTTP/2."""
    from ipaddress import ip_address

    certificate = make_certificate(ip_address("127.0.0.1"))
    authority.write_text(certificate.read_text().partition("-----BEGIN PRIVATE")[0])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    await receiver.stop()
    receiver.port = 0
    await receiver.start(tls=context)
    receiver.script, receiver.body = [410], b"no_service"
    receiver.answer_headers = {"Retry-After": "7"}
    origin = Origin("127.0.0.1", receiver.port)
    fields = [*FIELDS, (b"webhook-id", b"1")]
    async with client(fallback=True) as http:
        for status in (410, 200):
            answer = await http.post(origin, b"/hook", fields, b"{}")
            assert (answer.status, answer.body, answer.retry_after) == (status, b"no_service", "7")
    assert [request.path for request in receiver.requests] == ["/hook"] * 2
    async with client(fallback=False) as http:
        with pytest.raises(NoAnswer):
            await http.post(origin, b"/hook", fields, b"{}")

    async def also_elsewhere(_host, _port):
        return ["127.0.0.2", "127.0.0.1"]

    async with client(fallback=True, resolve=also_elsewhere) as http:  # nobody listens at the first address
        assert (await http.post(origin, b"/hook", fields, b"{}")).status == 200


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "https://user@example.com/",
        "https://:secret@example.com/",
        "https://example.com:8443/",
        "https://example.com:99999/",
        "https://example.com/#x",
        "https:///path",
        "https://exämple.com/",
        "https://[::1/",
        "ftp://example.com/",
        "javascript:alert(1)",
        "",
    ],
)
def test_addresses_that_are_refused(url):
    """Only https, without user, port and fragment; and the error never quotes the address."""
    with pytest.raises(AddressMalformed) as refused:
        read_address(url, any_port=False)
    assert "secret" not in str(refused.value)


def test_an_address_is_read():
    """Host and path come out as they go over the wire."""
    origin, path = read_address("https://Push.Example.com/a b?c=ü", any_port=False)
    assert (origin.text, origin.authority, path) == (
        "https://push.example.com",
        b"push.example.com",
        b"/a%20b?c=%C3%BC",
    )
    assert read_address("https://[::1]:8443", any_port=True) == (Origin("::1", 8443), b"/")
    assert Origin("::1", 8443).text == "https://[::1]:8443"


class Scripted(asyncio.Protocol):
    """A server that begins as HTTP/2 does, and then sends whatever bytes."""

    def __init__(self, sent, *, begins):
        self._sent, self._begins = sent, begins
        self._transport = None

    def stop(self):
        """Break the connection, if there is one."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport):
        """Send the settings, or not even those."""
        self._transport = transport
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self._h2.initiate_connection()
        transport.write(self._h2.data_to_send() if self._begins else self._sent)

    def data_received(self, data):
        """Send the bytes when the request has come."""
        if self._begins and any(isinstance(event, h2.events.StreamEnded) for event in self._h2.receive_data(data)):
            self._transport.write(self._sent)


@contextlib.asynccontextmanager
async def scripted(credentials, sent, *, begins=True):
    """Serve some bytes; yields the origin."""
    tls = server_context(credentials.authority_key, credentials.authority)
    made = []

    def protocol():
        made.append(Scripted(sent, begins=begins))
        return made[-1]

    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, ssl=tls)
    try:
        yield Origin("127.0.0.1", server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for each in made:
            each.stop()


def frame(kind, flags, stream, body):
    """A frame of HTTP/2 (RFC 9113, section 4.1)."""
    return len(body).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + body


_FRAMES = st.builds(
    frame, st.integers(0, 12), st.integers(0, 255), st.sampled_from([0, 1, 2, 3, 2**31 - 1]), st.binary(max_size=60)
)
_STATUS_200 = frame(1, 4, 1, b"\x88")


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=st.binary(max_size=300) | st.lists(_FRAMES, max_size=8).map(b"".join), begins=st.booleans())
def test_whatever_a_server_sends_ends_in_an_answer_or_an_error(credentials, tmp_path_factory, sent, begins):
    """No bytes hang a request, or raise anything else."""
    authority = _authority(credentials, tmp_path_factory)

    async def attempt():
        to = reach(here, ca_file=authority, allowed=lambda _: True, fallback=False)
        limits = Limits(within=0.5, connections=1, idle=60.0)
        async with scripted(credentials, sent, begins=begins) as origin, open_client(to, limits) as http:
            with contextlib.suppress(NoAnswer):
                await http.post(origin, b"/", FIELDS, b"{}")

    asyncio.run(attempt())


def _authority(credentials, tmp_path_factory) -> Path:
    return credentials.write_authority(tmp_path_factory.getbasetemp())


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (frame(6, 0, 0, b"12345678") * 50_000, "sends too much"),
        (frame(4, 0, 0, b"") * 50_000, "sends too much"),
        (_STATUS_200 + frame(0, 0, 1, b"") * 50_000, "sends too much"),
        (frame(1, 4, 1, b"\x08\x03103") * 50_000, "sends too much"),
        (frame(1, 0, 1, b"\x88") + frame(9, 0, 1, b"\x88" * 100) * 2_000, "not HTTP/2|sends too much"),
        (frame(0, 0, 0, b"x"), "not HTTP/2"),
        (frame(7, 0, 0, bytes(8)), "did not take the request"),
        (frame(3, 0, 1, (7).to_bytes(4)), "refused the stream"),
        (frame(3, 0, 1, (2).to_bytes(4)), "reset the stream"),
    ],
)
async def test_a_hostile_server_costs_bounded_bytes(client, credentials, sent, said):
    """Floods of pings, settings, empty frames, interim answers and fields end the connection, not the worker."""
    async with scripted(credentials, sent) as origin, client() as http:
        with pytest.raises(NoAnswer, match=said):
            await http.post(origin, b"/", FIELDS, b"{}")
