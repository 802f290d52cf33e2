"""Decides until when an alert waits for the end of its reader's quiet hours. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_DAY = timedelta(days=1)
_STEP = timedelta(hours=1)
_SECOND = timedelta(seconds=1)
_MOST_CHANGES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """A user's quiet hours.

    Attributes:
        zone: IANA time zone; an unknown one is UTC.
        begin: Local time at which they begin.
        end: Local time at which they end; before `begin` they span midnight.
    """

    zone: str
    begin: time
    end: time

    def until(self, now: datetime) -> datetime | None:
        """Return when the quiet hours that hold now are over; None outside them."""
        return quiet_until(now, self.zone, self.begin, self.end)


def quiet_until(now: datetime, zone: str, begin: time, end: time) -> datetime | None:
    """Return the first instant (UTC) after `now` that is outside the quiet hours; None if `now` is.

    The user's wall clock decides alone, also where it jumps: if the end falls into a gap, the quiet hours are over at
    the jump; if the clock is put back to before their begin, they are over until they begin again.

    Args:
        now: With a time zone.
        zone: The user's IANA time zone; an unknown one is UTC.
        begin: Local time, the first of the quiet hours.
        end: Local time, the first after them; if it is before `begin`, they span midnight.
    """
    local = zone_of(zone)
    instant = now.astimezone(UTC)
    if not is_quiet(instant.astimezone(local).time(), begin, end):
        return None
    for _ in range(_MOST_CHANGES):
        wall = instant.astimezone(local)
        left = (_of_day(end) - _of_day(wall.time())) % _DAY
        change = _next_change(instant, instant + left, local)
        if change is None:
            return instant + left
        instant = change
        if not is_quiet(instant.astimezone(local).time(), begin, end):
            return instant
    return instant  # no zone changes so often within a few days


def is_quiet(wall: time, begin: time, end: time) -> bool:
    """Tell whether a wall clock shows a time within quiet hours."""
    return begin <= wall < end if begin < end else wall >= begin or wall < end


@lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo:
    """Return the time zone of this name, or UTC if there is none."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # `ZoneInfoNotFoundError` is a KeyError; a folder's name is an OSError
        return ZoneInfo("UTC")


def _next_change(after: datetime, until: datetime, zone: ZoneInfo) -> datetime | None:
    """Return the first instant in (after, until] at which the zone's offset is another one than before it."""
    offset, low = after.astimezone(zone).utcoffset(), after
    while low < until:
        high = min(low + _STEP, until)
        if high.astimezone(zone).utcoffset() != offset:
            low = low.replace(microsecond=0)
            while high - low > _SECOND:  # changes are at whole seconds
                middle = low + timedelta(seconds=(high - low) // _SECOND // 2 or 1)
                if middle.astimezone(zone).utcoffset() == offset:
                    low = middle
                else:
                    high = middle
            return high
        low = high
    return None


def _of_day(wall: time) -> timedelta:
    return timedelta(hours=wall.hour, minutes=wall.minute, seconds=wall.second, microseconds=wall.microsecond)
