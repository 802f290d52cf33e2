"""Sums of reports in PostgreSQL. Each call says what it costs in round trips."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from taskbell.api.reports.policy import Span
from taskbell.kit.ids import bare_uuid
from taskbell.kit.postgres.statements import load
from taskbell.store.reads import Reads

_SELECT_READER = load(__package__, "select_reader")
_LIST_PEOPLE = load(__package__, "list_people")
_SUM_CELLS = load(__package__, "sum_cells")
_SPREAD_CELLS = load(__package__, "spread_cells")


@dataclass(frozen=True, slots=True)
class Reader:
    """Who asks for a report.

    Attributes:
        is_member: Whether of the workspace.
        time_zone: Their own.
        is_counting: Whether tasks from before an upgrade are still being counted.
        now: The database's time.
    """

    is_member: bool
    time_zone: str
    is_counting: bool
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Open tasks that are due in a time too short for sums: from `since` to `until`, both included.

    Attributes:
        buckets: Where they count.
    """

    since: datetime
    until: datetime
    buckets: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Buckets:
    """What a report adds up.

    Attributes:
        spans: For each bucket the spans whose sums it adds; bucket 0 is the whole.
        bounds: Where the buckets 1, 2 ... begin, for events that no sum holds; one more bound ends the last one. None
            is the beginning.
        since: Where bucket 0 begins; None is the beginning.
        until: Where it ends; None is the end.
        edge: What is read from the tasks themselves.
    """

    spans: Mapping[int, Sequence[Span]]
    bounds: Sequence[datetime | None] = ()
    since: datetime | None
    until: datetime | None
    edge: Edge | None = None

    def arguments(self) -> dict[str, Any]:
        """Those of the statements. Infinite instants exist only as text."""
        flat = [(bucket, span) for bucket, spans in self.spans.items() for span in spans]
        return {
            "buckets": [bucket for bucket, _ in flat],
            "grains": [span.grain for _, span in flat],
            "starts": [_instant(span.start, "-infinity") for _, span in flat],
            "ends": [_instant(span.end, "infinity") for _, span in flat],
            "bounds": [_instant(bound, "-infinity") for bound in self.bounds],
            "since": _instant(self.since, "-infinity"),
            "until": _instant(self.until, "infinity"),
        }


@dataclass(frozen=True, slots=True)
class Spread:
    """How durations are spread: how many, their sum, and the bins where a half and nine tenths of them end."""

    tasks: int
    total: timedelta
    median_bin: int
    p90_bin: int


@dataclass(frozen=True, slots=True)
class Sums:
    """Amounts by bucket, person and measure; 0 where there is none."""

    amounts: Mapping[tuple[int, UUID], Mapping[str, int]] = field(default_factory=dict)

    def of(self, bucket: int, person: UUID) -> Mapping[str, int]:
        """The amounts by measure; only those that are not 0."""
        return self.amounts.get((bucket, person), {})


def _instant(instant: datetime | None, otherwise: str) -> str:
    return otherwise if instant is None else instant.isoformat()


async def reader(reads: Reads, *, actor: UUID, workspace_id: UUID) -> Reader:
    """Read who asks. One round trip."""
    row = await _SELECT_READER.row(reads.of(actor), actor=actor, workspace_id=workspace_id)
    assert row is not None  # noqa: S101 -- there is always an actor and a state
    return Reader(row["role"] is not None, row["time_zone"] or "UTC", row["is_counting"], row["now"])


async def people(
    reads: Reads, *, actor: UUID, workspace_id: UUID, measures: Sequence[str], after: UUID, at_most: int
) -> list[UUID]:
    """Who may have an amount of these measures, ordered by id. One round trip."""
    rows = await _LIST_PEOPLE.rows(
        reads.of(actor), actor=actor, workspace_id=workspace_id, measures=measures, after=after, at_most=at_most
    )
    return [bare_uuid(row["person_id"]) for row in rows]


async def sums(
    reads: Reads,
    *,
    actor: UUID,
    workspace_id: UUID,
    measures: Sequence[str],
    people: Sequence[UUID],
    buckets: Buckets,
) -> Sums:
    """Add up. One round trip, one snapshot."""
    edge = buckets.edge
    rows = await _SUM_CELLS.rows(
        reads.of(actor),
        actor=actor,
        workspace_id=workspace_id,
        measures=measures,
        people=people,
        edge_since=None if edge is None else edge.since,
        edge_until=None if edge is None else edge.until,
        edge_buckets=() if edge is None else edge.buckets,
        **buckets.arguments(),
    )
    amounts: defaultdict[tuple[int, UUID], dict[str, int]] = defaultdict(dict)
    for row in rows:
        if row["amount"]:
            amounts[row["bucket"], bare_uuid(row["person_id"])][row["measure"]] = row["amount"]
    return Sums(amounts)


async def spreads(
    reads: Reads, *, actor: UUID, workspace_id: UUID, people: Sequence[UUID], buckets: Buckets
) -> dict[tuple[int, UUID], Spread]:
    """How the durations of completed tasks are spread, by bucket and person. One round trip, one snapshot."""
    rows = await _SPREAD_CELLS.rows(
        reads.of(actor), actor=actor, workspace_id=workspace_id, people=people, **buckets.arguments()
    )
    return {
        (row["bucket"], bare_uuid(row["person_id"])): Spread(
            row["tasks"], timedelta(milliseconds=row["millis"]), row["median_bin"], row["p90_bin"]
        )
        for row in rows
    }
