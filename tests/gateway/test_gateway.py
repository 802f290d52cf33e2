"""The gateway over real sockets, PostgreSQL and NATS: signing in, delivering, refusing."""

import asyncio
import base64
import contextlib

import httpx
import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from taskbell.contract.frames import CloseCode
from taskbell.gateway import wire
from taskbell.gateway.app import gateway
from taskbell.kit import jwt
from taskbell.kit.entry import listen
from taskbell.kit.ids import new_id
from taskbell.testing.listener import Listener, ListenerClosed
from taskbell.testing.waiting import eventually


def numbers(listener):
    """The numbers of the events received, in order."""
    return [received.event["data"]["number"] for received in listener.events]


@pytest.mark.feature("F3", "P14")
async def test_an_event_reaches_members_and_addressees_once_and_nobody_else(run_gateway, people, stream, listener):
    """Workspace subscribers and the audience get an event's bytes untouched, once; a stranger gets nothing."""
    workspace, other = new_id(), new_id()
    member = await people.user(workspaces=[workspace])
    stranger = await people.user(workspaces=[other])
    async with (
        run_gateway() as running,
        listener(running, member, channels=[f"workspace:{workspace}"]) as both,
        listener(running, member) as me_alone,
        listener(running, stranger) as outside,
    ):
        for one in (both, me_alone, outside):
            await one.connect()
        await stream.publish(workspace, number=1, audience=[member])
        await stream.publish(workspace, number=2)
        await stream.publish(other, number=3, audience=[stranger])
        await stream.publish(workspace, number=4, audience=[stranger, member])
        await both.until_events(3)
        await me_alone.until_events(2)
        await outside.until_events(2)
        assert (numbers(both), numbers(me_alone), numbers(outside)) == ([1, 2, 4], [1, 4], [3, 4])
        assert [received.cursor for received in both.events] == ["1-1", "1-2", "1-4"]


async def test_the_event_text_is_passed_on_untouched(run_gateway, people, stream, listener):
    """The frame holds the very bytes that the relay published."""
    workspace = new_id()
    user = await people.user(workspaces=[workspace])
    async with run_gateway() as running, listener(running, user) as one:
        await one.connect()
        for pad in ("", "é" * 200, "x" * 70_000):
            await stream.publish(workspace, audience=[user], pad=pad)
        await one.until_events(3)
        for sequence, received in enumerate(one.events, 1):
            message = await stream.jetstream.get_msg("TASKBELL_EVENTS", sequence)
            assert received.text == f'{{"t":"event","cursor":"1-{sequence}","event":{message.data.decode()}}}'


@pytest.mark.parametrize("way", ["header", "first frame", "ticket"])
async def test_each_way_to_sign_in_works(run_gateway, people, listener, way):
    """Bearer header, first frame and one-time ticket lead to the same welcome."""
    user = await people.user()
    async with run_gateway() as running, listener(running, user) as one:
        welcome = await one.connect(
            ticket=people.ticket(user) if way == "ticket" else None, first_frame=way == "first frame"
        )
        assert welcome["user_id"] == str(user)
        assert (welcome["resume"], welcome["epoch"], welcome["cursor"]) == ("new", 1, "1-0")
        assert welcome["channels"] == ["me"]


async def test_a_welcome_comes_without_hello(run_gateway, people, listener):
    """A client signed in by header need not say anything."""
    user = await people.user()
    async with run_gateway() as running, listener(running, user) as one:
        await one.open()
        await one.until(lambda: bool(one.welcome), "a welcome")


async def test_another_first_frame_ends_the_wait_for_hello(run_gateway, people, listener):
    """A subscribe right after a header sign-in is answered after the welcome."""
    workspace = new_id()
    user = await people.user(workspaces=[workspace])
    async with run_gateway() as running, listener(running, user) as one:
        await one.open()
        reply = await one.ask({"t": "subscribe", "channel": f"workspace:{workspace}"})
        assert reply["ok"]
        assert one.welcome["resume"] == "new"


async def test_a_ticket_works_once_among_all_gateways(run_gateway, people, listener):
    """The second use of a ticket, at another gateway, closes with 4401."""
    user = await people.user()
    ticket = people.ticket(user)
    async with (
        run_gateway() as first,
        run_gateway() as second,
        listener(first, user) as one,
        listener(second, user) as two,
    ):
        await one.connect(ticket=ticket)
        await two.open(ticket=ticket)
        assert await two.until_closed() == CloseCode.SIGN_IN
        assert two.frames[0]["code"] == "sign_in_refused"


