"""Sweeps: whom a reminder tells, that it fires once and on time, whatever else runs or has stopped."""

import asyncio
import json
from datetime import timedelta

import asyncpg
import jsonschema
import pytest
import referencing

from taskbell.contract.schemas.documents import event_schemas
from taskbell.local import db
from taskbell.sweeper.policy import Shard

NOW, SECOND, HOUR = timedelta(0), timedelta(seconds=1), timedelta(hours=1)


@pytest.mark.feature("P13", "P18", "T14")
async def test_assignees_are_told_or_else_the_creator(team, plan, fired, run_sweep):
    """The assignees are notified; without assignees who are still members, the creator is."""
    stranger = team.workspace  # the id of no user
    shared = (await plan(assignees=team.members[1:]))[0]
    own = (await plan())[0]
    left = (await plan(assignees=[stranger]))[0]
    summary = await run_sweep()
    assert (summary.fired, summary.told, summary.repeated, summary.void) == (3, 4, 0, 0)
    creator, *others = team.members
    assert set(await fired()) == {(shared, user) for user in others} | {(own, creator), (left, creator)}


@pytest.mark.feature("P14")
async def test_the_event_goes_to_the_person_alone(owner, team, plan, run_sweep):
    """The event carries the notification as the inbox has it, from the platform itself, for one person."""
    (task,) = await plan()
    await run_sweep()
    row = await owner.fetchrow(
        "SELECT e.type, e.actor_id, e.audience, e.workspace_id, e.data::text AS data,"
        " taskbell.notification_document(n)::text AS document"
        " FROM events e JOIN notifications n ON n.id = e.subject_id"
    )
    assert (row["type"], row["actor_id"], row["audience"]) == ("notification.created", None, [team.members[0]])
    assert row["workspace_id"] == team.workspace
    assert row["data"] == row["document"]
    data = json.loads(row["data"])
    assert (data["kind"], data["task_id"], data["title"], data["actor_id"]) == ("due_soon", str(task), "T1", None)
    assert data["body"].startswith("Due at 20")
    resources = [referencing.Resource.from_contents(schema) for schema in event_schemas().values()]
    registry = referencing.Registry().with_resources([(resource.id(), resource) for resource in resources])
    jsonschema.Draft202012Validator(event_schemas()["notification.created"], registry=registry).validate(data)


async def test_what_is_not_due_waits(plan, fired, run_sweep, owner):
    """Only what is due by the database's clock fires."""
    await plan(fires_in=HOUR)
    assert (await run_sweep()).fired == 0
    assert await fired() == []
    assert await owner.fetchval("SELECT count(*) FROM reminders") == 1


async def test_a_task_that_was_finished_is_void(plan, fired, run_sweep, owner):
    """A reminder of a finished task is removed, and nobody is notified."""
    await plan(status="completed")
    summary = await run_sweep()
    assert (summary.fired, summary.void) == (0, 1)
    assert await fired() == []
    assert await owner.fetchval("SELECT count(*) FROM reminders") == 0


@pytest.mark.feature("H10", "H11", "H12", "H13", "H14")
async def test_a_job_that_is_in_the_log_tells_nobody(plan, fired, run_sweep, owner):
    """The result of the insert into the log counts: the same reminder of the same due time fires only once."""
    (task,) = await plan()
    await run_sweep()
    again = "INSERT INTO reminders SELECT id, workspace_id, '1 hour', now() FROM tasks"
    await owner.execute(again)
    summary = await run_sweep()
    assert (summary.fired, summary.repeated, summary.told) == (0, 1, 0)
    assert len(await fired()) == 1
    await owner.execute("UPDATE tasks SET due_at = due_at + interval '1 minute' WHERE id = $1", task)
    await owner.execute(again)
    assert (await run_sweep()).fired == 1
    assert len(await fired()) == 2
    assert await owner.fetchval("SELECT count(*) FROM job_log") == 2


