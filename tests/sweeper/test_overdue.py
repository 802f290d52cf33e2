"""Sweeps of overdue tasks: told once when the due time passes, by sweeps of their own, and never of a finished task."""

import asyncio
import json
import signal
from datetime import timedelta

import pytest

from taskbell.contract.notices import Kind

NOW, SECOND = timedelta(0), timedelta(seconds=1)
OVERDUE = {"kind": "overdue", "lead": NOW}


@pytest.mark.feature("P13", "P18", "T14")
async def test_an_overdue_task_is_told_to_who_is_responsible(team, plan, fired, run_sweep, owner):
    """The assignees are notified when the due time passes; the creator, if there are none."""
    (shared,) = await plan(assignees=team.members[1:], **OVERDUE)
    (own,) = await plan(**OVERDUE)
    summary = await run_sweep(kind=Kind.OVERDUE)
    assert (summary.kind, summary.fired, summary.told) == ("overdue", 2, 3)
    creator, *others = team.members
    assert set(await fired("overdue")) == {*((shared, user) for user in others), (own, creator)}
    body, due = await owner.fetchrow(
        "SELECT n.body, taskbell.plain_time(t.due_at) FROM notifications n JOIN tasks t ON t.id = n.task_id LIMIT 1"
    )
    assert body == f"Was due at {due}"
    assert await owner.fetchval("SELECT count(*) FROM job_log WHERE job_id LIKE 'overdue:%'") == 2


@pytest.mark.feature("P13", "T15")
async def test_watchers_hear_of_it_and_who_muted_the_task_does_not(team, plan, fired, run_sweep, owner):
    """Those who watch a task hear that it is overdue, not that it is due soon; a mute silences both."""
    creator, watcher, muter = team.members
    (task,) = await plan(assignees=[creator, muter], **OVERDUE)
    await owner.executemany(
        "INSERT INTO task_subscriptions (task_id, user_id, workspace_id, state) VALUES ($1, $2, $3, $4)",
        [(task, watcher, team.workspace, "watching"), (task, muter, team.workspace, "muted")],
    )
    await owner.execute("INSERT INTO reminders SELECT task_id, workspace_id, '1 hour', fire_at FROM reminders")
    await run_sweep()
    await run_sweep(kind=Kind.OVERDUE)
    assert await fired() == [(task, creator)]
    assert set(await fired("overdue")) == {(task, creator), (task, watcher)}


@pytest.mark.feature("T15")
async def test_of_the_first_priority_it_is_urgent(plan, run_sweep, owner):
    """Both reminders of a task of priority 1 pass quiet hours; those of others do not."""
    (first,) = await plan(**OVERDUE)
    await plan(**OVERDUE)
    await owner.execute("UPDATE tasks SET priority = 1 WHERE id = $1", first)
    await owner.execute("INSERT INTO reminders SELECT task_id, workspace_id, '1 hour', fire_at FROM reminders")
    await run_sweep()
    await run_sweep(kind=Kind.OVERDUE)
    found = await owner.fetch("SELECT kind, task_id FROM notifications WHERE urgent ORDER BY kind")
    assert [tuple(row) for row in found] == [("due_soon", first), ("overdue", first)]
    assert await owner.fetchval("SELECT count(*) FROM notifications WHERE NOT urgent") == 2


async def test_each_kind_of_sweep_fires_its_own(plan, fired, run_sweep):
    """A sweep of due reminders leaves those of overdue tasks, and the other way round; also in what it reports."""
    await plan(**OVERDUE)
    await plan(2, fires_in=-timedelta(minutes=5))
    late = await run_sweep(kind=Kind.OVERDUE)
    assert (late.fired, late.oldest_due) == (1, 0.0)
    assert len(await fired("overdue")) == 1
    assert await fired() == []
    await plan(**OVERDUE)
    soon = await run_sweep()
    assert (soon.kind, soon.fired, soon.oldest_due) == ("due", 2, 0.0)
    assert len(await fired("overdue")) == 1


