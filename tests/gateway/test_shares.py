"""Replays are shared out: a bounded number in all and for each user, in order, and none is lost."""

import asyncio
import contextlib

import pytest

from taskbell.gateway.shares import NoShare, ReplayShares

LONG = 60.0


class Replays:
    """Replays that go on until they are told to end."""

    def __init__(self, shares):
        self.shares = shares
        self.served = []
        self._tasks = {}

    async def begin(self, name):
        """Ask for a share; the user is the name's first letter."""
        self._tasks[name] = asyncio.create_task(self._serve(name))
        await _turn()

    async def end(self, name):
        """End one, served or not."""
        task = self._tasks.pop(name)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await _turn()

    async def _serve(self, name):
        async with self.shares.held(name[0]):
            self.served.append(name)
            try:
                await asyncio.Event().wait()
            finally:
                self.served.remove(name)


async def _turn():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_user_with_many_replays_leaves_room_for_others():
    """Past a user's share the others go first, each in order; what ends gives its share to the next."""
    replays = Replays(ReplayShares(at_most=3, per_user=2, patience=LONG))
    for name in ("a1", "a2", "a3", "b1", "b2", "c1"):
        await replays.begin(name)
    assert replays.served == ["a1", "a2", "b1"]
    await replays.end("b1")
    assert replays.served == ["a1", "a2", "b2"]
    await replays.end("a1")
    assert replays.served == ["a2", "b2", "a3"]
    await replays.end("c1")  # while it waits
    for name in ("a2", "a3", "b2"):
        await replays.end(name)
    assert (replays.shares.under_way, replays.shares._waiting) == (0, [])


async def test_who_gets_no_share_in_time_is_told():
    """And leaves no trace."""
    shares = ReplayShares(at_most=1, per_user=1, patience=0.01)
    async with shares.held("a"):
        with pytest.raises(NoShare):
            async with shares.held("b"):
                raise AssertionError("never served")
        assert shares.under_way == 1
    assert (shares.under_way, shares._waiting) == (0, [])


async def test_a_share_that_comes_with_a_cancellation_is_given_back():
    """The same turn of the loop may bring both."""
    shares = ReplayShares(at_most=1, per_user=1, patience=LONG)
    replays = Replays(shares)
    await replays.begin("a1")
    await replays.begin("b1")
    first, second = replays._tasks["a1"], replays._tasks["b1"]
    first.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await first  # its end has given the share to the second, which has not run since
    second.cancel()
    await asyncio.wait([second])
    assert (shares.under_way, shares._waiting) == (0, [])
