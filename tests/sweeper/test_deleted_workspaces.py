"""Reminders of a deleted workspace wait; what nobody restores is erased, in parts that survive a kill."""

import asyncio
from datetime import timedelta
from functools import partial

import pytest

from taskbell.kit.ids import new_id
from taskbell.local import db
from taskbell.sweeper import erasures
from taskbell.sweeper.errors import SweepInterrupted
from taskbell.sweeper.maintenance import maintain
from taskbell.sweeper.policy import Kind
from taskbell.sweeper.repository import _FIRE_DUE, maintaining
from taskbell.sweeper.settings import RetentionSettings
from taskbell.testing.waiting import eventually

_OVERDUE = {"kind": "overdue", "lead": timedelta(0), "fires_in": -timedelta(minutes=5)}


@pytest.fixture
async def workspace(owner, team):
    """The team's workspace, of which the first member is the owner; nobody's personal one."""
    await owner.execute("UPDATE users SET personal_workspace_id = gen_random_uuid()")
    await owner.execute("UPDATE memberships SET role = 'owner' WHERE user_id = $1", team.members[0])
    await owner.execute("SELECT set_config('taskbell.actor', $1, false)", str(team.members[0]))
    return team.workspace


@pytest.fixture
def delete(owner, workspace):
    """Deletes the workspace, restorable for a time."""

    async def work(keep=timedelta(days=30)):
        assert await owner.fetchval("SELECT taskbell.delete_workspace($1, $2, NULL)", workspace, keep) == "deleted"

    return work


@pytest.fixture
def restore(owner, workspace):
    """Restores it; whether that was possible."""

    async def work():
        return await owner.fetchval("SELECT taskbell.restore_workspace($1, NULL)", workspace)

    return work


@pytest.mark.parametrize("kind", [Kind.OVERDUE, Kind.DUE_SOON])
async def test_reminders_wait_for_the_restoration(plan, fired, run_sweep, delete, restore, kind):
    """They fire neither for their people nor for nobody while it is deleted, and once when it is back."""
    planned = _OVERDUE if kind is Kind.OVERDUE else {"fires_in": -timedelta(minutes=5)}
    tasks = await plan(3, **planned)
    await delete()
    report = await run_sweep(kind=kind, batch_size=2)
    assert (report.fired, report.oldest_due) == (0, 0.0)
    assert await fired(kind.value) == []
    assert await restore()
    assert (await run_sweep(kind=kind)).fired == 3
    assert {task for task, _ in await fired(kind.value)} == set(tasks)
    assert (await run_sweep(kind=kind)).fired == 0


async def test_a_restoration_during_a_sweep(plan, owner, database, delete, restore, workspace):
    """A sweep that sends a reminder to wait, and ends after the restoration began, does not let it wait for a month."""
    await plan(3, **_OVERDUE)
    await delete()
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with db.connected(database.sweeper_url) as sweeper, db.connected(database.superuser_url) as watcher:
        sweep = sweeper.transaction()
        await sweep.start()
        await _FIRE_DUE.rows(sweeper, kind=Kind.OVERDUE.value, shards=1, shard=0, leads=None, at_most=10)
        restoring = asyncio.create_task(restore())
        await eventually(partial(watcher.fetchval, waiting), "the restoration waits for the sweep")
        await sweep.commit()
    assert await restoring
    assert await owner.fetchval("SELECT count(*) FROM reminders WHERE fire_at <= now()") == 3
    assert await owner.fetchval("SELECT taskbell.waits_until($1) <= now()", workspace)


async def test_past_the_deadline_they_wait_on(plan, fired, run_sweep, owner, delete, restore):
    """A sweep between the deadline and the erasure ends, and fires nothing."""
    await plan(3, **_OVERDUE)
    await delete(keep=timedelta(0))
    assert (await run_sweep(kind=Kind.OVERDUE, batch_size=2)).fired == 0
    assert await owner.fetchval("SELECT count(*) FROM reminders WHERE fire_at > now()") == 3
    assert not await restore()


@pytest.fixture
def run(database):
    """Runs the maintenance."""

    async def work():
        async with maintaining(database.owner_url) as maintenance:
            return await maintain(maintenance, RetentionSettings(database_url=database.owner_url))

    return work