@pytest.mark.parametrize("kind", ["refresh", "expired", "foreign key", "ticket as token", "token as ticket", "garbage"])
async def test_a_wrong_credential_closes_with_4401(run_gateway, people, listener, kind):
    """One kind of token never works as the other; neither does an expired or foreign one."""
    user = await people.user()
    foreign = jwt.parse_keys(jwt.generate_keys())
    async with run_gateway() as running, listener(running, user) as one:
        one.token = {
            "refresh": "tbr_0123456789",
            "expired": people.token(user, ttl=-1),
            "foreign key": people.token(user, keys=foreign),
            "ticket as token": people.ticket(user),
            "token as ticket": people.token(user),
            "garbage": "a.b.c",
        }[kind]
        await one.open(ticket=one.token if kind == "token as ticket" else "")
        assert await one.until_closed() == CloseCode.SIGN_IN


async def test_a_connection_that_does_not_sign_in_is_closed(run_gateway, people, listener, monkeypatch):
    """Silence past the deadline closes with 4401."""
    monkeypatch.setattr("taskbell.gateway.session.SIGN_IN_SECONDS", 0.3)
    user = await people.user()
    async with run_gateway() as running, listener(running, user) as one:
        await one.open(with_header=False)
        assert await one.until_closed() == CloseCode.SIGN_IN


async def test_a_token_in_the_address_is_refused_over_http(run_gateway, people):
    """An access token in the address never gets as far as a WebSocket."""
    token = people.token(new_id())
    async with run_gateway() as running:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://127.0.0.1:{running.port}/ws?access_token={token}", proxy=None)
        assert refused.value.response.status_code == 401
        assert b"No token in the address" in refused.value.response.body


@pytest.mark.parametrize(
    ("origin", "admitted"),
    [
        (None, True),
        ("https://app.example", True),
        ("own", True),
        ("https://evil.example", False),
        ("null", False),
        ("http://[", False),
    ],
)
async def test_only_known_origins_connect(run_gateway, people, origin, admitted):
    """Pages of strangers are refused with 403; no Origin at all is no browser."""
    user = await people.user()
    async with run_gateway(allowed_origins="https://app.example/, https://b.example") as running:
        one = Listener(f"ws://127.0.0.1:{running.port}/ws", token=people.token(user))
        headers = {}
        if origin is not None:
            headers["Origin"] = f"http://127.0.0.1:{running.port}" if origin == "own" else origin
        if admitted:
            await one.open(additional_headers=headers)
            await one.close()
        else:
            with pytest.raises(InvalidStatus) as refused:
                await one.open(additional_headers=headers)
            assert refused.value.response.status_code == 403


