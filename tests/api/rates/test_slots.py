"""What a user may have under way at once."""

import asyncio

import pytest

from taskbell.api.rates import slots as module
from taskbell.api.rates.slots import Slots, TooManyAtOnce


async def turns(slots, count):
    """Let what waits go on."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_heavy_requests_of_a_user_follow_each_other():
    """One that weighs all slots runs alone; light ones run together; other users do not wait."""
    slots = Slots(most=10)
    assert slots.take(1, 25)
    assert not slots.take(1, 1)
    assert slots.take(2, 10)
    slots.give(1, 25)
    assert all(slots.take(1, 1) for _ in range(10))
    assert not slots.take(1, 1)


async def test_turns_come_in_order():
    """Who waits is admitted in the order of coming: a light request does not overtake a heavy one forever."""
    slots, order = Slots(most=2), []

    async def request(name, weight):
        if not slots.take(1, weight):
            await slots.wait(1, weight)
        order.append(name)
        await asyncio.sleep(0)
        slots.give(1, weight)

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for name, weight in (("a", 1), ("b", 2), ("c", 1), ("d", 1), ("e", 2)):
            group.create_task(request(name, weight))
    assert order == ["a", "b", "c", "d", "e"]
    assert (slots._used, slots._waiting) == ({}, {})


@pytest.mark.parametrize("came", [False, True], ids=["waiting", "in the same moment"])
async def test_who_leaves_gives_its_place(came):
    """A request that is cancelled while it waits, or as its turn comes, keeps no slot."""
    slots = Slots(most=1)
    slots.take(1, 1)
    waiting = [asyncio.create_task(slots.wait(1, 1)) for _ in range(2)]
    await turns(slots, 2)
    if came:
        slots.give(1, 1)
    waiting[0].cancel()
    await asyncio.gather(waiting[0], return_exceptions=True)
    if not came:
        slots.give(1, 1)
    async with asyncio.timeout(60):
        await waiting[1]
    slots.give(1, 1)
    assert (slots._used, slots._waiting) == ({}, {})


async def test_waiting_ends(monkeypatch):
    """Who waits too long, or behind too many, gets 429 with `Retry-After`; nothing is left of it."""
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    slots = Slots(most=1)
    slots.take(1, 1)
    waiting = [asyncio.create_task(slots.wait(1, 1)) for _ in range(3)]
    for each in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(each, TooManyAtOnce)
        assert (each.code.value.status, each.headers) == (429, {"Retry-After": "1"})
    slots.give(1, 1)
    assert slots.take(1, 1)
