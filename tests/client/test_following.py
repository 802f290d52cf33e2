"""The gateway client against a scripted gateway."""

import contextlib
import json

import pytest
from websockets.asyncio.server import serve

from taskbell.client.connection import Connection
from taskbell.client.following import Ended, follow


@contextlib.asynccontextmanager
async def scripted(*scripts):
    """Send each connection the frames of the next script, then close it; yields the address, and what clients sent."""
    remaining, hellos = iter(scripts), []

    async def gateway(connection):
        hellos.append(json.loads(await connection.recv()))
        for frame in next(remaining, []):
            await connection.send(json.dumps(frame))
            if frame["t"] == "ping":
                hellos.append(json.loads(await connection.recv()))
        await connection.close(4200)

    async with serve(gateway, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws", hellos


def _event(number):
    return {"t": "event", "cursor": f"1-{number}", "event": {"number": number}}


async def _connect(url, cursor):
    connection = await Connection.open(url, cursor=cursor, proxy=None)
    await connection.hello(token="secret", channels=["me"])
    return connection


async def test_it_comes_back_with_the_cursor_of_the_last_event():
    """Each connection says hello with the cursor of the one before, and pings are answered."""
    async with (
        scripted([_event(1), {"t": "ping", "cursor": "1-5"}], [_event(6)]) as (url, hellos),
        contextlib.aclosing(follow(lambda cursor: _connect(url, cursor), longest_pause=0.01)) as found,
    ):
        kinds = []
        async for one in found:
            kinds.append("ended" if isinstance(one, Ended) else one.kind)
            if len(kinds) == 5:
                assert one.code == 4200
                break
    hello = {"t": "hello", "channels": ["me"], "token": "secret"}
    assert kinds == ["event", "ping", "ended", "event", "ended"]
    assert hellos == [hello, {"t": "pong"}, {**hello, "resume": "1-5"}]


async def test_a_goaway_sets_the_pause():
    """The gateway spreads its clients over time: they come back when it says."""
    async with (
        scripted([{"t": "goaway", "retry_after_ms": 40}]) as (url, _),
        contextlib.aclosing(follow(lambda cursor: _connect(url, cursor), longest_pause=0.001)) as found,
    ):
        ended = [one async for one in _until_ended(found)][-1]
    assert ended.pause == 0.04


async def _until_ended(found):
    async for one in found:
        yield one
        if isinstance(one, Ended):
            return


async def test_an_event_that_was_not_taken_comes_again():
    """The cursor moves when the next frame is asked for: a client that fails at an event gets it again."""
    async with scripted([_event(1), _event(2)]) as (url, _):
        connection = await _connect(url, None)
        async for frame in connection:
            if frame.fields["event"]["number"] == 2:
                break
        assert connection.cursor == "1-1"
        await connection.close()


async def test_an_address_where_nobody_listens_is_tried_again(free_port):
    """No connection is an `Ended` without a code; another error than of the network ends the loop."""
    found = follow(lambda cursor: _connect(f"ws://127.0.0.1:{free_port}/ws", cursor), longest_pause=0.001)
    assert [(await anext(found)).code for _ in range(3)] == [None, None, None]
    await found.aclose()

    async def refused(_):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await anext(follow(refused))
