"""NATS ends and comes back, or comes back empty, under a working worker."""

import contextlib
import signal

import pytest

from taskbell.contract.subjects import DELIVERY_CONSUMER, STREAM
from taskbell.local.embedded.nats import NatsServer
from taskbell.testing.waiting import eventually


@pytest.fixture
def server(tmp_path):
    """A NATS server of this test alone."""
    return NatsServer(tmp_path / "nats", accounts={"a": "secret"})


@pytest.fixture
def running(server, tmp_path):
    """Starts and stops the server."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(server.running(tmp_path / "nats.log"))
        yield stack


@pytest.fixture
def nats_url(server, running):
    """Where it listens."""
    return server.url("a")


@pytest.mark.feature("P19")
async def test_a_restart_of_nats_loses_nothing(platform, receiver, run_worker, server, running, tmp_path, stream):
    """The worker goes on by itself; events published after are delivered."""
    assert signal.SIGTERM is server.stop_signal
    _, workspace = await platform.person()
    await platform.webhook(workspace, receiver.url)
    async with run_worker():
        before = await platform.event(workspace)
        await eventually(lambda: receiver.accepted() == {before})
        running.pop_all().close()
        running.enter_context(server.running(tmp_path / "nats-2.log"))
        await eventually(lambda: stream.client.is_connected)
        after = await platform.event(workspace)
        await eventually(lambda: receiver.accepted() == {before, after})


@pytest.mark.feature("P19")
async def test_a_rebuilt_stream_repeats_nothing(platform, receiver, run_worker, stream):
    """The relay rebuilds the stream and publishes its events again: what was delivered is not sent again."""
    _, workspace = await platform.person()
    await platform.webhook(workspace, receiver.url)
    async with run_worker():
        event_id = await platform.event(workspace)
        await eventually(lambda: receiver.accepted() == {event_id})
        kept = await stream.jetstream.get_msg(STREAM, seq=1)
        await stream.recreate(epoch=2)
        await stream.jetstream.publish(kept.subject, kept.data, headers=kept.headers)
        fresh = await platform.event(workspace)
        await eventually(lambda: receiver.accepted() == {event_id, fresh})
        info = await stream.jetstream.consumer_info(STREAM, DELIVERY_CONSUMER)
        assert info.delivered.stream_seq == 2
    assert len(receiver.requests) == 2
