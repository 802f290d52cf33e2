"""The window of the newest events holds exactly what it says it holds."""

import asyncio
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskbell.api.events.recent import RecentEvents
from taskbell.contract.cursors import EventCursor
from taskbell.contract.subjects import EVENTS_ROOT, event_subject

WORKSPACES = [str(UUID(int=number)) for number in range(3)]


def window(*, max_bytes=2**20, epoch=1, position=0):
    """A window that has begun."""
    recent = RecentEvents(max_bytes=max_bytes)
    recent.begin(epoch=epoch, position=position)
    return recent


def add(recent, sequence, workspace_id=WORKSPACES[0], size=10):
    """The stream's reader read an event."""
    recent.message(sequence, event_subject(workspace_id=workspace_id, event_type="task.created"), {}, b"x" * size)


async def sequences(recent, after, until, *, workspace_id=WORKSPACES[0], epoch=1, patience=0.0):
    """What the window says; None when it cannot say."""
    found = await recent.between(
        EventCursor(epoch, after), EventCursor(epoch, until), workspace_id=workspace_id, patience=patience
    )
    return None if found is None else [event.sequence for event in found]


@given(
    begin=st.integers(0, 50),
    layout=st.lists(st.tuples(st.sampled_from(WORKSPACES), st.integers(0, 2000)), max_size=60),
    max_bytes=st.integers(0, 40_000),
    data=st.data(),
)
async def test_what_it_answers_is_what_the_stream_holds(begin, layout, max_bytes, data):
    """Any layout, sizes and bound: each answer is whole and in order, and no answer is given beyond the window."""
    recent = window(max_bytes=max_bytes, position=begin)
    for sequence, (workspace_id, size) in enumerate(layout, begin + 1):
        add(recent, sequence, workspace_id, size)
    end = begin + len(layout)
    after = data.draw(st.integers(0, end + 2))
    until = data.draw(st.integers(after, end + 2))
    for workspace_id in WORKSPACES:
        found = await sequences(recent, after, until, workspace_id=workspace_id)
        wanted = [
            sequence
            for sequence, (of, _) in enumerate(layout, begin + 1)
            if of == workspace_id and after < sequence <= until
        ]
        assert found in (None, wanted)
        if until > end or after < begin:
            assert found is None
        elif sum(size for _, size in layout) + 1000 * len(layout) <= max_bytes:
            assert found == wanted


async def test_it_is_bounded_by_bytes():
    """The newest stay; an event larger than the bound leaves nothing, and reading goes on."""
    recent = window(max_bytes=10_000)
    for sequence in range(1, 1001):
        add(recent, sequence)
    assert await sequences(recent, 900, 1000) is None
    assert await sequences(recent, 995, 1000) == [996, 997, 998, 999, 1000]
    add(recent, 1001, size=20_000)
    assert await sequences(recent, 1000, 1001) is None
    add(recent, 1002)
    assert await sequences(recent, 1001, 1002) == [1002]


async def test_it_knows_one_stream_alone():
    """Before the reader began, and for cursors of any other epoch, there is no answer; a new stream voids the old."""
    assert await sequences(RecentEvents(max_bytes=1000), 0, 0) is None
    recent = window()
    add(recent, 1)
    assert await sequences(recent, 0, 1, epoch=2) is None
    recent.begin(epoch=2, position=0)
    assert await sequences(recent, 0, 1) is None
    add(recent, 1, WORKSPACES[1])
    assert await sequences(recent, 0, 1, epoch=2) == []


async def test_what_is_no_event_is_passed_by():
    """A message that the relay cannot have written neither stops the reader nor delays waiting callers."""
    recent = window()
    recent.message(1, f"{EVENTS_ROOT}.stray", {}, b"")
    assert await sequences(recent, 0, 1) == []


async def test_what_the_stream_holds_already_is_waited_for():
    """A reader that is a moment behind is waited for, by any number at once."""
    recent = window()
    asking = [asyncio.create_task(sequences(recent, 0, until, patience=20)) for until in (1, 2, 3)]
    for sequence in (1, 2, 3):
        await asyncio.sleep(0)
        add(recent, sequence)
    assert await asyncio.gather(*asking) == [[1], [1, 2], [1, 2, 3]]


@pytest.mark.parametrize("epoch", [1, 2])
async def test_waiting_ends(epoch):
    """With the patience, or when the stream is another one meanwhile: nothing is known then."""
    recent = window()
    asking = asyncio.create_task(sequences(recent, 0, 2, patience=0.05))
    await asyncio.sleep(0)
    add(recent, 1)
    recent.begin(epoch=epoch, position=0)
    assert await asking is None
