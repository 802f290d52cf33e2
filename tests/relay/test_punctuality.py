"""How late reminders are: measured by the relay's role, exactly, with little reading, and never shown outdated."""

import asyncio
import contextlib
import json
from datetime import timedelta

import asyncpg
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from taskbell.kit.postgres.statements import load
from taskbell.local import db
from taskbell.relay.errors import DatabaseUnavailable
from taskbell.relay.lateness import repository
from taskbell.relay.lateness.metrics import BOUNDS
from taskbell.relay.lateness.watch import watch
from taskbell.testing.waiting import eventually

HOUR = timedelta(hours=1)


@pytest.fixture
async def punctuality(database):
    """The measurements, on a session of the relay's role."""
    async with repository.watching(database.relay_url) as found:
        yield found


async def _fired(punctuality):
    """How many reminders fired since the last look, by the bucket's lower bound."""
    return {(0.0, *BOUNDS)[b.place]: b.reminders for b in await punctuality.fired(bounds=BOUNDS)}


@pytest.mark.feature("M47")
async def test_the_oldest_that_is_due_is_told_by_its_age(plan, punctuality, run_sweep):
    """None due: 0. What is due counts up to the bound, what is not yet due never; fired reminders are not overdue."""
    await plan(5, fires_in=HOUR)
    found = await punctuality.overdue(at_most=10)
    assert (found.reminders, found.oldest) == (0, 0.0)
    await plan(4, over=2 * HOUR)
    found = await punctuality.overdue(at_most=10)
    assert found.reminders == 4
    assert 7200 <= found.oldest < 7300
    found = await punctuality.overdue(at_most=3)
    assert found.reminders == 3
    assert 7200 <= found.oldest < 7300
    await run_sweep()
    found = await punctuality.overdue(at_most=10)
    assert (found.reminders, found.oldest) == (0, 0.0)


@pytest.mark.feature("M47")
async def test_each_reminder_that_fires_is_counted_once_by_its_lateness(plan, punctuality, run_sweep):
    """What fired before the first look is not counted, later ones are: once, in the bucket of their lateness."""
    await plan()
    await run_sweep()
    assert await _fired(punctuality) == {}
    await plan(3, fires_in=-2 * HOUR)
    await plan(2, fires_in=-timedelta(seconds=100))
    await run_sweep()
    (near, far) = sorted(await punctuality.fired(bounds=BOUNDS), key=lambda bucket: bucket.place)
    assert (BOUNDS[near.place - 1], near.reminders) == (60.0, 2)
    assert 200 <= near.seconds < 300
    assert (BOUNDS[far.place - 1], far.reminders) == (7200.0, 3)
    assert await _fired(punctuality) == {}


async def test_a_slow_transaction_is_counted_when_it_commits(plan, punctuality, run_sweep, database):
    """Jobs of a transaction that ends after others, and after a look, are counted by the look after its end."""
    await _fired(punctuality)
    await plan(2, fires_in=-2 * HOUR)
    async with db.connected(database.sweeper_url) as slow:
        transaction = slow.transaction()
        await transaction.start()
        await load("taskbell.sweeper", "fire_due").rows(slow, kind="due_soon", at_most=1, shard=0, shards=1, leads=None)
        assert (await run_sweep()).fired == 1
        assert await _fired(punctuality) == {7200.0: 1}
        await transaction.commit()
    assert await _fired(punctuality) == {7200.0: 1}
    assert await _fired(punctuality) == {}


