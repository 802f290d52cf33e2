"""Partitions by time: planned with plain values, made ahead, and what has none reported."""

import itertools
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskbell.kit.ids import new_id
from taskbell.local import db
from taskbell.store import partitions
from taskbell.store.partitions import MaintenanceSettings, Width

_INSTANTS = st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 -- hypothesis adds the zone


@given(now=_INSTANTS, width=st.sampled_from(Width), ahead=st.integers(0, 12))
def test_a_plan_covers_now_and_what_comes_without_gap_or_overlap(now, width, ahead):
    """Whatever the time and width, the plan starts with the partition of now, and each next begins where one ends."""
    plan = partitions.plan(table="tasks", now=now, width=width, ahead=ahead)
    assert len(plan) == ahead + 1
    assert plan[0].start <= now < plan[0].end
    assert all(before.end == after.start for before, after in itertools.pairwise(plan))
    assert len({partition.name for partition in plan}) == len(plan)
    for partition in plan:
        lower, upper = partition.bounds
        assert lower < upper
        months = (partition.end.year - partition.start.year) * 12 + partition.end.month - partition.start.month
        assert months == width.months
        assert partition.start.day == partition.end.day == 1


@given(now=_INSTANTS, later=st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=800)))
def test_plans_of_different_days_agree(now, later):
    """A partition planned today and again next year has the same name and range: maintenance can run at any time."""
    planned = [
        partitions.plan(table="events", now=day, width=Width.QUARTER, ahead=3)
        for day in (now, min(now + later, datetime(2999, 1, 1, tzinfo=UTC)))
    ]
    by_name = {partition.name: partition for partition in planned[0]}
    assert all(by_name.get(partition.name, partition) == partition for partition in planned[1])


@given(now=_INSTANTS)
def test_an_id_made_at_an_instant_is_not_below_its_bound(now):
    """The bound is the smallest id of its millisecond, so the range of ids is exactly the range of time."""
    lowest = partitions.lowest_id(now)
    assert lowest.int >> 80 == int(now.timestamp() * 1000)
    assert lowest.int & ((1 << 80) - 1) == 0


def test_a_new_id_lies_in_the_partition_of_now():
    """The ids that the API makes fall where the plan expects them."""
    lower, upper = partitions.plan(table="tasks", now=datetime.now(UTC), width=Width.MONTH, ahead=0)[0].bounds
    assert lower <= new_id() < upper


@pytest.fixture
async def owner(database):
    """A connection as the schema's owner."""
    async with db.connected(database.owner_url) as connection:
        yield connection


def _settings(database, **values):
    return MaintenanceSettings(database_url=database.owner_url, **values)


async def _partitions_of(owner, table):
    rows = await owner.fetch("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = $1::regclass", table)
    return {row[0] for row in rows}


@pytest.mark.feature("M18")
async def test_maintenance_makes_partitions_ahead_once(database, owner):
    """Partitions of a year to come are made by the first run; the second finds nothing to do."""
    now = datetime(2031, 5, 17, tzinfo=UTC)
    settings = _settings(database, partitions_ahead=1)
    first = await partitions.maintain(owner, settings=settings, now=now)
    by_month = ("events", "notifications", "deliveries")
    assert first.created == (
        *("tasks_2031_04", "tasks_2031_07"),
        *(f"{table}_2031_{month}" for table in by_month for month in ("05", "06")),
    )
    assert {"tasks_2031_04", "tasks_2031_07", "tasks_default"} <= await _partitions_of(owner, "tasks")
    second = await partitions.maintain(owner, settings=settings, now=now)
    assert second.created == ()
    assert second.in_default == dict.fromkeys(("tasks", *by_month), 0)


async def test_a_partition_is_secured_like_its_table(database, owner):
    """Row-level security is on for every partition, also for those that maintenance made."""
    await partitions.maintain(owner, settings=_settings(database), now=datetime(2031, 5, 17, tzinfo=UTC))
    open_ones = await owner.fetch(
        "SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r' AND NOT relrowsecurity"
        " AND relname !~ '_default$'"
    )
    assert open_ones == []


async def _uncovered_months(owner, table, first, count):
    """Months, counted from `first`, whose rows would fall into the default partition."""
    bounds = await owner.fetch(
        "SELECT pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = $1::regclass",
        table,
    )
    ranges = [row[0].split("'")[1::2] for row in bounds if row[0] != "DEFAULT"]
    months = partitions.plan(table=table, now=first, width=Width.MONTH, ahead=count - 1)
    inside = [str(month.bounds[0]) for month in months]
    return [
        month.name
        for month, instant in zip(months, inside, strict=True)
        if not any(lower <= instant < upper for lower, upper in ranges)
    ]


@pytest.mark.parametrize("before", Width)
@pytest.mark.parametrize("after", Width)
async def test_a_change_of_width_leaves_no_gap(database, owner, before, after):
    """Whatever the width was and becomes, every month from now to the end of the plan has a partition."""
    now = datetime(2031, 2, 1, tzinfo=UTC)
    await partitions.maintain(owner, settings=_settings(database, task_partition_width=before), now=now)
    settings = _settings(database, task_partition_width=after, partitions_ahead=4)
    report = await partitions.maintain(owner, settings=settings, now=now)
    end = partitions.plan(table="tasks", now=now, width=after, ahead=4)[-1].end
    months = (end.year - now.year) * 12 + end.month - now.month
    assert await _uncovered_months(owner, "tasks", now, months) == []
    assert not [name for name in report.created if report.created.count(name) > 1]
    again = await partitions.maintain(owner, settings=settings, now=now)
    assert again.created == ()


async def _add_event(owner, event_id: UUID):
    await owner.execute(
        "INSERT INTO events (id, workspace_id, type, subject_id, audience, data)"
        " VALUES ($1, $1, 'task.created', $1, '{}', '{}')",
        event_id,
    )


@pytest.mark.feature("M18")
async def test_rows_without_a_partition_are_kept_and_reported(database, owner):
    """A row outside every partition is not lost: it lies in the default, the report counts it, maintenance goes on."""
    now = datetime(2035, 1, 1, tzinfo=UTC)
    await _add_event(owner, partitions.lowest_id(now))
    report = await partitions.maintain(owner, settings=_settings(database, partitions_ahead=1), now=now)
    assert {table: rows for table, rows in report.in_default.items() if rows} == {"events": 1}
    assert "events_2035_01" not in report.created
    assert {"tasks_2035_01", "events_2035_02"} <= set(report.created)
    assert await owner.fetchval("SELECT count(*) FROM events") == 1


async def test_a_lookup_by_id_reads_one_partition(database, owner):
    """The key is the time, so a task is found by its id in one partition."""
    await partitions.maintain(owner, settings=_settings(database), now=datetime(2031, 5, 17, tzinfo=UTC))
    plan = await owner.fetch(f"EXPLAIN SELECT 1 FROM tasks WHERE id = '{new_id()}'")
    touched = {word for row in plan for word in row[0].split() if word.startswith("tasks_") and "pkey" not in word}
    assert len(touched) == 1
