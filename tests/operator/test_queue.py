"""When the queue looks at an object, and when it looks again."""

import asyncio
import contextlib
import itertools

import pytest
import structlog

from taskbell.operator.queue import Intervals, Key, Outcome, Queue
from taskbell.testing.waiting import eventually

KEY, OTHER = Key("K", "n", "a"), Key("K", "n", "b")


@pytest.fixture
def working():
    """Run a queue over a pass."""

    @contextlib.asynccontextmanager
    async def run(work, **intervals):
        intervals = Intervals(**({"first_backoff": 0.01, "longest_backoff": 0.05, "resync": 3600} | intervals))
        queue = Queue({"K": work}, intervals=intervals)
        task = asyncio.create_task(queue.run())
        try:
            yield queue
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    return run


async def test_many_additions_are_one_pass(working):
    """Additions before a pass are one pass, and additions during a pass are one more."""
    passes, gate = [], asyncio.Event()

    async def work(key):
        passes.append(key)
        await gate.wait()
        return Outcome()

    async with working(work) as queue:
        for _ in range(10):
            queue.add(KEY)
        await eventually(lambda: passes, "the pass began")
        for _ in range(10):
            queue.add(KEY)
        gate.set()
        await eventually(lambda: queue.idle, "nothing is due")
    assert passes == [KEY, KEY]


async def test_one_object_is_never_worked_on_twice_at_once(working):
    """Passes over one object follow each other; passes over different objects run side by side."""
    running, counts, together = set(), {KEY: 0, OTHER: 0}, []

    async def work(key):
        assert key not in running
        running.add(key)
        together.append(len(running))
        await asyncio.sleep(0.01)
        running.discard(key)
        counts[key] += 1
        return Outcome()

    async with working(work) as queue:
        for _ in range(20):
            queue.add(KEY)
            queue.add(OTHER)
            await asyncio.sleep(0.003)
        await eventually(lambda: queue.idle, "nothing is due")
    assert min(counts.values()) > 2
    assert max(together) == 2


async def test_failures_back_off_and_end(working):
    """A failing pass is repeated with pauses until it succeeds, and does not delay other objects."""
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
        await eventually(lambda: len(times) == 6 and queue.idle, "it succeeded")
    assert done == [OTHER]
    assert all(later - earlier >= 0.004 for earlier, later in itertools.pairwise(times))


async def test_a_success_forgets_the_failures(working):
    """The back-off starts again from the beginning after a pass that succeeded."""
    results = [False, False, True, False, True]

    async def work(_):
        if not results.pop(0):
            raise RuntimeError("no")
        return Outcome(again_in=0.01 if results else None)

    with structlog.testing.capture_logs() as logs:
        async with working(work) as queue:
            queue.add(KEY)
            await eventually(lambda: not results, "all passes were made")
    assert [entry["failures"] for entry in logs if entry["event"] == "reconcile_failed"] == [1, 2, 1]


async def test_passes_may_ask_to_be_repeated(working):
    """A pass names the time of the next one; without a time, the resync comes."""
    passes = []

    async def work(key):
        passes.append(key)
        return Outcome(again_in=0.01 if len(passes) < 4 else None)

    async with working(work, resync=0.05) as queue:
        queue.add(KEY)
        await eventually(lambda: len(passes) >= 6, "repeated")


async def test_a_later_time_replaces_the_former(working):
    """Of two times that passes named, only the last one counts."""
    times = [3600, 0.02]
    passes = []

    async def work(key):
        passes.append(key)
        return Outcome(again_in=times.pop() if key == KEY else 0.05)

    async with working(work) as queue:
        queue.add(KEY)
        await eventually(lambda: passes == [KEY] and queue.idle, "the first pass")
        queue.add(KEY)
        queue.add(OTHER)
        await eventually(lambda: passes.count(OTHER) >= 3, "the former time is over")
    assert passes.count(KEY) == 2


async def test_the_resync_is_the_longest_wait(working):
    """A pass cannot put off the next one for longer than the resync."""
    passes = []

    async def work(key):
        passes.append(key)
        return Outcome(again_in=3600)

    async with working(work, resync=0.02) as queue:
        queue.add(KEY)
        await eventually(lambda: len(passes) >= 3, "resynced")


async def test_an_object_that_is_gone_is_forgotten(working):
    """It gets no more passes, also if it failed before, until it is added again."""
    results = [RuntimeError("no"), Outcome(gone=True), Outcome(gone=True)]
    passes = []

    async def work(key):
        passes.append(key)
        result = results.pop(0) if key == KEY else Outcome()
        if isinstance(result, Exception):
            raise result
        return result

    async with working(work, resync=0.02) as queue:
        queue.add(KEY)
        await eventually(lambda: passes.count(KEY) == 2, "it is gone")
        queue.add(OTHER)
        await eventually(lambda: passes.count(OTHER) >= 5, "several resyncs")
        assert passes.count(KEY) == 2
        queue.add(KEY)
        await eventually(lambda: passes.count(KEY) == 3, "it is looked at again")


async def test_an_addition_during_the_last_pass_counts(working):
    """An object that was created again while a pass found it gone gets another pass."""
    passes, queues = [], []

    async def work(key):
        passes.append(key)
        if len(passes) == 1:
            queues[0].add(key)
        return Outcome(gone=len(passes) == 1)

    async with working(work) as queue:
        queues.append(queue)
        queue.add(KEY)
        await eventually(lambda: len(passes) == 2 and queue.idle, "two passes")


async def test_a_queue_that_runs_again_looks_at_all_objects(working):
    """After an end, also in the middle of a pass, every known object gets a pass at once."""
    passes, begun = [], asyncio.Event()

    async def work(key):
        passes.append(key)
        begun.set()
        await asyncio.sleep(3600 if len(passes) == 1 else 0)
        return Outcome()

    async with working(work) as queue:
        queue.add(KEY)
        await begun.wait()
        queue.add(OTHER)
    running = asyncio.create_task(queue.run())
    await eventually(lambda: passes.count(KEY) == 2 and passes.count(OTHER) >= 1 and queue.idle, "all were looked at")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_change_that_comes_while_the_queue_stops_is_kept():
    """Passes that take their time to end do not make an addition fail; the object is looked at by the next run."""
    passes, begun, may_end = [], asyncio.Event(), asyncio.Event()

    async def work(key):
        passes.append(key)
        begun.set()
        if key == KEY and not may_end.is_set():
            try:
                await asyncio.Event().wait()
            finally:
                await may_end.wait()
        return Outcome()

    queue = Queue({"K": work}, intervals=Intervals())
    queue.add(KEY)
    stopped = asyncio.create_task(queue.run())
    await begun.wait()
    stopped.cancel()
    await asyncio.sleep(0)  # the cancellation has reached the queue, and waits for the pass
    queue.add(OTHER)
    may_end.set()
    await asyncio.gather(stopped, return_exceptions=True)
    again = asyncio.create_task(queue.run())
    await eventually(lambda: OTHER in passes, "the object was looked at")
    again.cancel()
    await asyncio.gather(again, return_exceptions=True)
