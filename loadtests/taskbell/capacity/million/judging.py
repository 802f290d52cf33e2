"""Judges a run of a million by its counts: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from taskbell.capacity.conservation import Place
from taskbell.capacity.million.ears import ASSIGNED, CREATED, MATE, OWNER
from taskbell.capacity.million.plan import Plan

_EXAMPLES: Final = 5
UNTRIED, TRIED, ANSWERED = 0, 1, 2
"""What the creator knows of a task: nothing was sent, no 201 came yet, a 201 came."""
ROW, FEED_CREATED, FEED_ASSIGNED = "row", "feed created", "feed assigned"
INBOX_ASSIGNED, INBOX_DUE_SOON, INBOX_OVERDUE = "inbox assigned", "inbox due_soon", "inbox overdue"
READ: Final = (ROW, FEED_CREATED, FEED_ASSIGNED, INBOX_ASSIGNED, INBOX_DUE_SOON, INBOX_OVERDUE)
"""What is counted by reading lists, the change feed and inboxes."""
Rows = Mapping[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """How many tasks are found exactly once at each place. All five are equal when nothing was lost or doubled.

    Attributes:
        created: Tasks that the API answered with 201.
        rows: In the lists of tasks.
        events: `task.created` in the change feed.
        frames: `task.created` at both listeners of the team.
        notifications: `assigned` in the inbox of the mate and at the mate's listener.
        reminders: Tasks whose `due_soon` and `overdue` came, in the inbox and at the listener; a tenth of the others.
    """

    created: int
    rows: int
    events: int
    frames: int
    notifications: int
    reminders: int


def places(plan: Plan, *, answers: bytes, read: Rows, heard: Rows) -> list[Place]:
    """Count each place; every task must be found there once."""
    every, late = range(plan.tasks), range(plan.first_reminded, plan.tasks)
    return [
        _answers(answers),
        _place("rows of tasks", read[ROW], every),
        _place("task.created in the change feed", read[FEED_CREATED], every),
        _place("task.assigned in the change feed", read[FEED_ASSIGNED], every),
        *(
            _place(f"{event} at the {role}'s listener", heard[f"{role} {event}"], every)
            for role in (OWNER, MATE)
            for event in (CREATED, ASSIGNED)
        ),
        _place("notifications of the assignment in the inbox", read[INBOX_ASSIGNED], every),
        _place("notifications of the assignment at the listener", heard[f"{MATE} assigned"], every),
        _place("reminders before the due time in the inbox", read[INBOX_DUE_SOON], late),
        _place("reminders before the due time at the listener", heard[f"{MATE} due_soon"], late),
        _place("reminders at the due time in the inbox", read[INBOX_OVERDUE], late),
        _place("reminders at the due time at the listener", heard[f"{MATE} overdue"], late),
    ]


def sums(plan: Plan, *, answers: bytes, read: Rows, heard: Rows) -> Sums:
    """Count the tasks that are found exactly once."""
    late = slice(plan.first_reminded, plan.tasks)
    reminders = [row[late] for row in (read[INBOX_DUE_SOON], read[INBOX_OVERDUE])]
    reminders += [heard[f"{MATE} {kind}"][late] for kind in ("due_soon", "overdue")]
    return Sums(
        created=answers.count(ANSWERED),
        rows=_once(read[ROW]),
        events=_once(read[FEED_CREATED]),
        frames=_once(heard[f"{OWNER} {CREATED}"], heard[f"{MATE} {CREATED}"]),
        notifications=_once(read[INBOX_ASSIGNED], heard[f"{MATE} assigned"]),
        reminders=_once(*reminders),
    )


def missing_at_listeners(plan: Plan, heard: Rows) -> int:
    """How many events the listeners still wait for."""
    whole = sum(heard[f"{role} {event}"].count(0) for role in (OWNER, MATE) for event in (CREATED, ASSIGNED))
    late = slice(plan.first_reminded, plan.tasks)
    return (
        whole
        + heard[f"{MATE} assigned"].count(0)
        + sum(heard[f"{MATE} {kind}"][late].count(0) for kind in ("due_soon", "overdue"))
    )


def _once(*rows: bytes) -> int:
    """Tasks that all rows counted once."""
    if len(rows) == 1:
        return rows[0].count(1)
    return sum(all(count == 1 for count in counts) for counts in zip(*rows, strict=True))


def _answers(answers: bytes) -> Place:
    found = answers.count(ANSWERED)
    lost = [number for number, state in enumerate(answers) if state != ANSWERED] if found < len(answers) else []
    return Place(
        "answers of 201",
        expected=len(answers),
        found=found,
        lost=len(lost),
        examples=[f"not created: {number}" for number in lost[:_EXAMPLES]],
    )


def _place(name: str, row: bytes, expected: range) -> Place:
    """Compare one row of counts with the tasks that must be found once; any other count is double."""
    wanted = row[expected.start : expected.stop]
    lost = wanted.count(0)
    found = sum(row)
    return Place(
        name,
        expected=len(expected),
        found=found,
        lost=lost,
        double=found - (len(expected) - lost),
        examples=_examples(row, expected) if lost or found != len(expected) else [],
    )


def _examples(row: bytes, expected: range) -> list[str]:
    lost = (f"lost: task {number}" for number in expected if row[number] == 0)
    double = (
        f"{count} times: task {number}" for number, count in enumerate(row) if count > (1 if number in expected else 0)
    )
    return [*islice(lost, _EXAMPLES), *islice(double, _EXAMPLES)]
