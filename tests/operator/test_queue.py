import asyncio
import contextlib
import itertools

import pytest

from taskbell.kit.clock import SystemClock
from taskbell.operator.queue import Key, Outcome, Pace, Queue

KEY, OTHER = Key("K", "n", "a"), Key("K", "n", "b")


@pytest.fixture
def working():
    """Run a queue over a work function."""

    @contextlib.asynccontextmanager
    async def run(work, **pace):
        pace = Pace(**({"first_backoff": 0.01, "longest_backoff": 0.05, "resync": 3600} | pace))
        queue = Queue(work, SystemClock(), pace=pace)
        task = asyncio.create_task(queue.run())
        try:
            yield queue
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    return run


async def test_many_additions_are_one_pass(working, until):
    """What waits already is not queued again, and what comes during a pass is one more pass."""
    passes, gate = [], asyncio.Event()

    async def work(key):
        passes.append(key)
        await gate.wait()
        return Outcome()

    async with working(work) as queue:
        for _ in range(10):
            queue.add(KEY)
        await until(lambda: passes, what="the pass began")
        for _ in range(10):
            queue.add(KEY)
        gate.set()
        await until(lambda: queue.idle and len(passes) == 2, what="one more")
        await asyncio.sleep(0.05)
    assert passes == [KEY, KEY]


async def test_one_object_is_never_worked_on_twice_at_once(working, until):
    """Passes over one key follow each other, those over different keys run side by side."""
    running, most, together = set(), {}, []

    async def work(key):
        assert key not in running
        running.add(key)
        together.append(len(running))
        await asyncio.sleep(0.01)
        running.discard(key)
        most[key] = most.get(key, 0) + 1
        return Outcome()

    async with working(work) as queue:
        for _ in range(20):
            queue.add(KEY)
            queue.add(OTHER)
            await asyncio.sleep(0.003)
        await until(lambda: queue.idle, what="done")
    assert min(most.values()) > 2
    assert max(together) == 2


async def test_failures_back_off_and_end(working, until):
    """A failing pass is repeated until it succeeds, with growing pauses, and others are not held up."""
    times, done = [], []

    async def work(key):
        if key == OTHER:
            done.append(key)
            return Outcome()
        times.append(asyncio.get_running_loop().time())
        if len(times) < 6:
            raise RuntimeError("no")
        return Outcome()

    async with working(work) as queue:
        queue.add(KEY)
        queue.add(OTHER)
        await until(lambda: len(times) == 6, what="it succeeded")
        await asyncio.sleep(0.1)
    assert len(times) == 6
    assert done == [OTHER]
    assert all(later - earlier >= 0.004 for earlier, later in itertools.pairwise(times))


async def test_passes_may_ask_to_be_repeated_and_all_are_resynced(working, until):
    """A pass names its next time; without one, the resync comes; a gone object is looked at no more."""
    passes = []

    async def work(key):
        passes.append(key)
        return Outcome(gone=True) if key == OTHER else Outcome(again_in=0.01 if len(passes) < 4 else None)

    async with working(work, resync=0.05) as queue:
        queue.add(OTHER)
        queue.add(KEY)
        await until(lambda: passes.count(KEY) >= 6, what="repeated")
    assert passes.count(OTHER) == 1
