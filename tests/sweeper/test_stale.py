"""Sweeps of stale tasks: each change of a status is told once, however often, by how many and until when they run."""

import asyncio
import json
import signal
from datetime import timedelta

import pytest

from taskbell.kit.ids import lowest_id
from taskbell.kit.postgres.statements import load
from taskbell.local import db
from taskbell.store import partitions
from taskbell.sweeper import walk_repository
from taskbell.sweeper.errors import SweepInterrupted
from taskbell.sweeper.maintenance import maintain
from taskbell.sweeper.policy import Shard
from taskbell.sweeper.repository import connected, maintaining
from taskbell.sweeper.settings import RetentionSettings
from taskbell.sweeper.walk import walk
from taskbell.sweeper.walk_repository import StaleTasks
from taskbell.testing.waiting import eventually

DAY = timedelta(days=1)
WEEK = 7 * DAY
WHOLE = Shard()


async def _nothing():
    return


@pytest.fixture
def sweep_stale(database):
    """Runs a sweep of stale tasks in this process."""

    async def run(*, shard=WHOLE, batch_size=100, stopping=None, poke=_nothing, stale_after=WEEK):
        async with connected(database.sweeper_url) as session:
            walker = StaleTasks(session, shard=shard, stale_after=stale_after)
            return await walk(
                walker, kind="stale", batch_size=batch_size, stopping=stopping or asyncio.Event(), poke=poke
            )

    return run


@pytest.mark.feature("T13", "P18")
async def test_an_open_task_is_stale_after_a_week_without_a_change(team, make_old, fired, sweep_stale, owner):
    """Its assignees are told, or else its creator; not of young, finished or changed ones, nor of ancient history."""
    creator, *others = team.members
    (shared,) = await make_old(age=8 * DAY, assignees=others)
    (own,) = await make_old(age=200 * DAY, changed=8 * DAY, status="in_progress")
    await make_old(age=6 * DAY)
    await make_old(age=30 * DAY, changed=6 * DAY)
    await make_old(age=30 * DAY, status="completed")
    await make_old(age=30 * DAY, status="cancelled")
    await make_old(age=91 * DAY)
    report = await sweep_stale()
    assert (report.kind, report.fired, report.told) == ("stale", 2, 3)
    assert sorted(await fired("stale")) == sorted([*((shared, user) for user in others), (own, creator)])
    body, since = await owner.fetchrow(
        "SELECT n.body, taskbell.plain_time(t.status_changed_at) FROM notifications n JOIN tasks t ON t.id = n.task_id"
        " WHERE t.id = $1",
        own,
    )
    assert body == f"Status in_progress since {since}"
    assert await owner.fetchval("SELECT count(*) FROM events WHERE type = 'notification.created'") == 3


@pytest.mark.feature("H10", "H11", "H12", "H13", "H14", "T13")
async def test_tasks_of_a_deleted_workspace_are_told_when_it_is_back(team, make_old, sweep_stale, owner):
    """A sweep passes them over without noting them as told."""
    await make_old(age=2 * WEEK)
    await owner.execute("UPDATE workspaces SET restorable_until = now() + interval '1 day'")
    assert (await sweep_stale()).told == 0
    await owner.execute("UPDATE workspaces SET restorable_until = NULL")
    assert (await sweep_stale()).told == 1


async def test_each_change_of_status_is_told_once(make_old, fired, sweep_stale, owner):
    """Sweeping again tells nobody; a new change of the status that becomes old is told again."""
    (task,) = await make_old(age=30 * DAY)
    assert (await sweep_stale()).told == 1
    assert (await sweep_stale()).told == 0
    await owner.execute("UPDATE tasks SET status_changed_at = now() - interval '8 days' WHERE id = $1", task)
    assert (await sweep_stale()).told == 1
    assert len(await fired("stale")) == 2


@pytest.mark.feature("H10", "T13")
async def test_the_log_remembers_as_long_as_a_change_can_be_found(make_old, sweep_stale, owner, database):
    """Maintenance forgets a stale task only when no sweep would find it, also if it was told 40 days ago."""
    await make_old(age=89 * DAY)
    assert (await sweep_stale()).told == 1
    await owner.execute("UPDATE job_log SET finished_at = now() - interval '40 days'")

    async def forgotten():
        async with maintaining(database.owner_url) as maintenance:
            settings = RetentionSettings(database_url=database.owner_url)
            return (await maintain(maintenance, settings))["job_log"]

    assert await forgotten() == 0
    assert (await sweep_stale()).told == 0
    await owner.execute(
        "WITH t AS (UPDATE tasks SET status_changed_at = status_changed_at - interval '3 days' RETURNING *)"
        " UPDATE job_log SET job_id = 'stale:' || t.id || ':' || extract(epoch FROM t.status_changed_at) FROM t"
    )
    assert await forgotten() == 1
    assert (await sweep_stale()).told == 0


@pytest.mark.feature("T13", "H14")
async def test_small_steps_tell_all(make_old, fired, sweep_stale, monkeypatch):
    """A step that told of as many as it may goes on after the last of them; one that saw many goes on after these."""
    tasks = await make_old(50, age=30 * DAY)
    await make_old(50, age=31 * DAY, status="completed")
    for walked, batch_size in ((7, 100), (5000, 7), (7, 3)):
        monkeypatch.setattr(walk_repository, "_WALKED_AT_ONCE", walked)
        tasks += await make_old(20, age=20 * DAY)
        await sweep_stale(batch_size=batch_size)
        assert sorted(task for task, _ in await fired("stale")) == sorted(tasks)


