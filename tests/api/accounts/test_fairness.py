"""Who hashes next: lanes take turns, sign-ins before registrations."""

import asyncio

import pytest

from taskbell.api.accounts.fairness import Purpose, Room, RoomFull, Slots


async def in_order(slots, callers):
    """In which order callers work, while one that came first works."""
    done, turns = [], asyncio.Event()

    async def call(lane, purpose):
        async with slots.slot(lane.encode(), purpose):
            done.append(lane)

    async with slots.slot(b"first", Purpose.SIGN_IN):
        tasks = [asyncio.create_task(call(lane, purpose)) for lane, purpose in callers]
        await asyncio.sleep(0)
        turns.set()
    await asyncio.gather(*tasks)
    return done


async def test_lanes_take_turns():
    """Who comes alone is next after one of the crowd, however many of the crowd came before."""
    callers = [("crowd", Purpose.SIGN_IN)] * 4 + [("ann", Purpose.SIGN_IN), ("bob", Purpose.SIGN_IN)]
    assert await in_order(Slots(1), callers) == ["crowd", "ann", "bob", "crowd", "crowd", "crowd"]


async def test_sign_ins_go_first_and_registrations_are_not_forgotten():
    """A registration waits for sign-ins that came later, but for three of them at most."""
    callers = [("new", Purpose.REGISTRATION)] * 2 + [(str(number), Purpose.SIGN_IN) for number in range(6)]
    assert await in_order(Slots(1), callers) == ["0", "1", "2", "new", "3", "4", "5", "new"]


@pytest.mark.parametrize("granted", [False, True])
async def test_a_caller_who_leaves_gives_the_turn_to_the_next(granted):
    """Cancelled while waiting, or just when its turn came: the next one works, and no slot is lost."""
    slots = Slots(1)

    async def call():
        async with slots.slot(b"lane", Purpose.SIGN_IN):
            pass

    async with slots.slot(b"first", Purpose.SIGN_IN):
        leaver, stayer = asyncio.create_task(call()), asyncio.create_task(call())
        await asyncio.sleep(0)
        if not granted:
            leaver.cancel()
    if granted:
        leaver.cancel()
    async with asyncio.timeout(10):
        await stayer
        await call()
    assert leaver.cancelled()


def test_a_lane_holds_as_many_places_as_it_leaves_free():
    """Of nine places one lane gets five, the next three, then one, and a full room refuses."""
    room, taken = Room(9), []
    for lane in (b"a", b"b", b"c", b"d"):
        held = []
        while True:
            place = room.place(lane)
            try:
                place.__enter__()
            except RoomFull:
                break
            held.append(place)
        taken.append(held)
    assert [len(held) for held in taken] == [5, 2, 1, 1]
    for place in (place for held in taken for place in held):
        place.__exit__(None, None, None)
    assert room.free == 9
