"""Reports for members of a workspace. Every number is exact to the moment: sums, and what no sum holds yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from taskbell.api.http.paging import PageRequest, Place, Slice
from taskbell.api.reports import policy, repository, schemas
from taskbell.api.reports.errors import ReportsNotReady
from taskbell.api.reports.policy import ALL_TIME, EVERYBODY, NOBODY, By, LocalDay, Span
from taskbell.api.reports.repository import Buckets, Edge, Reader, Spread
from taskbell.api.workspaces.errors import WorkspaceNotFound
from taskbell.store.reads import Reads

_Item = TypeVar("_Item", bound=schemas.Item)
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

    @property
    def place(self) -> dict[str, UUID]:
        """Who reads where: arguments of every statement."""
        return {"actor": self.actor, "workspace_id": self.workspace_id}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """A report on some days.

    Attributes:
        begin: When the first day begins.
        end: When the last day ends.
        now: The database's time.
        subject: Whose total is told.
        days: The days of the page; none by person.
        people: The people of the page; none by day.
        frame: What the answer tells besides its items and their total.
    """

    begin: datetime
    end: datetime
    now: datetime
    subject: UUID
    days: Sequence[LocalDay]
    people: Sequence[UUID]
    frame: dict[str, Any]

    @property
    def counted(self) -> list[UUID]:
        """Whose amounts are read."""
        return _with(self.people, self.subject)

    def happened(self) -> Buckets:
        """What happened on all the days: bucket 0, and each day of the page in one of its own."""
        since, until = self.begin, self.end
        days = {number: policy.cover(each.start, each.end) for number, each in enumerate(self.days, 1)}
        return Buckets(spans={0: policy.cover(since, until), **days}, bounds=self._bounds(), since=since, until=until)

    def due(self) -> Buckets:
        """What was due until now: all of it is bucket 0, and each day of the page has one of its own."""
        begun = policy.quarter(self.now)
        days = {number: policy.cover(each.start, min(each.end, begun)) for number, each in enumerate(self.days, 1)}
        today = [number for number, each in enumerate(self.days, 1) if each.start <= begun < each.end]
        return Buckets(
            spans={0: policy.cover(None, begun), **days},
            bounds=self._bounds(),
            since=None,
            until=begun,
            edge=Edge(since=begun, until=self.now, buckets=[0, *today]),
        )

    def items(self, kind: type[_Item], amounts: Callable[[int, UUID], Mapping[str, Any]]) -> list[_Item]:
        """An item for each day of the page, or for each of its people who has any of these amounts."""
        by_day = [
            kind(day=each.day, person_id=None, **amounts(number, self.subject))
            for number, each in enumerate(self.days, 1)
        ]
        by_person = [
            kind(day=None, person_id=_person(person), **found)
            for person in self.people
            if (found := amounts(0, person))
        ]
        return by_day + by_person

    def _bounds(self) -> list[datetime]:
        return [*(each.start for each in self.days), *(each.end for each in self.days[-1:])]


class Reports:
    """Reports on behalf of a signed-in user. Every method raises `WorkspaceNotFound`, `ReportsNotReady`."""

    def __init__(self, reads: Reads) -> None:
        """Take what answers reads."""
        self._reads = reads

    async def throughput(self, request: Request, query: schemas.DaysQuery) -> schemas.ThroughputPage:
        """What happened to tasks, by day or person. Raises `RangeInvalid`."""
        plan = await self._plan(request, query, _DONE)
        found = await repository.sums(
            self._reads, **request.place, measures=_DONE, people=plan.counted, buckets=plan.happened()
        )
        total = schemas.Done(**found.of(0, plan.subject))
        return schemas.ThroughputPage(items=plan.items(schemas.Throughput, found.of), total=total, **plan.frame)

    async def cycle_time(self, request: Request, query: schemas.DaysQuery) -> schemas.CycleTimePage:
        """How long completed tasks took, by day or person. Raises `RangeInvalid`."""
        plan = await self._plan(request, query, _DURATION)
        found = await repository.spreads(self._reads, **request.place, people=plan.counted, buckets=plan.happened())

        def durations(bucket: int, person: UUID) -> dict[str, Any]:
            spread = found.get((bucket, person))
            return {} if spread is None else _durations(spread)

        total = schemas.Durations(**durations(0, plan.subject))
        return schemas.CycleTimePage(items=plan.items(schemas.CycleTime, durations), total=total, **plan.frame)

    async def overdue(self, request: Request, query: schemas.DaysQuery) -> schemas.OverduePage:
        """Which open tasks are overdue now, by the day on which they were due, or by person. Raises `RangeInvalid`."""
        plan = await self._plan(request, query, _OPEN)
        found = await repository.sums(
            self._reads, **request.place, measures=_OPEN, people=plan.counted, buckets=plan.due()
        )

        def overdue(bucket: int, person: UUID) -> dict[str, int]:
            amounts = found.of(bucket, person)
            return {"overdue": sum(amounts.values())} if amounts else {}

        total = sum(found.of(0, plan.subject).values())
        return schemas.OverduePage(items=plan.items(schemas.Overdue, overdue), total=total, **plan.frame)

    async def workload(self, request: Request) -> schemas.WorkloadPage:
        """How many open tasks each person has now."""
        reader = await self._reader(request)
        people = await self._people(request, _OPEN)
        begun = policy.quarter(reader.now)
        found = await repository.sums(
            self._reads,
            **request.place,
            measures=_OPEN,
            people=_with(people.items, request.subject),
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
        reader = await repository.reader(self._reads, **request.place)
        if not reader.is_member:
            raise WorkspaceNotFound
        if reader.is_counting:
            raise ReportsNotReady
        return reader

    async def _people(self, request: Request, measures: Sequence[str]) -> Slice[UUID]:
        """The people of a page: those who may have something."""
        if request.person_id is not None:
            return Slice([request.person_id], None)
        after = request.page.after
        found = await repository.people(
            self._reads,
            **request.place,
            measures=measures,
            after=EVERYBODY if after is None else after.id,
            at_most=request.page.limit + 1,
        )
        return Slice.of(found, limit=request.page.limit, item=lambda person: person, place=Place)

    async def _plan(self, request: Request, query: schemas.DaysQuery, measures: Sequence[str]) -> _Plan:
        reader = await self._reader(request)
        zone = reader.time_zone if query.time_zone is None else query.time_zone
        today = reader.now.astimezone(ZoneInfo(zone)).date()
        first, last = policy.choose_days(query.from_day, query.to_day, today=today)
        days = policy.local_days(first, last, zone=zone)
        is_by_day = query.by is By.DAY
        shown: Slice[LocalDay] = _page(days, request.page) if is_by_day else Slice([], None)
        people: Slice[UUID] = Slice([], None) if is_by_day else await self._people(request, measures)
        begin, end = (days[0].start, days[-1].end) if days else (reader.now, reader.now)  # a zone leapt over it all
        meta = request.page.meta(shown) if is_by_day else request.page.meta(people)
        return _Plan(
            begin=begin,
            end=end,
            now=reader.now,
            subject=request.subject,
            days=shown.items,
            people=people.items,
            frame={"by": query.by, "from_day": first, "to_day": last, "time_zone": zone, "meta": meta},
        )


def _page(days: Sequence[LocalDay], page: PageRequest) -> Slice[LocalDay]:
    after = date.min if page.after is None else date.fromisoformat(page.after.key or "2000-01-01")
    return Slice.of(
        [each for each in days if each.day > after][: page.limit + 1],
        limit=page.limit,
        item=lambda each: each,
        place=lambda each: Place(EVERYBODY, each.day.isoformat()),
    )


def _with(people: Sequence[UUID], subject: UUID) -> list[UUID]:
    return list(dict.fromkeys([*people, subject]))


def _person(person: UUID) -> UUID | None:
    return None if person == NOBODY else person


def _durations(spread: Spread) -> dict[str, Any]:
    return {
        "tasks": spread.tasks,
        "mean": spread.total / spread.tasks,
        "median": policy.duration_of(spread.median_bin),
        "p90": policy.duration_of(spread.p90_bin),
    }