@pytest.mark.feature("H16", "T13")
async def test_shards_and_sweeps_at_once_tell_each_once(make_old, fired, sweep_stale):
    """Two whole sweeps, and one in three parts, at the same time: every task is told, none twice."""
    tasks = await make_old(300, age=30 * DAY)
    parts = [Shard(), Shard(), *(Shard(number, 3) for number in range(3))]
    reports = await asyncio.gather(*(sweep_stale(shard=shard, batch_size=7) for shard in parts))
    assert sum(report.told for report in reports) == 300
    assert sorted(task for task, _ in await fired("stale")) == tasks


@pytest.mark.feature("H15")
async def test_all_of_a_step_commits_or_nothing(make_old, fired, sweep_stale, owner):
    """Where one notification cannot be written, no task of the step is logged; the next sweep tells them all."""
    tasks = await make_old(3, age=30 * DAY)
    await owner.execute("UPDATE tasks SET title = 'broken' WHERE id = $1", tasks[1])
    await owner.execute("ALTER TABLE notifications ADD CONSTRAINT broken CHECK (title <> 'broken') NOT VALID")
    with pytest.raises(SweepInterrupted, match="broken"):
        await sweep_stale()
    assert await owner.fetchval("SELECT count(*) FROM job_log") == 0
    await owner.execute("ALTER TABLE notifications DROP CONSTRAINT broken")
    assert (await sweep_stale()).told == 3


@pytest.mark.feature("H15", "P19", "T13")
async def test_a_killed_sweep_is_repeated_and_tells_nobody_twice(database, make_old, fired, sweep_stale, spawn, owner):
    """`taskbell remind --kind stale` is killed in the middle; the next one tells the rest."""
    tasks = await make_old(1500, age=30 * DAY)
    process = await spawn(database.sweeper_url, "--kind", "stale", TASKBELL_REMINDER_BATCH_SIZE="5")
    ask = "SELECT count(*) FROM notifications"
    await eventually(lambda: owner.fetchval(ask), "told", wanted=lambda count: count >= 50)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    await sweep_stale()
    assert sorted(task for task, _ in await fired("stale")) == tasks


async def test_a_sweep_that_is_asked_to_stop_did_not_end(make_old, sweep_stale):
    """It stops after the step that it takes, and says that it was not all: Kubernetes starts it again."""
    await make_old(10, age=30 * DAY)
    stopping = asyncio.Event()

    async def poke():
        stopping.set()

    with pytest.raises(SweepInterrupted, match="asked to stop"):
        await sweep_stale(batch_size=2, stopping=stopping, poke=poke)
    assert (await sweep_stale()).told == 8


async def test_the_command_obeys_the_setting(database, make_old, spawn):
    """TASKBELL_STALE_AFTER says when a task is stale; the summary tells what was walked and told."""
    await make_old(2, age=2 * DAY)
    await make_old(3, age=12 * DAY)
    process = await spawn(database.sweeper_url, "--kind", "stale", "--json", TASKBELL_STALE_AFTER="P10D")
    output, _ = await process.communicate()
    report = json.loads(output)
    assert process.returncode == 0
    assert (report["kind"], report["walked"], report["told"]) == ("stale", 3, 3)
    process = await spawn(database.sweeper_url, "--kind", "stale", "--json", TASKBELL_STALE_AFTER="P1D")
    output, _ = await process.communicate()
    assert json.loads(output)["told"] == 2
    process = await spawn(database.sweeper_url, "--kind", "stale", TASKBELL_STALE_AFTER="P61D")
    _, errors = await process.communicate()
    assert process.returncode == 2
    assert b"TASKBELL_STALE_AFTER" in errors


async def test_a_step_reads_only_its_piece(database, make_old, owner):
    """By the key, in order: not the partitions of young tasks, nothing before its place, no more than its bound."""
    now = await owner.fetchval("SELECT now()")
    settings = RetentionSettings(database_url=database.owner_url, partitions_ahead=0, task_partition_width="month")
    await partitions.maintain(owner, settings=settings, now=now - 120 * DAY)
    before = await make_old(200, age=120 * DAY, changed=30 * DAY)
    await make_old(200, age=120 * DAY - timedelta(seconds=1), changed=30 * DAY)
    await make_old(200, age=DAY)
    until = lowest_id(now - 100 * DAY)  # before the partition of today's tasks, whatever its width
    statement = load("taskbell.sweeper", "tell_stale")
    arguments = {
        "after": before[-1],
        "until": until,
        "walk_at_most": 50,
        "tell_at_most": 10,
        "stale_after": WEEK,
        "shard": 0,
        "shards": 1,
    }
    async with db.connected(database.sweeper_url) as connection:
        text = await connection.fetchval(
            "EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) " + statement.text, *statement.arguments(arguments)
        )
    nodes = list(_nodes(json.loads(text)[0]["Plan"]))
    scans = [node for node in nodes if str(node.get("Relation Name", "")).startswith("tasks") and node["Actual Loops"]]
    assert scans
    assert not [node for node in nodes if node["Node Type"] == "Seq Scan"]
    young = await owner.fetchval("SELECT tableoid::regclass::text FROM tasks WHERE id > $1 LIMIT 1", until)
    assert young not in {node["Relation Name"] for node in scans}
    assert sum(node["Actual Rows"] for node in scans) <= 50 + len(scans)  # a merge has one row of each ahead
    assert not any(node.get("Rows Removed by Filter") for node in scans)


def _nodes(plan):
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)
