import asyncio

import pytest

from taskbell.kit.waiting import happens


async def test_a_set_event_is_not_waited_for():
    """An event that is set already counts, even without any time."""
    event = asyncio.Event()
    event.set()
    assert await happens(event, within=0)


async def test_the_wait_ends_with_the_event():
    """Once the event is set the wait is over, long before its deadline."""
    event = asyncio.Event()
    asyncio.get_running_loop().call_soon(event.set)
    async with asyncio.timeout(60):
        assert await happens(event, within=3600)


async def test_the_wait_ends_with_its_time():
    """When the time is over and the event is not set, the answer is no."""
    assert not await happens(asyncio.Event(), within=0.01)


async def test_a_cancellation_is_passed_on():
    """A cancellation of the waiting task is not mistaken for the deadline."""
    waiting = asyncio.create_task(happens(asyncio.Event(), within=3600))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
