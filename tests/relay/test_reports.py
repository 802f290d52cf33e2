"""The active relay sums events up for reports, and tells how far it is."""

import asyncio
from uuid import uuid4

import pytest

from taskbell.local import db
from taskbell.relay.reports.metrics import LAG_SECONDS, REPAIRED_CELLS
from taskbell.relay.reports.repository import Folding, folding
from taskbell.relay.reports.watch import watch
from taskbell.testing.waiting import eventually


@pytest.fixture
async def owner(database):
    """The schema's owner."""
    async with db.connected(database.owner_url) as connection:
        yield connection


async def _write(owner, count):
    for _ in range(count):
        await owner.execute(
            "INSERT INTO events (workspace_id, type, subject_id, audience, data)"
            " VALUES ($1, 'task.created', $1, '{}', '{}')",
            uuid4(),
        )


@pytest.mark.feature("M66")
async def test_all_that_is_settled_is_folded_in_steps(database, owner):
    """However small the steps are; afterwards nothing waits."""
    await _write(owner, 7)
    # Transactions of other tests, in other databases of the same server, hold events back, too.
    settled = "SELECT max(xid) < pg_snapshot_xmin(pg_current_snapshot()) FROM events"
    await eventually(lambda: owner.fetchval(settled), "the end of older transactions")
    async with folding(database.relay_url) as reports:
        small = Folding(reports._session, at_once=2)
        lag, _ = await small.measure()
        assert lag > 0
        await small.fold()
        assert await small.measure() == (0.0, 0)


@pytest.mark.feature("M47")
async def test_the_watch_tells_how_far_it_is(database, owner):
    """It folds again and again, shows what maintenance repaired, and shows nothing when it ends."""
    await owner.execute("UPDATE report_state SET repaired = 3")
    watching = asyncio.create_task(watch(database.relay_url, every=0.01))
    try:
        await _write(owner, 3)
        unfolded = "SELECT count(*) FROM events e, report_state s WHERE e.xid >= s.folded_until"

        async def folded():
            return await owner.fetchval(unfolded) == 0 and REPAIRED_CELLS._value.get() == 3

        await eventually(folded)
    finally:
        watching.cancel()
        await asyncio.wait([watching])
    assert (LAG_SECONDS._value.get(), REPAIRED_CELLS._value.get()) == (0, 0)
