"""When a daily digest is due, by the user's own calendar and clock. Pure decisions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

CATCH_UP = timedelta(hours=2)
"""A digest that was missed is caught up until its local day ends, and at least so long: one of 23:55 needs it."""
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DueDigest:
    """A digest that is due.

    Attributes:
        day: The local date that it belongs to: each has one digest at most.
        until: The end of the local day that it tells of, in UTC.
    """

    day: date
    until: datetime


def due_digest(now: datetime, *, at: time, zone: str) -> DueDigest | None:
    """The digest that is due now; None if its time has not come, or is past.

    Args:
        now: The time, with a zone.
        at: The local time that the user chose.
        zone: A name of the IANA time zone database.

    Raises:
        ZoneInfoNotFoundError: There is no such zone.
    """
    today = now.astimezone(ZoneInfo(zone)).date()
    for day in (today, today - _DAY, today - 2 * _DAY):  # yesterday may not have been: zones have leapt over a date
        if not _exists(day, zone):
            continue
        moment = first_moment(day, at, zone)
        ends = max(first_moment(day + _DAY, time(), zone), moment + CATCH_UP)
        if moment <= now < ends:
            return DueDigest(day, first_moment(today + _DAY, time(), zone))
    return None


@lru_cache(maxsize=4096)
def first_moment(day: date, at: time, zone: str) -> datetime:
    """When a clock of this zone first shows a local time, in UTC.

    A time that the clock skips is the moment of the leap: the next one that exists. One that comes twice is the first.
    """
    there = ZoneInfo(zone)
    # fold=0: of two the first; of none by the offset before the leap (PEP 495)
    local = datetime.combine(day, at.replace(fold=0), there)
    moment = local.astimezone(UTC)
    if moment.astimezone(there).replace(tzinfo=None) == local.replace(tzinfo=None):
        return moment
    before, after = local.replace(fold=1).astimezone(UTC), moment  # around the leap, at most a day apart
    old = before.astimezone(there).utcoffset()
    low, high = 0, (after - before) // _SECOND
    while high - low > 1:
        middle = (low + high) // 2
        if (before + middle * _SECOND).astimezone(there).utcoffset() == old:
            low = middle
        else:
            high = middle
    return before.replace(microsecond=0) + high * _SECOND


def _exists(day: date, zone: str) -> bool:
    """Whether the zone has this date: some have leapt over one."""
    return first_moment(day, time(), zone).astimezone(ZoneInfo(zone)).date() == day
