"""What receivers may answer, where they may be, and how secrets are rotated."""

import asyncio
import contextlib
import socket
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta

import h11
import pytest

from taskbell.delivery.claims import Claim
from taskbell.delivery.webhooks import WebhookTransport, judge, open_webhooks
from taskbell.kit.addresses import is_public, resolver
from taskbell.kit.ids import new_id
from taskbell.testing.waiting import DEADLINE, eventually

pytestmark = pytest.mark.feature("M71")


async def test_410_switches_the_webhook_off(platform, receiver, run_worker):
    """A receiver that is gone is not called again; the webhook says why; what else waits for it is dead."""
    receiver.script = [410]
    _, workspace = await platform.person()
    webhook, _ = await platform.webhook(workspace, receiver.url)
    async with run_worker():
        await platform.event(workspace)

        async def off():
            return await platform.connection.fetchval("SELECT NOT enabled FROM webhooks WHERE id = $1", webhook)

        await eventually(off)
        await eventually(lambda: _states(platform, ["dead"]))
        await platform.event(workspace)
    assert await platform.connection.fetchval("SELECT disabled_reason FROM webhooks") == "gone"
    assert len(receiver.requests) == 1


async def test_410_of_a_former_address_switches_nothing_off(platform, receiver, run_worker):
    """Who moves a webhook away from an address that is gone keeps it, and its event goes to the new one."""
    receiver.script = [410]
    receiver.gate.clear()
    _, workspace = await platform.person()
    webhook, _ = await platform.webhook(workspace, receiver.url)
    async with run_worker():
        event_id = await platform.event(workspace)
        await eventually(lambda: receiver.requests)
        await platform.connection.execute("UPDATE webhooks SET url = url || '/new' WHERE id = $1", webhook)
        receiver.gate.set()
        await eventually(lambda: receiver.accepted() == {event_id})
        await eventually(lambda: _states(platform, ["delivered"]))
    assert [request.path for request in receiver.requests] == ["/hook", "/hook/new"]
    assert await platform.connection.fetchval("SELECT enabled FROM webhooks")


async def _states(platform, wanted):
    return await platform.states() == wanted


async def test_what_fails_for_too_long_is_dead(platform, receiver, run_worker):
    """The last attempt is made when the time is over; then the delivery is dead, with the reason."""
    receiver.script = [503] * 100
    _, workspace = await platform.person()
    await platform.webhook(workspace, receiver.url)
    async with run_worker(delivery_retry_for="PT0.5S"):
        await platform.event(workspace)
        await eventually(lambda: _states(platform, ["dead"]))
    (row,) = await platform.deliveries()
    assert (row["error"], row["response_status"]) == ("answered 503", 503)
    assert row["attempts"] == len(receiver.requests) > 2


async def test_retry_after_is_respected(platform, receiver, run_worker):
    """A receiver that asks for a pause gets it, also beyond our own back-off."""
    receiver.script = [429]
    receiver.answer_headers = {"Retry-After": "1"}
    _, workspace = await platform.person()
    await platform.webhook(workspace, receiver.url)
    async with run_worker():
        event_id = await platform.event(workspace)
        await eventually(lambda: receiver.accepted() == {event_id})
    first, second = receiver.of(event_id)
    assert second.at - first.at > 0.9


async def test_redirects_are_not_followed(platform, receiver, run_worker):
    """A redirect is no yes, and its target is never called."""
    receiver.script = [307]
    receiver.answer_headers = {"Location": "/elsewhere"}
    _, workspace = await platform.person()
    await platform.webhook(workspace, receiver.url)
    async with run_worker():
        event_id = await platform.event(workspace)
        await eventually(lambda: receiver.accepted() == {event_id})
    assert [request.path for request in receiver.requests] == ["/hook", "/hook"]


async def test_no_cookie_is_kept(platform, receiver, run_worker):
    """What one receiver sets is sent to none: two of them may stand behind one address."""
    receiver.answer_headers = {"Set-Cookie": "session=secret"}
    _, workspace = await platform.person()
    await platform.webhook(workspace, receiver.url)
    async with run_worker():
        for _ in range(2):
            event_id = await platform.event(workspace)
            await eventually(lambda event_id=event_id: event_id in receiver.accepted())
    assert [request.headers.get("cookie") for request in receiver.requests] == [None, None]


