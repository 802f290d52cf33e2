"""Which days a report tells of, which sums cover them, and what a bin of durations means. Pure decisions.

Sums are kept of spans of several lengths, all multiples since 1970 in UTC. A local day of any time zone begins at a
quarter of an hour, so it is covered by a few long spans with short ones at its ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from itertools import pairwise
from uuid import UUID
from zoneinfo import ZoneInfo

from taskbell.api.reports.errors import RangeInvalid
from taskbell.contract.problems import FieldError

MOST_DAYS = 366
USUAL_DAYS = 30
EVERYBODY = UUID(int=0)
NOBODY = UUID(int=2**128 - 1)
"""Stands for the assignee of a task that has none."""
ALL_TIME = 0
_QUARTER, _COARSEST = 15, 23040
_GRAINS = (_COARSEST, 1440, 180, _QUARTER)
"""Minutes of a span: 16 days, a day, three hours, a quarter of an hour."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = timedelta(minutes=1)
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)
_GROWTH = 1.1


class By(StrEnum):
    """What a report has an item for."""

    DAY = "day"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Span:
    """Sums to add: those of spans of `grain` minutes that begin in [start, end). A start of None is the beginning."""

    grain: int
    start: datetime | None
    end: datetime | None


@dataclass(frozen=True, slots=True)
class LocalDay:
    """A day on the clock of a time zone: from `start` to `end`, in UTC."""

    day: date
    start: datetime
    end: datetime


def choose_days(first: date | None, last: date | None, *, today: date) -> tuple[date, date]:
    """The first and the last day of a report: 30 days that end today, unless the client names some.

    Raises:
        RangeInvalid: They are in the wrong order, or more than a report may have.
    """
    if last is None:
        last = today if first is None else min(max(today, first), first + (MOST_DAYS - 1) * _DAY)
    if first is None:
        first = last - (USUAL_DAYS - 1) * _DAY
    if first > last:
        raise RangeInvalid(errors=(FieldError("?to", "range_reversed", "to must not lie before from"),))
    if (last - first).days >= MOST_DAYS:
        raise RangeInvalid(errors=(FieldError("?from", "range_too_long", f"at most {MOST_DAYS} days"),))
    return first, last


def local_days(first: date, last: date, *, zone: str) -> list[LocalDay]:
    """The days from the first to the last, without those that the zone has leapt over."""
    there = ZoneInfo(zone)
    starts = [start_of_day(first + number * _DAY, there) for number in range((last - first).days + 2)]
    pairs = enumerate(pairwise(starts))
    return [LocalDay(first + number * _DAY, start, end) for number, (start, end) in pairs if start < end]


def start_of_day(day: date, there: ZoneInfo) -> datetime:
    """When a clock of this zone first shows midnight or, if it leaps over midnight, a time after it; in UTC.

    It is a multiple of 15 minutes, because all offsets and leaps of our time are; an older one is rounded down.
    """
    local = datetime.combine(day, time(), there)  # fold=0: of two midnights the first
    moment = local.astimezone(UTC)
    if moment.astimezone(there).replace(tzinfo=None) != local.replace(tzinfo=None):
        moment = _end_of_leap(local.replace(fold=1).astimezone(UTC), moment, there)
    return _floor(moment, _QUARTER)


def _end_of_leap(before: datetime, after: datetime, there: ZoneInfo) -> datetime:
    """The first second of the new offset: `before` has the old one, `after` the new one, a day apart at most."""
    old = before.astimezone(there).utcoffset()
    low, high = 0, (after - before) // _SECOND
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (
            (middle, high) if (before + middle * _SECOND).astimezone(there).utcoffset() == old else (low, middle)
        )
    return before + high * _SECOND


def cover(start: datetime | None, end: datetime, *, grains: tuple[int, ...] = _GRAINS) -> list[Span]:
    """The fewest spans that are together the time from `start` (None: the beginning) to `end`: quarters of an hour."""
    grain, *finer = grains
    if not finer:
        return [Span(grain, start, end)] if start is None or start < end else []
    inner, outer = None if start is None else _ceiling(start, grain), _floor(end, grain)
    rest = tuple(finer)
    if start is None or inner is None:
        return [Span(grain, None, outer), *cover(outer, end, grains=rest)]
    if inner >= outer:
        return cover(start, end, grains=rest)
    return [*cover(start, inner, grains=rest), Span(grain, inner, outer), *cover(outer, end, grains=rest)]


def quarter(instant: datetime) -> datetime:
    """When the quarter of an hour began in which an instant lies."""
    return _floor(instant, _QUARTER)


def duration_of(bin_number: int) -> timedelta:
    """The duration that stands for a bin: it is off by 5 % of any duration in it at most, or by a millisecond."""
    return timedelta(milliseconds=round(_GROWTH ** (bin_number + 0.5)))


def _floor(instant: datetime, grain: int) -> datetime:
    return instant - (instant - _EPOCH) % (grain * _MINUTE)


def _ceiling(instant: datetime, grain: int) -> datetime:
    return instant + (_EPOCH - instant) % (grain * _MINUTE)
