"""The active relay measures how late reminders are, without delaying its work."""

import httpx
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from taskbell.local import db
from taskbell.relay import supervision
from taskbell.testing.waiting import eventually

OLDEST = "taskbell_relay_reminders_oldest_overdue_seconds"
_OVERDUE = """
WITH u AS (INSERT INTO users (id, email, name, personal_workspace_id)
             VALUES (uuidv7(), 'a@b.example', 'A', uuidv7()) RETURNING id),
  w AS (INSERT INTO workspaces (id, name, created_by) SELECT uuidv7(), 'W', id FROM u RETURNING id, created_by),
  t AS (INSERT INTO tasks (workspace_id, title, created_by) SELECT id, 'T', created_by FROM w
        RETURNING id, workspace_id)
INSERT INTO reminders (task_id, workspace_id, lead, fire_at)
  SELECT id, workspace_id, '1 hour', now() - interval '1 hour' FROM t
"""


@pytest.fixture
def sample():
    """Reads one sample of a relay's process, None when it exports no such thing."""

    async def read(relay, name):
        async with httpx.AsyncClient(trust_env=False) as client:
            try:
                answer = await client.get(f"http://127.0.0.1:{relay.port}/metrics")
            except httpx.TransportError:
                return None
        for family in text_string_to_metric_families(answer.text):
            for found in family.samples:
                if found.name == name:
                    return found.value
        return None

    return read


@pytest.fixture
async def overdue(database):
    """A reminder that has been due for an hour, and no sweep that would fire it."""
    async with db.connected(database.owner_url) as connection:
        await connection.execute(_OVERDUE)
        yield connection


@pytest.mark.feature("M47")
async def test_the_active_relay_tells_that_no_sweep_runs_and_a_standby_tells_nothing(
    relay_process, table, sample, overdue
):
    """The oldest reminder's age is at the relay with the lease alone, and moves to the next one with it."""
    active = await relay_process()

    async def old(relay):
        return await sample(relay, OLDEST)

    assert await eventually(lambda: old(active)) >= 3600
    standby = await relay_process()
    await eventually(lambda: _held(sample, standby, 0.0))
    assert await old(standby) is None
    active.process.kill()
    await active.ended()
    await table.expire_lease()
    assert await eventually(lambda: old(standby)) >= 3600


async def _held(sample, relay, wanted):
    return await sample(relay, "taskbell_relay_lease_held") == wanted


async def test_a_relay_that_gave_its_lease_back_tells_nothing(relay, overdue):
    """The metric exists only while the relay is active, even if the process continues."""
    async with relay():
        await eventually(lambda: OLDEST in generate_latest().decode())
    assert OLDEST not in generate_latest().decode()


async def test_a_measurement_that_breaks_starts_again(relay, overdue, database, monkeypatch):
    """When its session is ended the figure goes, and comes back by itself; the relay keeps its lease."""
    monkeypatch.setattr(supervision, "_LATENESS_EVERY", 0.05)
    async with relay(), db.connected(database.superuser_url) as superuser:
        await eventually(lambda: OLDEST in generate_latest().decode())
        before = await overdue.fetchval("SELECT lease_epoch FROM relay_state")
        ended = await superuser.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE application_name = 'taskbell-relay-lateness' AND datname = current_database()"
        )
        assert ended == 1
        await eventually(lambda: OLDEST not in generate_latest().decode())
        await eventually(lambda: OLDEST in generate_latest().decode())
        assert await overdue.fetchval("SELECT lease_epoch FROM relay_state") == before


async def test_a_relay_that_cannot_measure_carries_on(overdue, table, stream, relay_process, sample):
    """Without the right to read reminders events flow as ever; the failure is counted, and no figure is shown."""
    await overdue.execute("REVOKE SELECT (fire_at) ON reminders FROM taskbell_relay")
    relay = await relay_process()
    written = await table.write()

    async def failures():
        return await sample(relay, "taskbell_role_failures_total")

    assert await eventually(failures) >= 1
    assert await sample(relay, OLDEST) is None
    assert await stream.holds(1) == [written]
    assert await _held(sample, relay, 1.0)
    assert await sample(relay, "taskbell_relay_interruptions_total") is None
