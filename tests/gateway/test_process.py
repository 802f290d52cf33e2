"""The gateway as a process of its own: an inherited socket, signals, a bus that comes and goes."""

import asyncio
import contextlib
import signal
import subprocess

import httpx
import nats
import pytest

from gateway_processes import connected
from taskbell.contract.frames import CloseCode
from taskbell.kit.ids import new_id
from taskbell.local.embedded.nats import NatsServer
from taskbell.operator.pods import parse_connections
from taskbell.testing.listener import Listener
from taskbell.testing.waiting import eventually


@pytest.fixture
def start(start_gateway):
    """Start gateway processes; keyword arguments are settings."""
    return start_gateway


async def test_sigterm_drains(start, people, stream):
    """Every connection gets goaway and 4200; the process ends with status 0; cursors go on elsewhere."""
    user = await people.user(workspaces=[new_id()])
    first, second = start(), start()
    listeners = [Listener(first.url, token=people.token(user)) for _ in range(20)]
    for listener in listeners:
        await connected(listener)
    await stream.publish(new_id(), number=1, audience=[user])
    for listener in listeners:
        await listener.until_events(1)
    first.child.send_signal(signal.SIGTERM)
    codes = [await listener.until_closed() for listener in listeners]
    assert await first.end() == 0
    assert set(codes) == {CloseCode.DRAIN}
    assert all(listener.frames[-1]["t"] == "goaway" for listener in listeners)
    assert len({listener.frames[-1]["retry_after_ms"] for listener in listeners}) > 1
    mine = new_id()
    await stream.publish(mine, number=2, audience=[user])
    listeners[0].url = second.url
    assert (await connected(listeners[0]))["resume"] == "ok"
    for listener in listeners:
        await listener.close()


async def test_a_gateway_that_drains_tells_how_many_are_left(start, people, stream):
    """While it closes connections it admits nobody and is not ready, but its metrics can be read; then it is gone."""
    user = await people.user()
    process = start(TASKBELL_GATEWAY_DRAIN_TIMEOUT="PT3S")
    listeners = [Listener(process.url, token=people.token(user)) for _ in range(6)]
    for listener in listeners:
        await connected(listener)
    process.child.send_signal(signal.SIGTERM)
    await listeners[0].until(lambda: bool(listeners[0].frames), "goaway")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{process.port}") as http:
        assert (await http.get("/readyz")).status_code == 503
        text = (await http.get("/metrics")).text
    assert 0 < parse_connections(text, "taskbell_gateway_connections") <= 6
    assert await process.end() == 0
    for listener in listeners:
        await listener.close()


async def test_a_second_signal_ends_at_once(start, people, stream):
    """Who cannot wait for the drain sends the signal again."""
    user = await people.user()
    process = start(TASKBELL_GATEWAY_DRAIN_TIMEOUT="PT60S")
    listener = Listener(process.url, token=people.token(user))
    await connected(listener)
    process.child.send_signal(signal.SIGTERM)
    await listener.until(lambda: bool(listener.frames), "goaway")
    process.child.send_signal(signal.SIGTERM)
    assert await process.end() == 1
    await listener.kill()


@pytest.mark.parametrize(
    ("name", "value"), [("TASKBELL_JWKS_URL", "nonsense"), ("TASKBELL_GATEWAY_MAX_CONNECTIONS", "0")]
)
async def test_a_wrong_setting_is_one_line(start, tmp_path, name, value):
    """A setting that cannot be is named, and the process ends with status 2."""
    assert await start(**{name: value}).end() == 2
    (line,) = (tmp_path / "gateway.log").read_text().splitlines()
    assert name in line


@pytest.mark.feature("K3")
async def test_sigkill_of_gateway_and_bus_loses_nothing(start, people, event_stream, tmp_path):
    """While events flow, NATS and the gateway are killed in turn; who comes back misses and repeats nothing."""
    bus = NatsServer(tmp_path / "nats", accounts={"t": "t"})
    bus.prepare()
    children = [subprocess.Popen(bus.command(), stderr=subprocess.DEVNULL, start_new_session=True)]  # noqa: ASYNC220 -- starting does not wait
    workspace = new_id()
    user = await people.user(workspaces=[workspace])
    try:
        await healthy(bus)
        client = await nats.connect(bus.url("t"), max_reconnect_attempts=-1, reconnect_time_wait=0.1)
        stream = event_stream(client)
        await stream.create()
        process = start(TASKBELL_NATS_URL=bus.url("t"))
        listener = Listener(process.url, token=people.token(user), channels=[f"workspace:{workspace}"], cursor="1-0")
        await connected(listener)

        async def write():
            for number in range(300):
                event_id = str(new_id())
                while True:
                    with contextlib.suppress(nats.errors.Error, TimeoutError):
                        await stream.publish(workspace, number=number, event_id=event_id)
                        break
                    await asyncio.sleep(0.05)
                await asyncio.sleep(0.005)

        writing = asyncio.create_task(write())
        await listener.until_events(50)
        children[-1].kill()
        children[-1].wait()
        children.append(subprocess.Popen(bus.command(), stderr=subprocess.DEVNULL, start_new_session=True))  # noqa: ASYNC220 -- starting does not wait
        await healthy(bus)
        await listener.until_events(120)
        process.child.kill()
        await listener.until_closed()
        process = start(TASKBELL_NATS_URL=bus.url("t"))
        listener.url = process.url
        assert (await connected(listener))["resume"] == "ok"
        await writing
        await listener.until_events(300)
        assert [received.event["data"]["number"] for received in listener.events] == list(range(300))
        await listener.close()
        await client.close()
    finally:
        for child in children:
            child.kill()
            child.wait()


async def healthy(bus):
    """Wait until JetStream answers."""
    await eventually(lambda: asyncio.to_thread(bus.accepts_connections), "the server")
