"""Reports for members of a workspace. Every number is exact to the moment: sums, and what no sum holds yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from taskbell.api.http.paging import PageRequest, Place, Slice
from taskbell.api.reports import policy, repository, schemas
from taskbell.api.reports.errors import ReportsNotReady
from taskbell.api.reports.policy import ALL_TIME, EVERYBODY, NOBODY, By, LocalDay, Span
from taskbell.api.reports.repository import Buckets, Edge, Reader, Spread
from taskbell.api.workspaces.errors import WorkspaceNotFound
from taskbell.store.reads import Reads

_DONE = ("created", "completed", "reopened", "cancelled", "deleted")
_DURATION = ("cycle_time",)
_OPEN = ("pending", "in_progress")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A report that is asked for.

    Attributes:
        actor: Who asks.
        workspace_id: On which workspace.
        person_id: Only what counts for this person; None: for everybody.
        page: Which of its items.
    """

    actor: UUID
    workspace_id: UUID
    person_id: UUID | None
    page: PageRequest

    @property
    def subject(self) -> UUID:
        """Whose total is told."""
        return EVERYBODY if self.person_id is None else self.person_id


@dataclass(frozen=True, slots=True)
class _Plan:
    """The time of a report, the days of its page, and its frame."""

    begin: datetime
    end: datetime
    items: Slice[LocalDay]
    frame: dict[str, Any]


class Reports:
    """Reports on behalf of a signed-in user. Every method raises `WorkspaceNotFound`, `ReportsNotReady`."""

    def __init__(self, reads: Reads) -> None:
        """Take what answers reads."""
        self._reads = reads

    async def throughput(self, request: Request, query: schemas.DaysQuery) -> schemas.ThroughputPage:
        """What happened to tasks, by day or person. Raises `RangeInvalid`."""
        plan = _plan(request, query, await self._reader(request))
        people = await self._people(request, query.by, _DONE)
        found = await repository.sums(
            self._reads,
            actor=request.actor,
            workspace_id=request.workspace_id,
            measures=_DONE,
            people=_with(people, request.subject),
            buckets=_happened(plan, query.by),
        )
        total = schemas.Done(**found.of(0, request.subject))
        if query.by is By.DAY:
            items = [
                schemas.Throughput(day=each.day, person_id=None, **found.of(number, request.subject))
                for number, each in enumerate(plan.items.items, 1)
            ]
            return schemas.ThroughputPage(items=items, meta=request.page.meta(plan.items), total=total, **plan.frame)
        items = [
            schemas.Throughput(day=None, person_id=person, **amounts)
            for person in people.items
            if (amounts := found.of(0, person))
        ]
        return schemas.ThroughputPage(items=items, meta=request.page.meta(people), total=total, **plan.frame)

    async def cycle_time(self, request: Request, query: schemas.DaysQuery) -> schemas.CycleTimePage:
        """How long completed tasks took, by day or person. Raises `RangeInvalid`."""
        plan = _plan(request, query, await self._reader(request))
        people = await self._people(request, query.by, _DURATION)
        found = await repository.spreads(
            self._reads,
            actor=request.actor,
            workspace_id=request.workspace_id,
            people=_with(people, request.subject),
            buckets=_happened(plan, query.by),
        )
        total = schemas.Durations(**_durations(found.get((0, request.subject))))
        if query.by is By.DAY:
            items = [
                schemas.CycleTime(day=each.day, person_id=None, **_durations(found.get((number, request.subject))))
                for number, each in enumerate(plan.items.items, 1)
            ]
            return schemas.CycleTimePage(items=items, meta=request.page.meta(plan.items), total=total, **plan.frame)
        items = [
            schemas.CycleTime(day=None, person_id=person, **_durations(found[0, person]))
            for person in people.items
            if (0, person) in found
        ]
        return schemas.CycleTimePage(items=items, meta=request.page.meta(people), total=total, **plan.frame)

    async def overdue(self, request: Request, query: schemas.DaysQuery) -> schemas.OverduePage:
        """Which open tasks are overdue now, by the day on which they were due, or by person. Raises `RangeInvalid`."""
        reader = await self._reader(request)
        plan = _plan(request, query, reader)
        people = await self._people(request, query.by, _OPEN)
        found = await repository.sums(
            self._reads,
            actor=request.actor,
            workspace_id=request.workspace_id,
            measures=_OPEN,
            people=_with(people, request.subject),
            buckets=_due(plan, query.by, reader),
        )
        total = sum(found.of(0, request.subject).values())
        if query.by is By.DAY:
            items = [
                schemas.Overdue(day=each.day, person_id=None, overdue=sum(found.of(number, request.subject).values()))
                for number, each in enumerate(plan.items.items, 1)
            ]
            return schemas.OverduePage(items=items, meta=request.page.meta(plan.items), total=total, **plan.frame)
        items = [
            schemas.Overdue(day=None, person_id=_person(person), overdue=sum(amounts.values()))
            for person in people.items
            if (amounts := found.of(0, person))
        ]
        return schemas.OverduePage(items=items, meta=request.page.meta(people), total=total, **plan.frame)

    async def workload(self, request: Request) -> schemas.WorkloadPage:
        """How many open tasks each person has now."""
        reader = await self._reader(request)
        people = await self._people(request, By.PERSON, _OPEN)
        begun = policy.quarter(reader.now)
        found = await repository.sums(
            self._reads,
            actor=request.actor,
            workspace_id=request.workspace_id,
            measures=_OPEN,
            people=_with(people, request.subject),
            buckets=Buckets(
                spans={0: [Span(ALL_TIME, None, None)], 1: policy.cover(None, begun)},
                bounds=[None, begun],
                since=None,
                until=None,
                edge=Edge(since=begun, until=reader.now, buckets=[1]),
            ),
        )

        def open_of(person: UUID) -> dict[str, int]:
            amounts, late = found.of(0, person), found.of(1, person)
            return {**amounts, "open": sum(amounts.values()), "overdue": sum(late.values())}

        items = [
            schemas.Workload(person_id=_person(person), **open_of(person))
            for person in people.items
            if found.of(0, person)
        ]
        meta = request.page.meta(people)
        return schemas.WorkloadPage(items=items, meta=meta, total=schemas.Open(**open_of(request.subject)))

    async def _reader(self, request: Request) -> Reader:
        reader = await repository.reader(self._reads, actor=request.actor, workspace_id=request.workspace_id)
        if not reader.is_member:
            raise WorkspaceNotFound
        if reader.is_counting:
            raise ReportsNotReady
        return reader

    async def _people(self, request: Request, by: By, measures: Sequence[str]) -> Slice[UUID]:
        """The people of a page: one by one, those who may have something; none by day."""
        if by is By.DAY:
            return Slice([], None)
        if request.person_id is not None:
            return Slice([request.person_id], None)
        after = request.page.after
        found = await repository.people(
            self._reads,
            actor=request.actor,
            workspace_id=request.workspace_id,
            measures=measures,
            after=EVERYBODY if after is None else after.id,
            at_most=request.page.limit + 1,
        )
        return Slice.of(found, limit=request.page.limit, item=lambda person: person, place=Place)