@pytest.mark.feature("H15")
async def test_all_of_a_reminder_commits_or_nothing(plan, fired, run_sweep, owner, database):
    """Where the notification cannot be written the claim and the log are undone too, and the reminder fires later."""
    await plan(3)
    await owner.execute("ALTER TABLE notifications ADD CONSTRAINT broken CHECK (title <> 'T2') NOT VALID")
    with pytest.raises(Exception, match="broken"):
        await run_sweep()
    counts = "SELECT (SELECT count(*) FROM reminders), (SELECT count(*) FROM job_log), (SELECT count(*) FROM events)"
    assert tuple(await owner.fetchrow(counts)) == (3, 0, 0)
    await owner.execute("ALTER TABLE notifications DROP CONSTRAINT broken")
    assert (await run_sweep()).fired == 3
    assert len(await fired()) == 3


@pytest.mark.feature("H16")
async def test_what_another_sweep_holds_is_passed_over(plan, run_sweep, database):
    """A claim that is not committed neither blocks a sweep nor fires twice; when it is undone, the reminder is due."""
    await plan(3)
    async with db.connected(database.sweeper_url) as other:
        held = other.transaction()
        await held.start()
        await other.execute("DELETE FROM reminders WHERE task_id = (SELECT task_id FROM reminders LIMIT 1)")
        assert (await run_sweep()).fired == 2
        await held.rollback()
    assert (await run_sweep()).fired == 1


@pytest.mark.feature("H16")
async def test_shards_share_the_work(plan, fired, run_sweep):
    """Each part fires only its own, all parts together everything, once."""
    tasks = await plan(60)
    counts = [(await run_sweep(shard=Shard(number, 3))).fired for number in range(3)]
    assert sum(counts) == 60
    assert all(counts)
    assert sorted(task for task, _ in await fired()) == sorted(tasks)


@pytest.mark.feature("T14")
async def test_two_hours_of_stopped_sweeps_fire_on_return(plan, fired, run_sweep):
    """A missed minute is not lost: everything that fell due meanwhile fires on return, once, the oldest first."""
    tasks = await plan(500, over=2 * HOUR)
    pokes = []

    async def poke():
        pokes.append(len(await fired()))

    summary = await run_sweep(poke=poke, batch_size=200)
    assert summary.fired == 500
    assert summary.latest > 7000
    order = [task for task, _ in await fired()]
    assert sorted(order) == sorted(tasks)
    assert set(order[:200]) == set(tasks[-200:])  # those of the largest ordinal are spread back furthest
    assert pokes == [200, 400, 500]
    assert (await run_sweep()).fired == 0


@pytest.mark.feature("P18", "T14")
async def test_a_sweep_stays_and_fires_on_time(plan, left, run_sweep, owner):
    """It looks ahead: what falls due while it stays fires then, not before, also when planned meanwhile."""
    await plan(fires_in=SECOND)
    stopping = asyncio.Event()
    sweeping = asyncio.create_task(run_sweep(stay=timedelta(seconds=30), stopping=stopping))
    await plan(fires_in=2 * SECOND)
    await left(0)
    stopping.set()
    assert (await sweeping).fired == 2
    early = await owner.fetchval(
        "SELECT count(*) FROM notifications n JOIN tasks t ON t.id = n.task_id"
        " WHERE n.created_at < t.due_at - interval '1 hour'"
    )
    assert early == 0


async def test_a_sweep_ends_with_its_time(run_sweep):
    """With nothing to do it ends when its time is over, and not before."""
    summary = await run_sweep(stay=SECOND)
    assert summary.fired == 0
    assert 1 <= summary.seconds < 20


async def test_the_sweeper_can_do_nothing_else(plan, database):
    """Its role writes no other kind of notification or event, reads no description, changes no task."""
    (task,) = await plan()
    async with db.connected(database.sweeper_url) as connection:
        for statement in (
            "SELECT description FROM tasks",
            "UPDATE tasks SET title = 'x'",
            "DELETE FROM tasks",
            "SELECT * FROM users",
            "SELECT * FROM notifications",
            (
                "INSERT INTO notifications (user_id, kind, workspace_id, title, body)"
                f" VALUES ('{task}', 'assigned', '{task}', '', '')"
            ),
            (
                "INSERT INTO events (workspace_id, type, subject_id, audience, data)"
                f" VALUES ('{task}', 'task.created', '{task}', '{{}}', '{{}}')"
            ),
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
