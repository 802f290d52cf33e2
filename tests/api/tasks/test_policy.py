"""Decisions about tasks, from plain values."""

from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskbell.api.tasks.policy import ROOMY, WIDEST, Neighbour, Outcome, is_for_new, rule_broken, spread
from taskbell.contract.problems import ProblemCode


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


@pytest.mark.parametrize("outcome", Outcome)
def test_a_broken_rule_has_an_error_of_its_own(outcome):
    """Four outcomes are rules that a change breaks by itself, each with its own pointer; others say no more."""
    refused = rule_broken(outcome, assignees=[UUID(int=1), UUID(int=2)], strangers={UUID(int=2)})
    told = None if refused is None else (refused.code, [(error.pointer, error.code) for error in refused.errors])
    assert told == {
        Outcome.OTHER_VERSION: (ProblemCode.VERSION_MISMATCH, []),
        Outcome.OTHER_WORKSPACE: (ProblemCode.VALIDATION_FAILED, [("/workspace_id", "workspace_immutable")]),
        Outcome.START_AFTER_DUE: (ProblemCode.VALIDATION_FAILED, [("/start_at", "start_after_due")]),
        Outcome.NOT_MEMBERS: (ProblemCode.VALIDATION_FAILED, [("/assignee_ids/1", "assignee_not_member")]),
    }.get(outcome)