@pytest.mark.feature("M33")
async def test_the_relay_sees_no_more_of_reminders_than_their_times(plan, run_sweep, database):
    """Whose they are, of which task, and which jobs were done stay hidden from its role."""
    await plan(2)
    await run_sweep()
    async with db.connected(database.relay_url) as relay:
        for statement in ("SELECT task_id FROM reminders", "SELECT job_id FROM job_log", "DELETE FROM reminders"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await relay.execute(statement)


_FILL = """
INSERT INTO reminders (task_id, workspace_id, lead, fire_at)
  SELECT t.id, t.workspace_id, n * interval '1 s', now() + (n - 1000) * interval '1 minute'
  FROM tasks t, generate_series(1, 2000) n ON CONFLICT DO NOTHING;
INSERT INTO job_log (job_id, planned_at, finished_at)
  SELECT 'j' || n, now() - n * interval '1 minute', now() - n * interval '1 minute' FROM generate_series(1, 20000) n;
"""


def _nodes(plan):
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


async def _scans(connection, name, arguments):
    """The nodes that read a table when a query of the watch runs, for any arguments."""
    await connection.execute(f"PREPARE looked AS {load('taskbell.relay.lateness', name).text}")
    text = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) EXECUTE looked({arguments})")
    return [node for node in _nodes(json.loads(text)[0]["Plan"]) if "Relation Name" in node]


@pytest.mark.parametrize(
    ("name", "arguments", "most"),
    [("measure_overdue", "100", 100), ("measure_fired", "'1:1:', '{1,60}'", 10)],
)
async def test_a_look_reads_a_range_of_an_index(plan, owner, database, name, arguments, most):
    """However many reminders wait and jobs are done, a look reads an index up to its bound, no table."""
    await plan(5, fires_in=HOUR)
    await owner.execute(_FILL)
    await owner.execute("ANALYZE reminders")
    await owner.execute("ANALYZE job_log")
    async with db.connected(database.relay_url) as relay:
        for setting, value in repository._SETTINGS.items():
            await relay.execute(f"SET {setting} = '{value}'")
        (scan,) = await _scans(relay, name, arguments)
    assert scan["Node Type"] in {"Index Scan", "Index Only Scan"}
    assert scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0) <= most


def _exported():
    """The metrics of reminders as a scrape reads them now: samples by name, the histogram's by their bound."""
    families = text_string_to_metric_families(generate_latest().decode())
    return {
        (sample.name.removeprefix("taskbell_relay_reminders_"), sample.labels.get("le")): sample.value
        for family in families
        if family.name.startswith("taskbell_relay_reminders_")
        for sample in family.samples
    }


@contextlib.asynccontextmanager
async def _watched(url):
    """A watch that looks all the time, for the length of a block."""
    watching = asyncio.create_task(watch(url, every=0.01))
    try:
        yield watching
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


@pytest.mark.feature("M47", "K14")
async def test_what_is_measured_can_be_scraped(plan, run_sweep, database):
    """Overdue reminders are gauges, fired ones a histogram; nobody measures: the gauges are gone, the counts stay."""
    before = _exported()
    assert ("oldest_overdue_seconds", None) not in before
    await plan(3, fires_in=-HOUR)
    async with _watched(database.relay_url):
        await eventually(lambda: _exported().get(("overdue", None)) == 3)
        assert 3600 <= _exported()["oldest_overdue_seconds", None] < 3700
        await run_sweep()
        await eventually(
            lambda: _exported()["lateness_seconds_count", None] == before["lateness_seconds_count", None] + 3
        )
        await eventually(lambda: _exported()["oldest_overdue_seconds", None] == 0)
        found = _exported()
    grown = {key: value - before.get(key, 0) for key, value in found.items() if key[0].startswith("lateness")}
    assert grown["lateness_seconds_bucket", "1800.0"] == 0
    assert grown["lateness_seconds_bucket", "7200.0"] == grown["lateness_seconds_bucket", "+Inf"] == 3
    assert 3 * 3600 <= grown["lateness_seconds_sum", None] < 3 * 3700
    after = _exported()
    assert {name for name, _ in after} == {"lateness_seconds_bucket", "lateness_seconds_count", "lateness_seconds_sum"}
    assert after["lateness_seconds_count", None] == found["lateness_seconds_count", None]


async def test_without_a_database_nothing_is_claimed(free_port):
    """PostgreSQL away ends the watch with what it is, and no figure is left."""
    with pytest.raises(DatabaseUnavailable):
        await watch(f"postgresql://taskbell_relay:x@127.0.0.1:{free_port}/taskbell", every=1)
    assert ("overdue", None) not in _exported()