@pytest.fixture
async def full(owner, team, workspace, plan):
    """A workspace with something in each table, and another that stays."""
    (task, *_) = await plan(1200, fires_in=timedelta(days=1), assignees=[team.members[1]])
    other, ann = new_id(), team.members[0]
    await owner.execute("INSERT INTO workspaces (id, name, created_by) VALUES ($1, 'O', $2)", other, ann)
    await owner.execute("INSERT INTO tasks (workspace_id, title, created_by) VALUES ($1, 'O', $2)", other, ann)
    await owner.execute(
        "INSERT INTO notifications (user_id, kind, workspace_id, title, body)"
        " SELECT u, 'assigned', w, '', '' FROM unnest($1::uuid[]) u CROSS JOIN unnest($2::uuid[]) w",
        list(team.members),
        [workspace, other],
    )
    for statement in (
        "INSERT INTO comments (task_id, workspace_id, author_id, body) VALUES ($2, $1, $3, 'C')",
        "INSERT INTO task_subscriptions (task_id, user_id, workspace_id, state) VALUES ($2, $3, $1, 'watching')",
        "INSERT INTO deleted_tasks SELECT id, workspace_id, 5, 1, NULL, now(), now(), now() FROM tasks WHERE id = $2",
        "INSERT INTO report_cells VALUES ($1, 'created', 0, $3, '-infinity', 0, 1, 0)",
        "INSERT INTO alert_preferences (user_id, workspace_id, kind, channel, enabled) VALUES ($3, $1, '*', '*', true)",
        "INSERT INTO workspace_usage (workspace_id, measured_at) VALUES ($1, now())",
        "INSERT INTO webhooks (id, workspace_id, url, event_types, secret) VALUES ($2, $1, 'https://a', '{*}', 's')",
        "INSERT INTO invitations VALUES ($2, $1, 'g@example.com', 'member', $3, now(), now() + interval '1 day')",
    ):
        text = f"WITH given AS (SELECT $1::uuid, $2::uuid, $3::uuid) {statement}"
        await owner.execute(text, workspace, task, team.members[0])
    return other


_LEFT = """
SELECT (SELECT count(*) FROM workspaces WHERE id = $1) + (SELECT count(*) FROM tasks WHERE workspace_id = $1)
  + (SELECT count(*) FROM comments WHERE workspace_id = $1) + (SELECT count(*) FROM reminders WHERE workspace_id = $1)
  + (SELECT count(*) FROM assignments WHERE workspace_id = $1)
  + (SELECT count(*) FROM task_subscriptions WHERE workspace_id = $1)
  + (SELECT count(*) FROM deleted_tasks WHERE workspace_id = $1)
  + (SELECT count(*) FROM report_cells WHERE workspace_id = $1)
  + (SELECT count(*) FROM alert_preferences WHERE workspace_id = $1)
  + (SELECT count(*) FROM workspace_usage WHERE workspace_id = $1)
  + (SELECT count(*) FROM webhooks WHERE workspace_id = $1) + (SELECT count(*) FROM invitations WHERE workspace_id = $1)
  + (SELECT count(*) FROM memberships WHERE workspace_id = $1)
  + (SELECT count(*) FROM suspended_memberships WHERE workspace_id = $1)
  + (SELECT count(*) FROM notifications WHERE workspace_id = $1)
"""


async def test_after_the_deadline_it_is_erased(full, owner, workspace, delete, run):
    """All that it had goes, in however many parts; other workspaces keep theirs, and one that can be restored stays."""
    await delete()
    assert (await run())["erased"] == 0
    before = await owner.fetchval(_LEFT, full)
    assert await owner.fetchval(_LEFT, workspace) > 1200
    await owner.execute("UPDATE workspaces SET restorable_until = now() - interval '1 hour' WHERE id = $1", workspace)
    assert (await run())["erased"] == 1
    assert await owner.fetchval(_LEFT, workspace) == 0
    assert await owner.fetchval(_LEFT, full) == before


@pytest.mark.parametrize("part", ["_MEMBERS", "_TASKS", "_WORKSPACE"])
async def test_an_erasure_that_is_killed_goes_on(full, owner, workspace, delete, run, monkeypatch, part):
    """Whatever part it was in: the next run erases the rest."""
    await delete()
    await owner.execute("UPDATE workspaces SET restorable_until = now() - interval '1 hour' WHERE id = $1", workspace)

    class Killed:
        """Does its work once, and the process ends before the next."""

        def __init__(self, statement):
            self.statement, self.calls = statement, 0

        async def count(self, *arguments, **named):
            self.calls += 1
            if self.calls > 1 or part == "_WORKSPACE":
                raise SweepInterrupted("killed")
            return await self.statement.count(*arguments, **named)

    monkeypatch.setattr(erasures, "_MEMBERS_AT_ONCE", 2)
    with monkeypatch.context() as patch:
        patch.setattr(erasures, part, Killed(getattr(erasures, part)))
        assert "erased" in (await run())["failed"]
    assert await owner.fetchval(_LEFT, workspace) > 0
    assert (await run())["erased"] == 1
    assert await owner.fetchval(_LEFT, workspace) == 0