async def test_an_endless_answer_is_cut(platform, receiver, run_worker):
    """A huge body is not read to its end; the status counts."""
    receiver.body = b"x" * 20_000_000
    _, workspace = await platform.person()
    await platform.webhook(workspace, receiver.url)
    async with run_worker():
        await platform.event(workspace)
        await eventually(lambda: _states(platform, ["delivered"]))


async def test_private_addresses_are_refused(platform, receiver, run_worker):
    """Without leave, a webhook that leads to this machine is never called, by address or by name."""
    _, workspace = await platform.person()
    await platform.webhook(workspace, receiver.url)
    await platform.webhook(workspace, receiver.url.replace("127.0.0.1", "localhost"))
    async with run_worker(webhook_allow_private=False):
        await platform.event(workspace)

        async def refused():
            rows = await platform.deliveries()
            return len(rows) == 2 and all("no public address" in (row["error"] or "") for row in rows)

        await eventually(refused)
    assert receiver.requests == []


async def test_both_secrets_sign_while_rotating(platform, receiver, run_worker):
    """During the overlap either secret verifies; after it only the new one."""
    _, workspace = await platform.person()
    webhook, old = await platform.webhook(workspace, receiver.url)
    _, new = await platform.webhook((await platform.person())[1], receiver.url)
    rotate = (
        "UPDATE webhooks SET secret = $2, previous_secret = $3, previous_secret_expires_at = now() + $4 WHERE id = $1"
    )
    async with run_worker():
        for overlap, fits in ((timedelta(hours=1), True), (timedelta(seconds=-1), False)):
            await platform.connection.execute(rotate, webhook, new, old, overlap)
            event_id = await platform.event(workspace)
            await eventually(lambda event_id=event_id: event_id in receiver.accepted())
            (request,) = receiver.of(event_id)
            assert request.verify(new)
            assert request.verify(old) is fits


def channel(resolve, allowed, *, trusted=None):
    """A channel with a resolver of ours."""
    return WebhookTransport(
        within=5.0, resolve=resolve, allowed=allowed, trusted=trusted or ssl.create_default_context()
    )


def claim(url):
    """A delivery to an address."""
    return Claim(
        id=new_id(),
        event_id=new_id(),
        channel="webhook",
        endpoint_id=new_id(),
        workspace_id=new_id(),
        event_type="task.created",
        payload="{}",
        traceparent=None,
        attempts=1,
        remaining=60.0,
        age=0.0,
        url=url,
        secrets=("whsec_c2VjcmV0",),
        email=None,
    )


async def test_a_name_that_changes_between_check_and_use_gains_nothing(receiver):
    """DNS rebinding: the name is looked up once, and the address that was checked is the one that is called."""
    answers = iter([["127.0.0.1"], ["127.0.0.2"]])
    asked = []

    async def resolve(host, port):
        asked.append((host, port))
        return next(answers)

    sender = channel(resolve, lambda address: address == "127.0.0.1")
    first = await sender.send(claim(f"http://rebind.example:{receiver.port}/hook"))
    second = await sender.send(claim(f"http://rebind.example:{receiver.port}/hook"))
    assert first.delivered
    assert (second.delivered, second.permanent) == (False, False)
    assert "no public address" in second.error
    assert asked == [("rebind.example", receiver.port)] * 2
    (request,) = receiver.requests
    assert request.headers["host"] == f"rebind.example:{receiver.port}"


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ],
    ids=["head", "body"],
)
async def test_an_answer_that_drips_is_none(head, drop):
    """Whatever part of it never ends, the attempt does, and its place is free for the next one."""
    over, connections = asyncio.Event(), []

    async def serve(_reader, writer):
        connections.append(asyncio.current_task())
        with contextlib.suppress(OSError):
            writer.write(head)
            while not over.is_set():
                writer.write(drop)
                await writer.drain()
                await asyncio.sleep(0.02)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    with open_webhooks(within=0.3, allow_private=True, concurrency=1) as sender:
        outcomes = [await sender.send(claim(url)) for _ in range(3)]
    assert [(outcome.delivered, outcome.error) for outcome in outcomes] == [(False, "no answer within 0.3 s")] * 3
    assert len(connections) == 3
    over.set()
    server.close()
    await asyncio.wait(connections)


