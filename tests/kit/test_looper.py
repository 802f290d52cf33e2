import asyncio

import pytest

from taskbell.kit import looper


class _Role:
    """Fails a number of times, then waits until it is asked to end."""

    def __init__(self, failures):
        self.failures = failures
        self.starts = 0
        self.healthy = asyncio.Event()
        self.end = asyncio.Event()
        self.cancelled = False

    async def __call__(self):
        self.starts += 1
        if self.starts <= self.failures:
            raise RuntimeError(f"failure {self.starts}")
        self.healthy.set()
        try:
            await self.end.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


def _failures(name):
    return looper.ROLE_FAILURES.labels(role=name)._value.get()


async def test_a_failing_role_is_started_again_and_counted():
    """A role that fails comes back; every failure is counted under its name."""
    role, before = _Role(failures=3), _failures("stubborn")
    async with looper.running(role, name="stubborn") as task:
        assert task.get_name() == "stubborn"
        await role.healthy.wait()
        role.end.set()
        await task
    assert role.starts == 4
    assert _failures("stubborn") - before == 3


async def test_a_role_that_ends_is_not_started_again():
    """Returning is the end of a role's work, not a failure."""
    role = _Role(failures=0)
    role.end.set()
    await looper.keep_running(role, name="once")
    assert role.starts == 1


async def test_leaving_the_block_cancels_the_role_and_waits_for_it():
    """When the block ends, nothing of the role runs on."""
    role = _Role(failures=0)
    async with looper.running(role, name="cancelled") as task:
        await role.healthy.wait()
    assert role.cancelled
    assert task.done()


async def test_a_role_that_loses_a_cancellation_ends_all_the_same():
    """What swallows a cancellation, as `wait_for` may, delays the end of the block and does not prevent it."""
    begun, lost = asyncio.Event(), []

    async def role():
        while True:
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if lost:
                    raise
                lost.append(True)

    # A block that waits forever would be cut off by this limit, which the last line then tells.
    async with asyncio.timeout(60) as limit, looper.running(role, name="forgetful") as task:
        await begun.wait()
    assert lost
    assert task.done()
    assert not limit.expired()


async def test_an_error_in_the_block_is_not_hidden():
    """The role is stopped, and the error of the block goes on."""
    role = _Role(failures=0)

    async def block():
        async with looper.running(role, name="unwound"):
            await role.healthy.wait()
            raise LookupError("of the block")

    with pytest.raises(LookupError, match="of the block"):
        await block()
    assert role.cancelled


async def test_the_pause_grows_to_its_bound(monkeypatch):
    """Restarts slow down to the longest pause, with jitter, so that a dead part is not hammered."""
    pauses = []

    async def noted(seconds):
        pauses.append(seconds)

    monkeypatch.setattr(looper.asyncio, "sleep", noted)
    role = _Role(failures=12)
    role.end.set()
    await looper.keep_running(role, name="slower", first_pause=0.1, longest_pause=1.0)
    bounds = [0.1, 0.2, 0.4, 0.8, *[1.0] * 8]
    assert len(pauses) == len(bounds)
    assert all(0.05 <= pause <= bound for pause, bound in zip(pauses, bounds, strict=True))
