"""Changes of a task beside a sweep: whoever comes first decides, and nothing is lost, doubled or held for ever."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from taskbell.api.reminders.policy import Shard
from taskbell.api.reminders.repository import Reminders
from taskbell.local import db


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
        (reminder,) = await Reminders(connection).fire(shard=Shard(), at_most=10)
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
    assert await owner.fetchval("SELECT count(*) FROM reminders") == (2 if change == "moved" else 0)


async def test_sweeps_and_changes_at_once(send, run_sweep, fired, owner):
    """Many tasks are moved and finished while sweeps run: no request fails, and no task is told of twice."""
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