STRANGE_REQUESTS = {
    "address": (b"GET //[ HTTP/1.1\r\nHost: x\r\n", b"404"),
    "two origins": (b"GET /ws HTTP/1.1\r\nHost: x\r\nOrigin: http://x\r\nOrigin: http://x\r\n", b"400"),
    "two hosts": (b"GET /ws HTTP/1.1\r\nHost: x\r\nHost: y\r\nOrigin: http://x\r\n", b"400"),
    "two tokens": (b"GET /ws HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\nAuthorization: Bearer y\r\n", b"400"),
    "list of upgrades": (b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: ,\r\nOrigin: http://evil.example\r\n", b"403"),
}


@pytest.mark.parametrize("kind", STRANGE_REQUESTS)
async def test_a_strange_request_is_refused_as_what_it_is(run_gateway, kind):
    """What the standard library's parsers raise an exception for is the client's mistake, not ours."""
    head, status = STRANGE_REQUESTS[kind]
    key = base64.b64encode(b"a" * 16)
    upgrade = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n"
    async with run_gateway() as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(head + upgrade % key)
        assert (await reader.readline()).split()[1] == status
        writer.close()
        await writer.wait_closed()


async def test_a_foreign_workspace_is_refused_and_the_connection_lives(run_gateway, people, stream, listener):
    """Subscribing without membership answers forbidden, in hello and later, and does no other harm."""
    mine, foreign = new_id(), new_id()
    user = await people.user(workspaces=[mine])
    await people.user(workspaces=[foreign])
    async with (
        run_gateway() as running,
        listener(running, user, channels=[f"workspace:{foreign}", f"workspace:{mine}", "x"]) as one,
    ):
        welcome = await one.connect()
        assert welcome["channels"] == ["me", f"workspace:{mine}"]
        await one.until(lambda: len(one.frames) == 2, "two errors")
        assert [(frame["code"], frame["channel"]) for frame in one.frames] == [
            ("forbidden", f"workspace:{foreign}"),
            ("unknown_channel", "x"),
        ]
        reply = await one.ask({"t": "subscribe", "channel": f"workspace:{foreign}"})
        assert (reply["ok"], reply["code"], reply["retryable"]) == (False, "forbidden", False)
        await stream.publish(foreign, number=1)
        await stream.publish(mine, number=2)
        await one.until_events(1)
        assert numbers(one) == [2]


async def test_unsubscribe_ends_a_channel(run_gateway, people, stream, listener):
    """After the reply, and what was under way, nothing of the channel comes."""
    workspace = new_id()
    user = await people.user(workspaces=[workspace])
    async with run_gateway() as running, listener(running, user, channels=[f"workspace:{workspace}"]) as one:
        await one.connect()
        assert (await one.ask({"t": "unsubscribe", "channel": f"workspace:{workspace}"}))["ok"]
        await stream.publish(workspace, number=1)
        await stream.publish(workspace, number=2, audience=[user])
        await one.until_events(1)
        assert numbers(one) == [2]


@pytest.mark.feature("P4")
async def test_a_removed_member_loses_the_channel_at_once(run_gateway, people, stream, listener):
    """member.removed ends that user's subscriptions, on every connection, and nobody else's."""
    workspace = new_id()
    leaving, staying = await people.user(workspaces=[workspace]), await people.user(workspaces=[workspace])
    channel = f"workspace:{workspace}"
    async with (
        run_gateway() as running,
        listener(running, leaving, channels=[channel]) as one,
        listener(running, staying, channels=[channel]) as two,
    ):
        await one.connect()
        await two.connect()
        await people.remove(leaving, workspace)
        await stream.publish(workspace, number=1, event_type="member.removed", subject=leaving)
        await stream.publish(workspace, number=2)
        await two.until_events(2)
        await one.until(lambda: bool(one.frames), "an error frame")
        assert (one.frames[0]["code"], one.frames[0]["channel"]) == ("forbidden", channel)
        assert numbers(one) == [1]
        assert not (await one.ask({"t": "subscribe", "channel": channel}))["ok"]


async def test_a_deleted_workspace_ends_all_subscriptions_at_once(run_gateway, people, stream, listener):
    """Every member hears that it was deleted, and nothing after it; once restored, they may subscribe again."""
    workspace = new_id()
    members = [await people.user(workspaces=[workspace]) for _ in range(2)]
    channel = f"workspace:{workspace}"
    async with (
        run_gateway() as running,
        listener(running, members[0], channels=[channel]) as one,
        listener(running, members[1], channels=[channel]) as two,
    ):
        for each, user in ((one, members[0]), (two, members[1])):
            await each.connect()
            await people.remove(user, workspace)
        await stream.publish(workspace, number=1, event_type="workspace.deleted", subject=workspace)
        await stream.publish(workspace, number=2)
        await stream.publish(new_id(), number=3, audience=members)
        for each in (one, two):
            await each.until_events(2)
            assert numbers(each) == [1, 3]
            assert (each.frames[0]["code"], each.frames[0]["channel"]) == ("forbidden", channel)
            assert not (await each.ask({"t": "subscribe", "channel": channel}))["ok"]
        await people.join(members[0], workspace)
        assert (await one.ask({"t": "subscribe", "channel": channel}))["ok"]


BAD = {
    "not JSON": "{",
    "not an object": "[1]",
    "binary": b'{"t":"pong"}',
    "unknown type": '{"t":"nonsense"}',
    "type of another type": '{"t":["hello"]}',
    "wrong field": '{"t":"subscribe","channel":7}',
    "missing field": '{"t":"subscribe"}',
    "deep": '{"t":' + "[" * 8000,
    "oversize": '{"t":"pong","x":"' + "x" * 17_000 + '"}',
    "very large": '{"t":"pong","x":"' + "x" * 3_000_000 + '"}',
    "second hello": '{"t":"hello"}',
}


@pytest.mark.parametrize("kind", BAD)
async def test_a_bad_frame_closes_only_its_sender(run_gateway, people, stream, listener, kind):
    """Garbage gets an error frame and 4001; another connection of the same user goes on."""
    user = await people.user()
    async with run_gateway() as running, listener(running, user) as bad, listener(running, user) as good:
        await bad.connect()
        await good.connect()
        await bad.send(BAD[kind])
        assert await bad.until_closed() == CloseCode.BAD_FRAME
        assert bad.frames[-1]["code"] == "bad_frame"
        await stream.publish(new_id(), number=1, audience=[user])
        await good.until_events(1)


async def test_a_text_that_is_not_utf8_closes_with_4001(run_gateway, people, listener):
    """Invalid UTF-8 in a text frame is a bad frame."""
    user = await people.user()
    async with run_gateway() as running, listener(running, user) as one:
        await one.connect()
        connection = one._connection.socket
        connection.protocol.send_text(b"\xff\xfe")
        connection.send_data()
        assert await one.until_closed() == CloseCode.BAD_FRAME


async def test_a_flood_of_frames_closes_with_4429(run_gateway, people, listener):
    """More frames than anybody needs are answered with back off."""
    user = await people.user()
    async with run_gateway() as running, listener(running, user) as one:
        await one.connect()
        for _ in range(300):
            await one.send('{"t":"pong"}')
        assert await one.until_closed() == CloseCode.BACK_OFF


def websocket_pings(protocol):
    """Send a ping."""
    protocol.send_ping(b"x")


def websocket_pongs(protocol):
    """Send a pong that nobody asked for."""
    protocol.send_pong(b"x")


def fragments(protocol):
    """Go on with a message that never ends."""
    if protocol.expect_continuation_frame:
        protocol.send_continuation(b"", fin=False)
    else:
        protocol.send_text(b"", fin=False)


@pytest.mark.parametrize("flood", [websocket_pings, websocket_pongs, fragments])
async def test_a_flood_below_messages_closes_with_4429(run_gateway, people, listener, flood):
    """Control frames and fragments count as frames: the library answers or keeps each."""
    user = await people.user()
    async with run_gateway() as running, listener(running, user) as one:
        await one.connect()
        connection = one._connection.socket
        for _ in range(300):
            flood(connection.protocol)
        connection.send_data()
        assert await one.until_closed() == CloseCode.BACK_OFF


async def test_a_client_that_asks_without_reading_is_cut_off(run_gateway, people, listener, monkeypatch):
    """Replies to a client that reads nothing are bounded."""
    monkeypatch.setattr(wire, "_MAX_UNREAD_BYTES", 1000, raising=False)
    user = await people.user()
    async with run_gateway() as running, listener(running, user) as one:
        await one.connect()
        (receiver,) = running.hub._users[str(user)]
        receiver._connection.pause_writing()
        for _ in range(30):
            await one.send({"t": "subscribe", "channel": "x"})
        assert await one.until_closed() == 1006


async def test_pongs_to_a_client_that_reads_nothing_are_bounded(run_gateway, people, listener):
    """A flood of pings is cut off while its close frame waits, too."""
    user = await people.user()
    async with run_gateway() as running, listener(running, user) as one:
        await one.connect()
        (receiver,) = running.hub._users[str(user)]
        connection = receiver._connection
        one._connection.socket.transport.pause_reading()  # so that it does not answer the close frame
        receiver.drained()
        connection.pause_writing()
        for _ in range(3000):
            one._connection.socket.protocol.send_ping(b"x" * 125)
        one._connection.socket.send_data()
        await eventually(connection.transport.is_closing)
        await one.kill()


async def test_a_user_has_so_many_connections_and_no_more(run_gateway, people, listener):
    """One connection too many is closed with 4004; the others stay."""
    user = await people.user()
    async with (
        run_gateway(gateway_max_connections_per_user=1) as running,
        listener(running, user) as one,
        listener(running, user) as two,
    ):
        await one.connect()
        await two.open()
        assert await two.until_closed() == CloseCode.TOO_MANY_CONNECTIONS
        assert (await one.ask({"t": "subscribe", "channel": "me"}))["ok"]
        await one.close()
        await eventually(lambda: not running.hub.connections_of(str(user)))
        await two.connect()


async def test_a_full_gateway_answers_503(run_gateway, people, listener):
    """Past the bound of the process an upgrade is refused, to be tried elsewhere."""
    user = await people.user()
    async with (
        run_gateway(gateway_max_connections=1) as running,
        listener(running, user) as one,
        listener(running, user) as two,
    ):
        await one.connect()
        with pytest.raises(InvalidStatus) as refused:
            await two.open()
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["Retry-After"] == "1"


async def test_an_expired_token_ends_the_connection_and_refresh_extends_it(run_gateway, people, listener):
    """Without refresh the session closes with 4401 when its token expires; with it, it goes on."""
    user, other = await people.user(), await people.user()
    async with run_gateway() as running, listener(running, user) as one, listener(running, user) as two:
        await two.connect()
        assert not (await two.ask({"t": "refresh", "token": people.ticket(user)}))["ok"]
        soon = False
        while not soon:  # on a busy machine a token of two seconds may be over before it is taken
            soon = (await two.ask({"t": "refresh", "token": people.token(user, ttl=2)}))["ok"]
        assert (await two.ask({"t": "refresh", "token": people.token(user)}))["ok"]
        while not one.welcome:
            one.token = people.token(user, ttl=2)
            with contextlib.suppress(ListenerClosed):
                await one.connect()
        assert await one.until_closed() == CloseCode.SIGN_IN
        assert one.frames[-1]["code"] == "token_expired"
        await two.send({"t": "refresh", "token": people.token(other)})
        assert await two.until_closed() == CloseCode.FORBIDDEN


async def test_pings_are_answered_or_the_connection_ends(run_gateway, people, listener):
    """A client that answers stays and its cursor moves on; one that is silent is closed with 4201."""
    user = await people.user()
    async with (
        run_gateway(gateway_ping_interval="PT1S") as running,
        listener(running, user) as alive,
        listener(running, user, answer_pings=False) as dead,
    ):
        await alive.connect()
        await dead.connect()
        assert await dead.until_closed() == CloseCode.NO_PONG
        await alive.until(lambda: alive.pings >= 3, "three pings")
        assert alive.cursor == running.hub.cursor


async def all_well(running):
    """Wait until the gateway is ready, and return what it says then."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{running.port}") as client:
        return await eventually(lambda: client.get("/readyz"), wanted=lambda answer: answer.status_code == 200)


async def test_rotated_keys_are_fetched_when_first_met(run_gateway, people, listener, jwks, signing_keys):
    """A token of a new key is verified after one fetch; unknown keys do not make a fetch each."""
    user = await people.user()
    newer = jwt.parse_keys(jwt.generate_keys())
    async with run_gateway(jwks_cool_down="PT1S") as running, listener(running, user) as one:
        await all_well(running)
        await one.connect()
        await one.close()
        before = jwks.requests
        jwks.document = jwt.public_keys(newer)
        one.token, one.welcome = people.token(user, keys=newer), {}
        while not one.welcome:  # within the cool-down nothing is fetched
            with contextlib.suppress(ListenerClosed):
                await one.connect()
        assert jwks.requests == before + 1
        await one.close()
    async with run_gateway(jwks_cool_down="PT1H") as running, listener(running, user) as one:
        await all_well(running)
        one.token = people.token(user, keys=newer)
        await one.connect()
        await one.close()
        before = jwks.requests
        for _ in range(5):
            one.token = people.token(user, keys=jwt.parse_keys(jwt.generate_keys()))
            await one.open()
            assert await one.until_closed() == CloseCode.SIGN_IN
        assert jwks.requests == before


async def test_health_says_what_works(run_gateway, settings, stream):
    """livez, readyz, health and metrics answer over HTTP; other paths are 404, a plain GET of /ws is no WebSocket."""
    async with run_gateway() as running, httpx.AsyncClient(base_url=f"http://127.0.0.1:{running.port}") as client:
        ready = await all_well(running)
        assert ready.json() == {"ok": True, "checks": {"stream": "ok", "memberships": "ok", "keys": "ok"}}
        assert (await client.get("/livez")).text == "ok"
        assert (await client.get("/health")).json()["service"] == "gateway"
        assert "taskbell_gateway_connections" in (await client.get("/metrics")).text
        assert (await client.get("/v1/tasks")).status_code == 404
        assert (await client.get("/ws")).status_code == 426
        await stream.jetstream.delete_stream("TASKBELL_EVENTS")


async def test_a_gateway_waits_for_the_stream(settings, stream, people, listener):
    """Without a stream the gateway is up and not ready, and takes up its work when the relay has made it."""
    await stream.jetstream.delete_stream("TASKBELL_EVENTS")
    user = await people.user()
    async with gateway(settings(), listening=listen(host="127.0.0.1", port=0)) as running:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{running.port}") as client:
            answer = await client.get("/readyz")
            assert answer.status_code == 503
            assert answer.json()["checks"]["stream"] == "StreamNotRead"
        await stream.create(epoch=7)
        await eventually(lambda: running.hub.epoch == 7)
        async with listener(running, user) as one:
            assert (await one.connect())["epoch"] == 7
            await stream.publish(new_id(), number=1, audience=[user])
            await one.until_events(1)
            assert orjson.loads(one.events[0].text)["cursor"] == "7-1"