def _plan(request: Request, query: schemas.DaysQuery, reader: Reader) -> _Plan:
    zone = reader.time_zone if query.time_zone is None else query.time_zone
    today = reader.now.astimezone(ZoneInfo(zone)).date()
    first, last = policy.choose_days(query.from_day, query.to_day, today=today)
    days = policy.local_days(first, last, zone=zone)
    after = None if request.page.after is None else date.fromisoformat(request.page.after.key or "2000-01-01")
    page = Slice.of(
        [each for each in days if after is None or each.day > after][: request.page.limit + 1],
        limit=request.page.limit,
        item=lambda each: each,
        place=lambda each: Place(EVERYBODY, each.day.isoformat()),
    )
    begin, end = (days[0].start, days[-1].end) if days else (reader.now, reader.now)  # a zone leapt over the only day
    return _Plan(begin, end, page, {"by": query.by, "from_day": first, "to_day": last, "time_zone": zone})


def _happened(plan: _Plan, by: By) -> Buckets:
    """What happened on the days of a report: bucket 0, and each day of its page in one of its own."""
    since, until = plan.begin, plan.end
    shown = plan.items.items if by is By.DAY else []
    days = {number: policy.cover(each.start, each.end) for number, each in enumerate(shown, 1)}
    return Buckets(spans={0: policy.cover(since, until), **days}, bounds=_bounds(shown), since=since, until=until)


def _due(plan: _Plan, by: By, reader: Reader) -> Buckets:
    """What was due until now: all of it is bucket 0, and each day of the page has one of its own."""
    begun = policy.quarter(reader.now)
    shown = plan.items.items if by is By.DAY else []
    days = {number: policy.cover(each.start, min(each.end, begun)) for number, each in enumerate(shown, 1)}
    today = [number for number, each in enumerate(shown, 1) if each.start <= begun < each.end]
    return Buckets(
        spans={0: policy.cover(None, begun), **days},
        bounds=_bounds(shown),
        since=None,
        until=begun,
        edge=Edge(since=begun, until=reader.now, buckets=[0, *today]),
    )


def _bounds(days: Sequence[LocalDay]) -> list[Any]:
    return [*(each.start for each in days), *(each.end for each in days[-1:])]


def _with(people: Slice[UUID], subject: UUID) -> list[UUID]:
    return list(dict.fromkeys([*people.items, subject]))


def _person(person: UUID) -> UUID | None:
    return None if person == NOBODY else person


def _durations(spread: Spread | None) -> dict[str, Any]:
    if spread is None:
        return {}
    return {
        "tasks": spread.tasks,
        "mean": spread.total / spread.tasks,
        "median": policy.duration_of(spread.median_bin),
        "p90": policy.duration_of(spread.p90_bin),
    }
