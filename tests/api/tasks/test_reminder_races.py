"""Changes of a task during a sweep: the first one wins, and nothing is lost, doubled or blocked forever."""

import asyncio
import random
from datetime import UTC, datetime, timedelta

import pytest

from taskbell.local import db
from taskbell.sweeper.policy import Part
from taskbell.sweeper.repository import Reminders


@pytest.fixture
async def ann(sign_up):
    """A person."""
    return await sign_up()


@pytest.fixture
def send(api, ann):
    """Calls the API on Ann's behalf."""

    async def call(method, path, **body):
        return await api.request(method, f"/v1{path}", headers=ann.headers, json=body or None)

    return call


@pytest.fixture
async def path(send):
    """The path of a task that is reminded of at once."""
    due = datetime.now(UTC) + timedelta(minutes=30)
    return f"/tasks/{(await send('POST', '/tasks', title='T', due_at=due.isoformat())).json()['id']}"


_CHANGES = {
    "completed": ("PATCH", {"status": "completed"}),
    "moved": ("PATCH", {"due_at": "2190-01-01T00:00:00Z"}),
    "deleted": ("DELETE", {}),
}


@pytest.mark.parametrize("change", _CHANGES)
async def test_a_change_waits_for_the_sweep_that_was_first(send, path, database, fired, owner, change):
    """While a sweep holds the reminder, a change of the task waits; then it succeeds, and it has fired once."""
    method, body = _CHANGES[change]
    async with db.connected(database.sweeper_url) as connection:
        sweep = connection.transaction()
        await sweep.start()
        (reminder,) = await Reminders(connection).fire(Part(), at_most=10)
        assert reminder.outcome == "fired"
        changing = asyncio.create_task(send(method, path, **body))
        done, _ = await asyncio.wait([changing], timeout=0.3)
        assert not done
        await sweep.commit()
    assert (await changing).status_code in {200, 204}
    assert len(await fired()) == 1
    assert await owner.fetchval("SELECT count(*) FROM reminders WHERE fire_at <= now()") == 0


@pytest.mark.parametrize("change", _CHANGES)
async def test_a_sweep_passes_over_what_is_being_changed(send, path, run_sweep, fired, owner, change):
    """After a change that came first nothing fires; the new due time has its own reminders."""
    method, body = _CHANGES[change]
    assert (await send(method, path, **body)).status_code in {200, 204}
    summary = await run_sweep()
    assert (summary.fired, summary.void, await fired()) == (0, 0, [])
    assert await owner.fetchval("SELECT count(*) FROM reminders") == (3 if change == "moved" else 0)


async def test_sweeps_and_changes_at_once(send, run_sweep, fired, owner):
    """Many tasks are moved and finished while sweeps run: no request fails, and no task is notified twice."""
    due = datetime.now(UTC) + timedelta(minutes=30)
    bodies = [{"title": f"T{number}", "due_at": due.isoformat()} for number in range(40)]
    tasks = [(await send("POST", "/tasks", **body)).json()["id"] for body in bodies]
    stopping = asyncio.Event()
    sweeps = [
        asyncio.create_task(run_sweep(batch_size=3, stay=timedelta(seconds=60), stopping=stopping)) for _ in range(2)
    ]
    changes = [
        send("PATCH", f"/tasks/{task}", **({"status": "completed"} if number % 2 else {"due_at": None}))
        for number, task in enumerate(tasks)
    ]
    answers = await asyncio.gather(*changes)
    stopping.set()
    summaries = await asyncio.gather(*sweeps)
    assert {answer.status_code for answer in answers} == {200}
    told = [task for task, _ in await fired()]
    assert len(told) == len(set(told)) == sum(summary.fired for summary in summaries)
    assert await owner.fetchval("SELECT count(*) FROM reminders") == 0


@pytest.mark.feature("H10", "H16")
async def test_tasks_may_change_in_any_way_during_sweeps(send, run_sweep, owner):
    """Tasks are moved to and fro, cleared, finished, reopened and deleted while three sweeps fire.

    No request fails, nobody is notified twice of one due time, and somebody is notified of every open task that is
    due soon.
    """
    chance = random.Random()
    now = datetime.now(UTC)
    dues = [(now + timedelta(minutes=minutes)).isoformat() for minutes in (-5, 20, 30, 50, 90, 3000)]
    tasks = [(await send("POST", "/tasks", title="T", due_at=dues[1])).json()["id"] for _ in range(12)]
    stopping = asyncio.Event()
    sweeps = [
        asyncio.create_task(run_sweep(batch_size=2, stay=timedelta(minutes=5), stopping=stopping)) for _ in range(3)
    ]

    async def hurry():
        statuses = []
        for _ in range(40):
            path = f"/tasks/{chance.choice(tasks)}"
            body = chance.choice(
                [{"due_at": chance.choice([*dues, None])}] * 3
                + [{"status": status} for status in ("pending", "in_progress", "completed", "cancelled")]
            )
            method, body = ("DELETE", {}) if chance.random() < 0.01 else ("PATCH", body)
            statuses.append((await send(method, path, **body)).status_code)
        return statuses

    answers = [status for found in await asyncio.gather(*(hurry() for _ in range(6))) for status in found]
    stopping.set()
    await asyncio.gather(*sweeps)
    await run_sweep()
    assert set(answers) <= {200, 204, 404}
    rows = await owner.fetch("SELECT task_id, user_id, body FROM notifications WHERE kind = 'due_soon'")
    assert rows
    assert len({tuple(row) for row in rows}) == len(rows)
    forgotten = await owner.fetch(
        "SELECT t.id FROM tasks t WHERE status IN ('pending', 'in_progress')"
        " AND due_at > now() AND due_at < now() + interval '24 hours' AND NOT EXISTS (SELECT FROM notifications n"
        " WHERE n.task_id = t.id AND n.kind = 'due_soon' AND n.body = 'Due at ' || taskbell.plain_time(t.due_at))"
    )
    assert forgotten == []
    assert await owner.fetchval("SELECT count(*) FROM reminders WHERE fire_at <= now()") == 0
