"""When the queue looks at an object again."""

import asyncio

import pytest
import structlog

from taskbell.kit.clock import SystemClock
from taskbell.operator.queue import Key, Outcome, Pace, Queue

KEY = Key("K", "n", "a")


@pytest.fixture
async def working():
    """Run a queue over a work function."""
    tasks = []

    def run(work, **pace):
        given = {"first_backoff": 0.01, "longest_backoff": 0.02, "resync": 3600} | pace
        queue = Queue(work, SystemClock(), pace=Pace(**given))
        tasks.append(asyncio.create_task(queue.run()))
        return queue

    yield run
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_later_time_replaces_the_former(working):
    """Of two times for one object only the one that was said last counts."""
    passes = []

    async def work(key):
        passes.append(key)
        return Outcome()

    queue = working(work)
    queue.add_later(KEY, 0.02)
    queue.add_later(KEY, 3600)
    await asyncio.sleep(0.2)
    assert passes == []


async def test_the_resync_comes_however_late_a_pass_wants_the_next(working, until):
    """No pass can put an object off for longer than the resync."""
    passes = []

    async def work(key):
        passes.append(key)
        return Outcome(again_in=3600)

    working(work, resync=0.02).add(KEY)
    await until(lambda: len(passes) >= 3, what="looked at again and again")


async def test_a_success_forgets_the_failures(working, until):
    """The back-off begins anew after a pass that succeeded."""
    results = [False, False, True, False, True]

    async def work(_):
        if not results.pop(0):
            raise RuntimeError("no")
        return Outcome(again_in=0.01 if results else None)

    with structlog.testing.capture_logs() as logs:
        working(work).add(KEY)
        await until(lambda: not results, what="all passes were made")
    assert [entry["failures"] for entry in logs if entry["event"] == "reconcile_failed"] == [1, 2, 1]


async def test_an_object_that_is_gone_is_forgotten(working):
    """Nothing is kept of it, and it is looked at no more, also if it failed before."""
    results = [RuntimeError("no"), Outcome(gone=True)]
    passes = []

    async def work(key):
        passes.append(key)
        result = results.pop(0) if results else Outcome()
        if isinstance(result, Exception):
            raise result
        return result

    working(work, resync=0.02).add(KEY)
    await asyncio.sleep(0.3)
    assert len(passes) == 2
