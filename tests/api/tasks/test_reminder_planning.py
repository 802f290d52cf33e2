"""Reminders follow their task: planned, moved and removed with the change that asks for it."""

from datetime import UTC, datetime, timedelta

import pytest

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def _due(**after):
    return (datetime.now(UTC) + timedelta(**after)).replace(microsecond=0)


@pytest.fixture
async def ann(sign_up):
    """A person."""
    return await sign_up()


@pytest.fixture
def send(api, ann):
    """Calls the API on Ann's behalf."""

    async def call(method, path, **body):
        answer = await api.request(method, f"/v1{path}", headers=ann.headers, json=body or None)
        assert answer.status_code in {200, 201, 204}, answer.text
        return answer.json() if answer.content else None

    return call


@pytest.fixture
def create(send):
    """Creates a task that is due."""

    async def make(due, **fields):
        return await send("POST", "/tasks", title="T", due_at=due.isoformat(), **fields)

    return make


@pytest.fixture
def planned(owner):
    """Reads the reminders of a kind: lead and time, the first to fire first."""

    async def read(kind="due_soon"):
        ask = "SELECT lead, fire_at FROM reminders WHERE kind = $1 ORDER BY fire_at"
        return [tuple(row) for row in await owner.fetch(ask, kind)]

    return read


@pytest.mark.feature("P10", "P13", "T14")
async def test_a_due_task_has_a_reminder_for_each_lead(create, planned):
    """By default a day and an hour before."""
    due = _due(days=3)
    await create(due)
    assert await planned() == [(DAY, due - DAY), (HOUR, due - HOUR)]


@pytest.mark.feature("P10", "P13", "T14")
async def test_a_due_task_has_a_reminder_for_when_it_is_overdue(create, send, planned):
    """At the due time itself; it moves, goes and comes back with the others."""
    due = _due(minutes=30)
    path = f"/tasks/{(await create(due))['id']}"
    assert await planned("overdue") == [(timedelta(0), due)]
    await send("PATCH", path, due_at=(due + DAY).isoformat())
    assert await planned("overdue") == [(timedelta(0), due + DAY)]
    await send("PATCH", path, status="completed")
    assert await planned("overdue") == []
    await send("PATCH", path, status="pending")
    assert await planned("overdue") == [(timedelta(0), due + DAY)]
    await send("PATCH", path, due_at=None)
    assert await planned("overdue") == []


async def test_a_task_that_is_due_soon_is_reminded_of_at_once(create, planned, owner):
    """Of the leads that are past already the nearest fires at once, not each of them; the others are to come."""
    due = _due(minutes=30)
    await create(due)
    ((lead, fire_at),) = await planned()
    assert lead == HOUR
    assert due - HOUR < fire_at <= await owner.fetchval("SELECT now()")
    await create(due + 2 * HOUR)
    assert [lead for lead, _ in await planned()] == [HOUR, DAY, HOUR]


async def test_what_is_past_or_done_or_not_due_has_none(create, send, planned):
    """No reminder of a task that was due before, is finished, or has no due time."""
    await create(_due(minutes=-5))
    await create(_due(days=2), status="completed")
    await create(_due(days=2), status="cancelled")
    await send("POST", "/tasks", title="T")
    assert await planned() == []
    assert await planned("overdue") == []


async def test_a_due_time_that_is_set_into_the_past_tells_nobody(create, send, planned):
    """Who sets it knows, and who imports a thousand old tasks wants no thousand notifications."""
    path = f"/tasks/{(await create(_due(days=3)))['id']}"
    await send("PATCH", path, due_at=_due(minutes=-5).isoformat())
    assert await planned("overdue") == []
    await send("PATCH", path, due_at=_due(minutes=5).isoformat())
    assert len(await planned("overdue")) == 1


async def test_a_new_due_time_moves_them(create, send, planned):
    """Another due time replaces the reminders; none removes them; other fields leave them."""
    due = _due(days=3)
    path = f"/tasks/{(await create(due))['id']}"
    before = await planned()
    await send("PATCH", path, title="New", priority=1)
    assert await planned() == before
    await send("PATCH", path, due_at=(due + DAY).isoformat())
    assert await planned() == [(DAY, due), (HOUR, due + DAY - HOUR)]
    await send("PATCH", path, due_at=None)
    assert await planned() == []
    await send("PUT", path, title="T", due_at=due.isoformat())
    assert await planned() == before


@pytest.mark.parametrize("status", ["completed", "cancelled"])
async def test_a_finished_task_loses_them_and_a_reopened_one_has_them_again(create, send, planned, status):
    """Between the open statuses nothing changes."""
    path = f"/tasks/{(await create(_due(days=3)))['id']}"
    before = await planned()
    await send("PATCH", path, status="in_progress")
    assert await planned() == before
    await send("PATCH", path, status=status)
    assert await planned() == []
    await send("PATCH", path, status="pending")
    assert await planned() == before


async def test_a_deleted_task_loses_them(create, send, planned):
    """They go with it."""
    await send("DELETE", f"/tasks/{(await create(_due(days=3)))['id']}")
    assert await planned() == []


class TestOtherLeads:
    """The leads are a setting."""

    @pytest.fixture
    def overrides(self):
        """Three leads, as the environment has them."""
        return {"reminder_leads": "PT15M,P2D,PT0S"}

    async def test_the_setting_decides(self, create, planned):
        """ISO 8601 durations, in any order; a reminder may fire at the due time itself."""
        due = _due(days=3)
        await create(due)
        assert [fire_at for _, fire_at in await planned()] == [due - 2 * DAY, due - timedelta(minutes=15), due]
