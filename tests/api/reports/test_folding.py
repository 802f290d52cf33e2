"""Summing up: never twice, never left out, whoever does it, and whatever is still running."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from taskbell.local import db
from taskbell.sweeper.policy import span_to_check
from taskbell.testing.waiting import eventually


async def _created(who):
    return (await who.request("GET", "/reports/throughput", status=200)).json()["total"]["created"]


async def _folded(owner, workspace_id):
    return await owner.fetchval(
        "SELECT coalesce(sum(amount), 0) FROM report_cells WHERE workspace_id = $1 AND measure = 'created'"
        " AND grain = 0 AND person_id = '00000000-0000-0000-0000-000000000000'",
        UUID(workspace_id),
    )


@pytest.mark.feature("M66")
async def test_a_slow_transaction_is_never_left_out(ann, owner, database, write, fold):
    """Events of a transaction that commits after later ones were folded count when it commits, and only then."""
    history = write(ann.workspace_id)
    at = await owner.fetchval("SELECT now()")
    async with db.connected(database.owner_url) as slow:
        late = write(ann.workspace_id)
        late.owner = slow
        transaction = slow.transaction()
        await transaction.start()
        await late.create(UUID(ann.user_id), at=at)
        for _ in range(3):
            await history.create(UUID(ann.user_id), at=at)
        await fold()
        assert (await _created(ann), await _folded(owner, ann.workspace_id)) == (3, 0)
        await transaction.commit()
    assert await _created(ann) == 4
    await fold()
    assert (await _created(ann), await _folded(owner, ann.workspace_id)) == (4, 4)


@pytest.mark.feature("M66")
async def test_a_fold_that_is_killed_is_done_again(ann, owner, relay, database, write, fold):
    """Its session ends before the commit: nothing of it counts, and the next one counts each event once."""
    history = write(ann.workspace_id)
    at = await owner.fetchval("SELECT now()")
    for _ in range(3):
        await history.create(UUID(ann.user_id), at=at)
    doomed = await asyncpg.connect(database.relay_url)
    await doomed.execute("BEGIN")
    assert await doomed.fetchval("SELECT taskbell.fold_reports(100)") >= 3
    assert await fold(100) is None
    assert await relay.fetchval("SELECT pg_terminate_backend($1, 10000)", doomed.get_server_pid())
    with contextlib.suppress(asyncpg.PostgresError, OSError):
        await doomed.close(timeout=1)
    assert (await _created(ann), await _folded(owner, ann.workspace_id)) == (3, 0)
    await fold()
    assert (await _created(ann), await _folded(owner, ann.workspace_id)) == (3, 3)


@pytest.mark.feature("M66")
async def test_two_may_fold_while_tasks_are_created(ann, owner, database, relay):
    """Two sessions fold in small steps during creates: reports only grow, and each task is counted once."""
    done = asyncio.Event()

    async def folding():
        async with db.connected(database.relay_url) as connection:
            while not done.is_set():
                await connection.fetchval("SELECT taskbell.fold_reports(3)")

    async def creating():
        for _ in range(30):
            await ann.create()

    async def reading():
        seen = [0]
        while not done.is_set():
            seen.append(await _created(ann))
        assert seen == sorted(seen)

    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(folding())
        group.create_task(reading())
        await asyncio.gather(creating(), creating())
        done.set()
    assert await _created(ann) == 60

    async def folded():
        await relay.fetchval("SELECT taskbell.fold_reports(1000)")
        return await _folded(owner, ann.workspace_id) == 60

    await eventually(folded)
    assert await _created(ann) == 60


@pytest.fixture
async def upgraded(ann, owner, write):
    """Tasks of long ago without events, as an upgrade finds them; the summaries begin an hour ago."""
    history = write(ann.workspace_id)
    now = await owner.fetchval("SELECT now()")
    who, old = UUID(ann.user_id), now - timedelta(days=20)
    await history.create(who, at=old, due_at=now - timedelta(days=2))
    done = await history.create(who, at=old, assignees=[who])
    await history.change(who, done, at=old + timedelta(days=3), status="completed")
    gone = await history.create(who, at=old)
    await history.change(who, gone, at=old + timedelta(days=4), status="cancelled")
    await owner.execute("TRUNCATE events")
    await owner.execute(
        "UPDATE report_state SET seed_after = '00000000-0000-0000-0000-000000000000',"
        " folded_until = pg_snapshot_xmin(pg_current_snapshot()), counted_from = now() - interval '1 hour'"
    )
    return history


@pytest.mark.feature("M66")
@pytest.mark.parametrize("step", [1, 2, 100])
async def test_tasks_of_before_an_upgrade_count(ann, owner, fold, upgraded, step):
    """What they tell of themselves counts; until all are counted, reports are refused and tasks may change."""
    answer = await ann.request("GET", "/reports/throughput", status=503)
    assert answer.json()["code"] == "unavailable"
    await ann.create()
    counting = "SELECT seed_after IS NOT NULL FROM report_state"
    while await owner.fetchval(counting):
        await fold(step)
    for _ in range(2):
        total = (await ann.request("GET", "/reports/throughput", status=200)).json()["total"]
        assert total == {"created": 4, "completed": 1, "reopened": 0, "cancelled": 1, "deleted": 0}
        workload = (await ann.request("GET", "/reports/workload", status=200)).json()["total"]
        assert workload == {"open": 2, "pending": 2, "in_progress": 0, "overdue": 1}
        spread = (await ann.request("GET", "/reports/cycle-time", status=200)).json()["total"]
        assert (spread["tasks"], spread["mean"]) == (1, "P3D")
        await fold()


async def test_a_restored_copy_goes_on(ann, owner, fold, write):
    """Its transaction ids begin again: what was summed up stays, and what comes is counted once."""
    history = write(ann.workspace_id)
    now = await owner.fetchval("SELECT now()")
    await history.create(UUID(ann.user_id), at=now - timedelta(days=1))
    await fold()
    await owner.execute("UPDATE report_state SET folded_until = '99999999999'")
    await ann.create()
    await fold()
    assert await _created(ann) == 2
    assert (await ann.request("GET", "/reports/workload", status=200)).json()["total"]["open"] == 2


def test_which_days_are_checked():
    """Whole days of which all events are kept and were counted from events; one that was checked, once more."""
    now = datetime(2026, 11, 22, 3, 17, tzinfo=UTC)
    week = {"retention": timedelta(days=7), "checked_until": None}

    def days(**known):
        since, until = span_to_check(now, **week | {"counted_from": datetime(2026, 1, 1, tzinfo=UTC)} | known)
        return since.day, until.day

    assert days() == (16, 23)
    assert days(counted_from=datetime(2026, 11, 20, 1, tzinfo=UTC)) == (21, 23)
    assert days(counted_from=now) == (23, 23)
    assert days(checked_until=datetime(2026, 11, 22, tzinfo=UTC)) == (20, 23)
    assert days(checked_until=datetime(2026, 11, 1, tzinfo=UTC)) == (16, 23)
