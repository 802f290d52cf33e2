"""A delivery worker's memory stays below the chart's limit, however large the events are and however slow receivers."""

import asyncio
import contextlib

import pytest

from taskbell.contract.events import MAX_DATA_BYTES
from taskbell.testing.waiting import eventually

pytestmark = pytest.mark.timeout(600)

_WORKSPACES = 20
_WEBHOOKS = 20
_EVENTS = 300


class _Unread:
    """A receiver that takes connections, reads nothing and answers nothing."""

    def __init__(self):
        self.writers, self.taken, self.port = set(), 0, 0

    async def __call__(self, reader, writer):
        self.taken += 1
        self.writers.add(writer)
        writer.transport.pause_reading()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@pytest.fixture
async def silent():
    """A receiver that takes connections and leaves whatever it gets unread."""
    receiver = _Unread()
    server = await asyncio.start_server(receiver, "127.0.0.1", 0, limit=1024)
    receiver.port = server.sockets[0].getsockname()[1]
    yield receiver
    server.close()
    for writer in receiver.writers:
        writer.transport.abort()


async def test_the_largest_events_for_receivers_that_do_not_read_fit_its_memory(
    platform, silent, receiver, worker_process, memory_of
):
    """300 of the largest events for 400 webhooks that read nothing: another's webhook gets its event."""
    memory = memory_of("delivery")
    worker = await worker_process(LOG_LEVEL="ERROR", WEBHOOK_TIMEOUT="PT30S")
    memory.limit(worker.process.pid)
    workspaces = [(await platform.person())[1] for _ in range(_WORKSPACES)]
    for workspace in workspaces:
        for number in range(_WEBHOOKS):
            await platform.webhook(workspace, f"http://127.0.0.1:{silent.port}/{number}")
    for number in range(_EVENTS):
        await platform.kept_event(
            workspaces[number % _WORKSPACES], data={"title": "Fat", "pad": "x" * (MAX_DATA_BYTES - 100)}
        )
    await eventually(lambda: silent.taken >= 100, "attempts under way")
    _, honest = await platform.person()
    await platform.webhook(honest, receiver.url)
    event, _ = await platform.kept_event(honest)
    await eventually(lambda: receiver.accepted() == {event}, "the honest receiver has its event", within=300)

    async def recorded():
        return len(await platform.deliveries()) == _EVENTS * _WEBHOOKS + 1

    await eventually(recorded, "all are in the ledger", within=300)
    assert worker.process.returncode is None
    assert memory.peak(worker.process.pid) < memory.bytes
