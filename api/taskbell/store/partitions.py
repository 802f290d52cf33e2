"""Partitions of the time-ordered tables: created ahead of time; rows that none covers are reported.

A UUIDv7 begins with 48 bits of Unix milliseconds, so a range of ids is a range of time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from uuid import UUID

import asyncpg
import structlog

from taskbell.kit.ids import lowest_id
from taskbell.kit.postgres.statements import load
from taskbell.kit.settings import Settings

_EVENTS_TO_CARRY = load(__package__, "events_to_carry")
_DELIVERIES_TO_ATTEMPT = load(__package__, "deliveries_to_attempt")
_STILL_NEEDED = {"events": _EVENTS_TO_CARRY, "deliveries": _DELIVERIES_TO_ATTEMPT}
"""Whether a range of ids holds what is not done with, by table: events to carry or deliver, deliveries under way."""
_ROWS_IN_DEFAULT = load(__package__, "rows_in_default")
_BOUNDS = load(__package__, "partition_bounds")
_RELATION_EXISTS = load(__package__, "relation_exists")
_log = structlog.get_logger(__name__)


class Width(StrEnum):
    """How much time one partition covers. Lists probe every partition, so fewer are faster."""

    YEAR = "year"
    QUARTER = "quarter"
    MONTH = "month"

    @property
    def months(self) -> int:
        """Its length in months."""
        return {"year": 12, "quarter": 3, "month": 1}[self.value]


class MaintenanceSettings(Settings):
    """Settings of partition maintenance."""

    database_url: str
    """PostgreSQL, with the rights of the schema's owner."""
    task_partition_width: Width = Width.QUARTER
    """Time that one partition of `tasks` covers; a list probes each of them."""
    event_partition_width: Width = Width.MONTH
    """Time that one partition of `events`, `notifications` or `deliveries` covers; retention drops whole partitions."""
    partitions_ahead: int = 2
    """Partitions created ahead of the present one."""


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition: its table name and the half-open range of time it covers."""

    name: str
    start: datetime
    end: datetime

    @property
    def bounds(self) -> tuple[UUID, UUID]:
        """The range of ids that the range of time means."""
        return lowest_id(self.start), lowest_id(self.end)

    def by_month(self, table: str) -> list[Partition]:
        """The same range of time in partitions of a month."""
        months = (self.end.year - self.start.year) * 12 + self.end.month - self.start.month
        return plan(table=table, now=self.start, width=Width.MONTH, ahead=months - 1)


@dataclass(frozen=True, slots=True)
class Report:
    """What maintenance did: partitions made, and rows found in default partitions by table."""

    created: tuple[str, ...]
    in_default: dict[str, int]


def plan(*, table: str, now: datetime, width: Width, ahead: int) -> list[Partition]:
    """The partitions that a table needs at `now`: the one that covers it and `ahead` more."""
    first = (now.year * 12 + now.month - 1) // width.months * width.months
    starts = [first + width.months * step for step in range(ahead + 2)]
    days = [datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC) for month in starts]
    return [Partition(name=f"{table}_{start:%Y_%m}", start=start, end=end) for start, end in pairwise(days)]


async def maintain(connection: asyncpg.Connection, *, settings: MaintenanceSettings, now: datetime) -> Report:
    """Make the partitions that are missing and count what fell into the defaults. Safe to run at any time, twice.

    A range that an existing partition covers in part (the width was changed) is filled up month by month. A range for
    which the default partition already holds rows cannot be attached; it is reported by the count instead.
    """
    created: list[str] = []
    widths = {
        "tasks": settings.task_partition_width,
        "events": settings.event_partition_width,
        "notifications": settings.event_partition_width,
        "deliveries": settings.event_partition_width,
    }
    for table, width in widths.items():
        present = await _partitions(connection, table=table)
        for wanted in plan(table=table, now=now, width=width, ahead=settings.partitions_ahead):
            if present.get(wanted.name) != wanted.bounds:
                created += await _cover(connection, table=table, wanted=wanted)
    in_default = dict(await _ROWS_IN_DEFAULT.row(connection) or {})
    for table, rows in in_default.items():
        if rows:
            _log.warning("rows_in_default_partition", table=table, rows=rows)
    return Report(created=tuple(created), in_default=in_default)


async def _partitions(connection: asyncpg.Connection, *, table: str) -> dict[str, tuple[UUID, UUID]]:
    """The partitions of a table but the default one: the first id of each, and the first id after it."""
    found = {row["name"]: row["bounds"].split("'") for row in await _BOUNDS.rows(connection, table=table)}
    return {name: (UUID(parts[1]), UUID(parts[3])) for name, parts in found.items() if len(parts) > 1}


async def _cover(connection: asyncpg.Connection, *, table: str, wanted: Partition) -> list[str]:
    """Make the partition, or those of its months that no partition covers; returns the names of what was made."""
    if await _create(connection, table=table, wanted=wanted):
        return [wanted.name]
    months = wanted.by_month(table)
    return [month.name for month in months if len(months) > 1 and await _create(connection, table=table, wanted=month)]


async def _create(connection: asyncpg.Connection, *, table: str, wanted: Partition) -> bool:
    lower, upper = wanted.bounds
    if await _RELATION_EXISTS.value(connection, name=wanted.name):
        return False
    try:
        async with connection.transaction():
            await connection.execute(
                f"CREATE TABLE {wanted.name} PARTITION OF {table} FOR VALUES FROM ('{lower}') TO ('{upper}')"
            )
            # A partition has its own row-level security switch; nothing reaches it by name, and so it stays.
            await connection.execute(f"ALTER TABLE {wanted.name} ENABLE ROW LEVEL SECURITY")
    except (asyncpg.InvalidObjectDefinitionError, asyncpg.CheckViolationError, asyncpg.DuplicateTableError) as refused:
        _log.warning("partition_not_created", partition=wanted.name, reason=str(refused))
        return False
    _log.info("partition_created", partition=wanted.name)
    return True


async def drop_expired(
    connection: asyncpg.Connection, *, retention: Mapping[str, timedelta], now: datetime
) -> list[str]:
    """Drop the partitions of tables all of whose rows are older than the table's retention; returns their names.

    Events that the relay has not carried yet and deliveries under way, with their events, are kept, however old. A
    table that is locked for long is left for the next time (set `lock_timeout`); what was dropped until then stays
    dropped.
    """
    dropped = []
    for table, kept in retention.items():
        cutoff = lowest_id(now - kept)
        for name, (start, end) in (await _partitions(connection, table=table)).items():
            if end > cutoff:
                continue
            needed = _STILL_NEEDED.get(table)
            if needed is not None and await needed.value(connection, start=start, end=end):
                _log.warning("expired_partition_still_needed", partition=name)
                continue
            await connection.execute(f"DROP TABLE IF EXISTS {name}")  # another maintenance may have been faster
            _log.info("partition_dropped", partition=name)
            dropped.append(name)
    return dropped


async def run(settings: MaintenanceSettings) -> Report:
    """Connect, maintain, report."""
    connection = await asyncpg.connect(settings.database_url, timeout=10)
    try:
        return await maintain(connection, settings=settings, now=datetime.now(UTC))
    finally:
        await connection.close()
