"""An API process reads the stream only while clients poll the change feed."""

import asyncio

import pytest

from taskbell.api.events.following import Following
from taskbell.api.events.recent import RecentEvents
from taskbell.contract.cursors import EventCursor
from taskbell.kit.looper import running
from taskbell.testing.waiting import eventually


class _Reader:
    """Stands for the reader of the stream: it begins where the stream ends, and reads until it is cancelled."""

    def __init__(self, recent, log):
        self._recent = recent
        self._log = log

    async def run(self):
        self._log.append("begun")
        self._recent.begin(epoch=1, position=7)
        try:
            await asyncio.Event().wait()
        finally:
            self._log.append("ended")


@pytest.fixture
def log():
    """What the readers did."""
    return []


@pytest.fixture
async def following(log):
    """Starts a following with a pause in seconds."""

    async def start(pause):
        recent = RecentEvents(max_bytes=10_000)
        following = Following(recent, lambda: _Reader(recent, log), pause=pause)
        stack.append(running(following.run, name="following"))
        await stack[-1].__aenter__()
        return following

    stack = []
    yield start
    for each in stack:
        await each.__aexit__(None, None, None)


async def test_one_poll_does_not_start_it(following, log):
    """Polls that come one by one read the stream themselves; the second of two that are close starts the reader."""
    started = await following(60)
    await asyncio.sleep(0)
    started.polled()
    for _ in range(10):
        await asyncio.sleep(0)
    assert log == []
    started.polled()
    await eventually(lambda: log == ["begun"])


async def test_it_ends_without_polls_and_begins_again(following, log):
    """A pause without a poll ends the reader; two more polls make another one."""
    started = await following(0.05)
    started.polled()
    started.polled()
    await eventually(lambda: log == ["begun", "ended"])
    started.polled()
    started.polled()
    await eventually(lambda: log == ["begun", "ended"] * 2)


async def test_polls_keep_it_going(following, log):
    """Each poll gives the reader the whole pause again."""
    started = await following(60)
    started.polled()
    started.polled()
    await eventually(lambda: log == ["begun"])
    before = started._until.when()
    loop = asyncio.get_running_loop()
    now = loop.time()
    await eventually(lambda: loop.time() > now)
    started.polled()
    assert started._until.when() > before
    assert log == ["begun"]


async def test_what_was_read_is_forgotten(following, log):
    """When the reader ends, memory answers nothing: nobody waits for events that nobody reads."""
    started = await following(0.05)
    recent = started._recent
    cursor, later = EventCursor(1, 7), EventCursor(1, 9)
    started.polled()
    started.polled()
    await eventually(lambda: log == ["begun", "ended"])
    await eventually(lambda: not recent._reaches_back_to(cursor))
    assert await recent.between(cursor, later, workspace_id="w", patience=60) is None
