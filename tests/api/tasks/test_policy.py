"""Decisions about tasks, from plain values."""

from datetime import UTC, datetime
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskbell.api.tasks.errors import ParameterInvalid
from taskbell.api.tasks.policy import (
    FIELDS,
    GAP,
    ROOMY,
    WIDEST,
    Neighbour,
    below_first,
    change,
    is_for_new,
    iso,
    middle,
    spread,
)
from taskbell.contract.events import EventType

_CURRENT = dict.fromkeys(FIELDS) | {
    "title": "t",
    "description": None,
    "status": "pending",
    "priority": 5,
    "start_at": None,
    "due_at": datetime(2027, 1, 1, tzinfo=UTC),
    "assignee_ids": [],
}
_POSITIONS = st.integers(-(10**7), 10**12)


@pytest.mark.feature("T7")
@given(lower=_POSITIONS, width=st.one_of(st.integers(1, 12), st.integers(1, 10**7)))
def test_the_middle_is_between(lower, width):
    """The middle lies strictly between its bounds, at most one from the exact half, where no new task can appear."""
    upper = lower + width
    found = middle(lower, upper)
    if found is None:
        assert width < 4
    else:
        assert lower < found < upper
        assert abs(found - (lower + upper) // 2) <= 1
        assert not is_for_new(found)


@pytest.mark.feature("T7")
def test_the_middle_is_exact_between_neighbours_of_one_gap():
    """Between two tasks created one after the other it is the half."""
    assert [middle(lower, lower + GAP) for lower in (1000, 7000)] == [1500, 7500]


@given(first=_POSITIONS)
def test_there_is_always_room_before_the_first(first):
    """A task before the first one gets a gap, on a position that no new task takes."""
    position = below_first(first)
    assert GAP - 1 <= first - position <= GAP
    assert not is_for_new(position)


def _place(positions, gap):
    """Re-spread as the service does: take in more neighbours until there is room. Returns old and new positions."""
    tasks = [Neighbour(UUID(int=number), position) for number, position in enumerate(positions)]
    below, above = tasks[:gap][::-1], tasks[gap:]
    take = 8
    while (room := spread(below[: take + 1], above[: take + 1], take=take)) is None:
        assert take <= 4 * max(WIDEST, len(tasks)), "no end"
        take *= 2
    placed = {task.id: task.position for task in room.neighbours}
    after = [placed.get(task.id, task.position) for task in tasks]
    return room.position, after, placed, take


@pytest.mark.feature("T10")
@given(
    first=st.integers(-(10**6), 10**9),
    widths=st.lists(st.one_of(st.just(1), st.integers(1, 3), st.integers(1, 2000)), max_size=80),
    data=st.data(),
)
def test_a_spread_keeps_the_order(first, widths, data):
    """After a re-spread all tasks stand in their order at different positions, the moved one in the gap."""
    positions = [first]
    for width in widths:
        positions.append(positions[-1] + width)
    gap = data.draw(st.integers(0, len(positions) - 1), label="gap")
    position, after, placed, _ = _place(positions, gap)
    outcome = [*after[:gap], position, *after[gap:]]
    assert all(lower < upper for lower, upper in pairwise(outcome))
    assert outcome[-1] == positions[-1]
    assert not any(is_for_new(at) for at in (position, *placed.values()))


@pytest.mark.feature("T10")
@given(first=st.integers(0, 10**9), dense=st.integers(2, 60), data=st.data())
def test_a_spread_pays_for_many_moves(first, dense, data):
    """Where neighbours had no gaps, each gap next to a task that moved is wide again."""
    positions = [first + number for number in range(dense)] + [first + 10**6]
    gap = data.draw(st.integers(1, dense - 1), label="gap")
    position, after, _, take = _place(positions, gap)
    outcome = [*after[:gap], position, *after[gap:]]
    around = outcome[max(gap - take, 0) : gap + take]
    assert all(upper - lower >= ROOMY - 1 for lower, upper in pairwise(around))


@pytest.mark.feature("T10")
@pytest.mark.parametrize("gap", [1, 15_000, 29_999])
def test_a_spread_ends_where_thirty_thousand_tasks_stand_shoulder_to_shoulder(gap):
    """Also a list without any free position is re-spread, in a bounded number of steps."""
    position, after, _, _ = _place(list(range(30_000)), gap)
    outcome = [*after[:gap], position, *after[gap:]]
    assert all(lower < upper for lower, upper in pairwise(outcome))


@given(wanted=st.fixed_dictionaries({}, optional={name: st.just(value) for name, value in _CURRENT.items()}))
def test_what_is_already_so_is_no_change(wanted):
    """Wanting present values causes no event."""
    decided = change(_CURRENT, wanted)
    assert (decided.values, decided.facts, decided.changes_status) == (_CURRENT, [], False)


@pytest.mark.feature("F2")
def test_a_change_of_status_is_a_fact_of_its_own():
    """A change of status and title is two facts, each with the old values of its own fields, nothing else."""
    decided = change(_CURRENT, {"status": "completed", "title": "new", "priority": 5, "due_at": None})
    assert decided.facts == [
        (EventType.TASK_UPDATED, {"title": "t", "due_at": _CURRENT["due_at"]}),
        (EventType.TASK_STATUS_CHANGED, {"status": "pending"}),
    ]
    assert decided.changes_status
    assert decided.values == {**_CURRENT, "status": "completed", "title": "new", "due_at": None}


@given(start=st.datetimes(timezones=st.just(UTC)), due=st.datetimes(timezones=st.just(UTC)))
def test_a_start_after_the_due_date_is_refused(start, due):
    """Whichever of the two changes, the outcome counts."""
    for current, wanted in (({"start_at": start}, {"due_at": due}), ({"due_at": due}, {"start_at": start})):
        if start > due:
            with pytest.raises(ParameterInvalid, match="start_at"):
                change(_CURRENT | {"due_at": None} | current, wanted)
        else:
            assert change(_CURRENT | {"due_at": None} | current, wanted).values["due_at"] == due


def test_old_instants_are_written_like_new_ones():
    """An instant in `previous` has the form it has in the task; other values stay what they are."""
    assert iso(datetime(2027, 1, 2, 3, 4, 5, 6, tzinfo=UTC)) == "2027-01-02T03:04:05.000006Z"
    assert [iso(value) for value in ("text", 5, None)] == ["text", 5, None]