class Flood(asyncio.Protocol):
    """A receiver that answers with a head and then sends the same again and again, as fast as it is read."""

    def __init__(self, head, again):
        self.again = again * (16 * 1024 // len(again))
        self.head = head
        self.open = False
        self.sent = 0

    def connection_made(self, transport):
        """Answer before the request is read."""
        self.transport, self.open = transport, True
        transport.write(self.head)
        self.resume_writing()

    def connection_lost(self, _error):
        """The sender has had enough."""
        self.open = False

    def resume_writing(self):
        """Send until the sender's system takes no more."""
        self.paused = False
        while self.open and not self.paused:
            self.transport.write(self.again)
            self.sent += len(self.again)

    def pause_writing(self):
        """Wait."""
        self.paused = True


@pytest.mark.parametrize(
    ("head", "again", "says"),
    [
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", "too many"),
        (b"", b"HTTP/1.1 103 Early Hints\r\nLink: " + b"x" * 3_000 + b"\r\n\r\n", "too many"),
        (b"HTTP/1.1 200 OK\r\n", b"a:b\r\n", "too long"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x", "too long"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", None),
    ],
    ids=["interim", "long interim", "headers", "header", "chunks"],
)
async def test_an_answer_without_end_costs_a_bounded_effort(head, again, says, monkeypatch):
    """However a receiver divides its endless answer, few parts of it are parsed, and the attempt ends by itself."""
    parsed = 0
    next_event = h11.Connection.next_event

    def count(self):
        nonlocal parsed
        parsed += 1
        return next_event(self)

    monkeypatch.setattr(h11.Connection, "next_event", count)
    flood = Flood(head, again)
    server = await asyncio.get_running_loop().create_server(lambda: flood, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    with open_webhooks(within=DEADLINE, allow_private=True, concurrency=1) as sender:
        outcome = await sender.send(claim(url))
    server.close()
    assert parsed < 1_000
    assert outcome.delivered is (says is None)
    assert says is None or says in outcome.error


async def test_an_unknown_name_and_a_private_one_look_the_same():
    """Whoever may set a webhook cannot learn from its log which names this network knows."""

    async def unknown(_host, _port):
        raise socket.gaierror("no such name")

    async def private(_host, _port):
        return ["10.0.0.1"]

    outcomes = [await channel(resolve, is_public).send(claim("https://db.internal/")) for resolve in (unknown, private)]
    assert outcomes[0] == outcomes[1]
    assert "no public address" in outcomes[0].error


async def test_attempts_that_hang_leave_no_place_taken(receiver, hang):
    """However many are cut off at once, the next one gets a connection."""
    receiver.script = [hang]
    with open_webhooks(within=1.0, allow_private=True, concurrency=4) as sender:
        outcomes = await asyncio.gather(*(sender.send(claim(receiver.url)) for _ in range(12)))
        assert not any(outcome.delivered for outcome in outcomes)
        receiver.script = []
        assert (await sender.send(claim(receiver.url))).delivered


async def test_the_certificate_must_be_for_the_name(receiver, make_certificate):
    """The connection goes to the address that was checked; who answers there must prove the webhook's own name."""
    path = make_certificate("hook.example")
    presenting = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    presenting.load_cert_chain(path)
    await receiver.stop()
    await receiver.start(tls=presenting)

    async def resolve(_host, _port):
        return ["127.0.0.1"]

    trusting, plain = (
        channel(resolve, lambda _: True, trusted=ssl.create_default_context(cafile=known)) for known in (path, None)
    )
    outcomes = [
        await sender.send(claim(f"https://{name}:{receiver.port}/hook"))
        for sender, name in ((trusting, "hook.example"), (trusting, "other.example"), (plain, "hook.example"))
    ]
    assert [outcome.delivered for outcome in outcomes] == [True, False, False]
    assert [outcome.permanent for outcome in outcomes] == [False] * 3
    assert len(receiver.requests) == 1


async def test_a_name_in_punycode_stays_as_it_is(receiver):
    """Older rules make another name of some, and so another host: `faß.de` would become `fass.de`."""
    asked = []

    async def resolve(host, _port):
        asked.append(host)
        return ["127.0.0.1"]

    sender = channel(resolve, lambda _: True)
    assert (await sender.send(claim(f"http://xn--fa-hia.de:{receiver.port}/hook"))).delivered
    assert asked == ["xn--fa-hia.de"]
    assert receiver.requests[0].headers["host"] == f"xn--fa-hia.de:{receiver.port}"


async def test_a_name_server_that_hangs_holds_up_no_other_name(monkeypatch):
    """As many look-ups as there are attempts may hang; the next one is made at once."""
    hung = threading.Event()

    def find(host, *_arguments, **_options):
        if host == b"slow.example":
            hung.wait(60)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", 443))]

    monkeypatch.setattr(socket, "getaddrinfo", find)
    with resolver(threads=65) as look_up:
        slow = [asyncio.create_task(look_up("slow.example", 443)) for _ in range(64)]
        await asyncio.sleep(0)  # they begin
        try:
            assert await look_up("quick.example", 443) == ["93.184.216.34"]
        finally:
            hung.set()
        await asyncio.gather(*slow)


async def test_one_private_address_among_public_ones_refuses_all():
    """A name whose addresses are mixed is not trusted; nothing is connected to."""

    async def resolve(_host, _port):
        return ["93.184.216.34", "10.0.0.1"]

    sender = channel(resolve, is_public)
    outcome = await sender.send(claim("https://mixed.example/"))
    assert "no public address" in outcome.error


async def test_a_name_that_is_not_found_is_tried_again():
    """A failing look-up is a failed attempt, not the end."""

    async def resolve(_host, _port):
        raise OSError("no such name")

    sender = channel(resolve, is_public)
    outcome = await sender.send(claim("https://nowhere.example/"))
    assert (outcome.delivered, outcome.permanent) == (False, False)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "192.0.0.192",
        "168.63.129.16",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "fec0::2",
        "3fff::1",
        "4000::1",
        "::ffff:127.0.0.1",
        "::ffff:a00:1",
        "::7f00:1",
        "::ffff:168.63.129.16",
        "64:ff9b::a00:1",
        "64:ff9b:1::808:808",
        "2001:0:808:808::1",
        "2002:7f00:1::",
        "localhost",
        "",
    ],
)
def test_addresses_that_are_not_public(address):
    """Loopback, private, shared, link-local, multicast, reserved; IPv4 within IPv6; what is no address at all."""
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_addresses_that_are_public(address):
    """Those of the internet, in both families."""
    assert is_public(address)


@pytest.mark.parametrize(
    ("status", "retry_after", "delivered", "gone", "pause"),
    [
        (200, None, True, False, None),
        (204, None, True, False, None),
        (302, None, False, False, None),
        (404, None, False, False, None),
        (410, None, False, True, None),
        (429, "7", False, False, 7.0),
        (503, "99999999999", False, False, 86_400.0),
        (503, "soon", False, False, None),
        (503, "-5", False, False, None),
        (503, "date", False, False, 30.0),
    ],
)
def test_answers(status, retry_after, delivered, gone, pause):
    """2xx is a yes, 410 the end, all else tried again; `Retry-After` in seconds or as a date, bounded."""
    now = time.time()
    if retry_after == "date":
        retry_after = (datetime.fromtimestamp(now, UTC) + timedelta(seconds=30)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    outcome = judge(status, retry_after, now=now)
    assert (outcome.delivered, outcome.gone, outcome.status) == (delivered, gone, status)
    assert outcome.retry_after == (pause if pause is None else pytest.approx(pause, abs=1.0))
