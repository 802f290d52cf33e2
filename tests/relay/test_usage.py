"""What workspaces write and store is measured, and who is over a quota."""

from datetime import timedelta
from types import SimpleNamespace
from uuid import UUID, uuid4

import pytest

from taskbell.kit.ids import lowest_id
from taskbell.local import db
from taskbell.relay.usage import repository
from taskbell.relay.usage.repository import Quota, measuring
from taskbell.relay.usage.watch import look

_QUOTA = Quota(daily=100_000, tasks=50_000)


@pytest.fixture
async def owner(database):
    """The schema's owner."""
    async with db.connected(database.owner_url) as connection:
        yield connection


@pytest.fixture
def write(owner):
    """Writes an event of some seconds ago whose data takes as many bytes."""

    async def write(workspace, *, size, ago=10.0):
        at = await owner.fetchval("SELECT clock_timestamp()") - timedelta(seconds=ago)
        event_id = UUID(int=lowest_id(at).int | (uuid4().int & (2**80 - 1)))
        await owner.execute(
            "INSERT INTO events (id, workspace_id, type, subject_id, audience, data)"
            " SELECT $1, $2, 'task.created', $2, '{}', to_json(string_agg(md5(random()::text), ''))"
            " FROM generate_series(1, $3 / 32)",
            event_id,
            workspace,
            size,
        )

    return write


async def _usage(owner, workspace):
    return await owner.fetchrow(
        "SELECT *, extract(epoch FROM refused_until - measured_at)::float8 AS wait FROM workspace_usage"
        " WHERE workspace_id = $1",
        workspace,
    )


async def test_whoever_writes_more_than_a_days_bytes_is_refused_until_the_level_has_sunk(database, owner, write):
    """One workspace has written half as much again, so it waits half a day; another one is not affected."""
    hog, other = uuid4(), uuid4()
    for _ in range(5):
        await write(hog, size=30_000)
    await write(other, size=30_000)
    async with measuring(database.relay_url, _QUOTA) as usage:
        await look(usage)
        row = await _usage(owner, hog)
        assert 150_000 < row["level_bytes"] < 155_000
        assert 0.5 * 86_400 < row["wait"] < 0.55 * 86_400
        assert (await _usage(owner, other))["refused_until"] is None
        assert await usage.refused() == (1, 0)
        await look(usage)
        assert (await _usage(owner, hog))["level_bytes"] == row["level_bytes"]  # nothing is counted twice


async def test_the_level_sinks_by_the_day(database, owner, write):
    """After half a day half of the quota is free again, and the next relay goes on where the last one ended."""
    workspace = uuid4()
    await owner.execute(
        "INSERT INTO workspace_usage (workspace_id, level_bytes, measured_at)"
        " VALUES ($1, 90000, now() - interval '12 h')",
        workspace,
    )
    await write(workspace, size=30_000, ago=13 * 3600)
    await write(workspace, size=30_000)
    async with measuring(database.relay_url, _QUOTA) as usage:
        await usage.measure()
    row = await _usage(owner, workspace)
    assert 69_000 < row["level_bytes"] < 73_000
    assert row["refused_until"] is None


async def test_a_long_time_without_a_relay_is_read_in_pieces(database, owner, write, monkeypatch):
    """After days without a relay the last day counts, and no statement reads more than ten minutes of it."""
    workspace, spans = uuid4(), []
    await owner.execute(
        "INSERT INTO workspace_usage (workspace_id, measured_at) VALUES ($1, now() - interval '3 days')", workspace
    )
    for hours in (30, 20, 1):
        await write(workspace, size=30_000, ago=hours * 3600)
    rows = repository._MEASURE_USAGE.rows

    async def noted(session, **parameters):
        milliseconds = (parameters["next_id"].int >> 80) - (parameters["first_id"].int >> 80)  # RFC 9562, UUIDv7
        spans.append(timedelta(milliseconds=milliseconds))
        return await rows(session, **parameters)

    monkeypatch.setattr(repository, "_MEASURE_USAGE", SimpleNamespace(rows=noted))
    async with measuring(database.relay_url, _QUOTA) as usage:
        await usage.measure()
    assert max(spans) <= timedelta(minutes=10, milliseconds=1)
    assert timedelta(hours=23, minutes=59) < sum(spans, timedelta()) <= timedelta(days=1)
    row = await _usage(owner, workspace)
    assert 30_000 < row["level_bytes"] < 31_000  # the last hour's; what came 19 hours before has sunk


async def test_deliveries_count(database, owner, write):
    """An event that three webhooks want takes three rows of the ledger; disabled and other ones take none."""
    workspace = uuid4()
    user = await owner.fetchval(
        "INSERT INTO users (id, email, name, personal_workspace_id) VALUES ($1, 'a@b.example', 'A', $1) RETURNING id",
        workspace,
    )
    await owner.execute("INSERT INTO workspaces (id, name, created_by) VALUES ($1, 'W', $2)", workspace, user)
    for types, enabled in ((["*"], True),) * 3 + ((["*"], False), (["task.moved"], True)):
        await owner.execute(
            "INSERT INTO webhooks (id, workspace_id, url, event_types, enabled, secret)"
            " VALUES (gen_random_uuid(), $1, 'https://a.example', $2, $3, 's')",
            workspace,
            types,
            enabled,
        )
    await write(workspace, size=3_200)
    async with measuring(database.relay_url, _QUOTA) as usage:
        await usage.measure()
    assert 3_500 + 3 * 600 <= (await _usage(owner, workspace))["level_bytes"] <= 3_600 + 3 * 600


async def test_tasks_are_counted_when_much_was_written_and_full_ones_soon_again(database, owner, write):
    """Above the bound the tasks are full; when they were deleted and that is an event, they are not."""
    workspace = uuid4()
    await owner.execute(
        "INSERT INTO users (id, email, name, personal_workspace_id) VALUES ($1, 'a@b.example', 'A', $1)", workspace
    )
    await owner.execute("INSERT INTO workspaces (id, name, created_by) VALUES ($1, 'W', $1)", workspace)
    await owner.execute(
        "INSERT INTO tasks (workspace_id, title, description, created_by)"
        " SELECT $1, 'T', string_agg(md5(random()::text), ''), $1 FROM generate_series(1, 6000) n GROUP BY n % 10",
        workspace,
    )
    await write(workspace, size=1_000)

    async def look_again():
        async with measuring(database.relay_url, _QUOTA) as usage:
            await look(usage)
            return await _usage(owner, workspace), await usage.refused()

    assert (await look_again())[0]["task_bytes"] == 0
    await owner.execute("UPDATE workspace_usage SET uncounted_bytes = 3000, measured_at = now() - interval '30 s'")
    await write(workspace, size=1_000, ago=5.0)
    row, refused = await look_again()
    assert row["tasks_full"]
    assert 190_000 < row["task_bytes"] < 205_000
    assert refused == (0, 1)
    await owner.execute("DELETE FROM tasks")
    await owner.execute(
        "UPDATE workspace_usage SET counted_at = now() - interval '2 m', measured_at = now() - interval '30 s'"
    )
    row, refused = await look_again()
    assert (row["tasks_full"], refused) == (False, (0, 0))