@pytest.mark.feature("T14")
async def test_a_task_that_was_finished_is_not_overdue(plan, fired, run_sweep):
    """Its reminder is void, as when the task was finished in the very moment."""
    await plan(status="cancelled", **OVERDUE)
    summary = await run_sweep(kind=Kind.OVERDUE)
    assert (summary.fired, summary.void) == (0, 1)
    assert await fired("overdue") == []


@pytest.mark.feature("H10", "H11", "H12", "H13", "H14")
async def test_one_due_time_is_overdue_once(plan, fired, run_sweep, owner):
    """The log knows the task and the due time, so the same one tells nobody again; another does."""
    (task,) = await plan(**OVERDUE)
    await run_sweep(kind=Kind.OVERDUE)
    again = (
        "INSERT INTO reminders (task_id, workspace_id, kind, lead, fire_at)"
        " SELECT id, workspace_id, 'overdue', '0', now() FROM tasks"
    )
    await owner.execute(again)
    assert (await run_sweep(kind=Kind.OVERDUE)).repeated == 1
    await owner.execute("UPDATE tasks SET due_at = due_at - interval '1 minute' WHERE id = $1", task)
    await owner.execute(again)
    assert (await run_sweep(kind=Kind.OVERDUE)).fired == 1
    assert len(await fired("overdue")) == 2


@pytest.mark.feature("H16", "P18")
async def test_sweeps_of_both_kinds_at_once(plan, fired, run_sweep):
    """Tasks with both reminders due, swept by two sweeps of each kind in shards: each is told once of each kind."""
    await plan(150)
    await plan(150, **OVERDUE)
    kinds = [Kind.DUE_SOON, Kind.OVERDUE] * 2
    reports = await asyncio.gather(*(run_sweep(kind=kind, batch_size=7) for kind in kinds))
    assert sum(report.fired for report in reports) == 300
    for kind in ("due_soon", "overdue"):
        told = await fired(kind)
        assert len(told) == len(set(told)) == 150


async def test_nobody_is_told_before_the_time(plan, fired, run_sweep, owner):
    """A row that does not know the task's present due time is void."""
    await plan(**OVERDUE)
    await owner.execute("UPDATE tasks SET due_at = now() + interval '1 hour'")
    assert (await run_sweep(kind=Kind.OVERDUE)).void == 1
    assert await fired("overdue") == []


async def test_it_fires_on_time(plan, left, run_sweep, fired):
    """A sweep that stays tells in the moment in which the task becomes overdue, not at its next look."""
    await plan(fires_in=SECOND, **OVERDUE)
    stopping = asyncio.Event()
    sweeping = asyncio.create_task(run_sweep(kind=Kind.OVERDUE, stay=timedelta(seconds=30), stopping=stopping))
    await left(0)
    stopping.set()
    assert (await sweeping).latest < 10
    assert len(await fired("overdue")) == 1


@pytest.mark.feature("H15", "P19")
async def test_a_killed_sweep_leaves_the_rest_to_the_next(database, plan, fired, left, spawn, run_sweep):
    """`taskbell remind --kind overdue` is killed among 2,000: the next sweep tells the others, and nobody twice."""
    await plan(2000, **OVERDUE)
    process = await spawn(database.sweeper_url, "--kind", "overdue", TASKBELL_REMINDER_BATCH_SIZE="10")
    await left(1900)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    await run_sweep(kind=Kind.OVERDUE)
    told = await fired("overdue")
    assert len(told) == len(set(told)) == 2000


async def test_the_command_reports_its_kind(database, plan, spawn):
    """The summary of `--kind overdue` says so; `--lead` is refused, since there is none."""
    await plan(3, **OVERDUE)
    process = await spawn(database.sweeper_url, "--kind", "overdue", "--json")
    output, _ = await process.communicate()
    report = json.loads(output)
    assert (process.returncode, report["kind"], report["fired"]) == (0, "overdue", 3)
    process = await spawn(database.sweeper_url, "--kind", "overdue", "--lead", "1h")
    _, errors = await process.communicate()
    assert process.returncode == 2
    assert b"--lead is for --kind due" in errors
