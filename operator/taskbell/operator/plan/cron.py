"""Cron schedules as Kubernetes reads them: five fields with names, ranges and steps, in a time zone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_SHORTHANDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = {
    name: number
    for number, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1
    )
}
_DAYS = {name: number for number, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
_BOUNDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 6, _DAYS),
)
YEARS_AHEAD = 5
"""How far a next time is looked for; a schedule such as February 30 has none."""


class ScheduleNotUnderstood(ValueError):
    """The text is not a cron schedule, or the time zone is unknown."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A parsed schedule.

    If neither day field is a `*` (`any_day`, `any_weekday`), a day that matches one of both is enough. A `*` with a
    step, such as `*/2`, counts as a list of days, as in the library that Kubernetes uses.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    any_weekday: bool
    zone: ZoneInfo

    def on(self, day: date) -> bool:
        """Whether the schedule has times on a date."""
        by_day, by_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        matches = by_day and by_weekday if self.any_day or self.any_weekday else by_day or by_weekday
        return matches and day.month in self.months

    def after(self, moment: datetime) -> datetime | None:
        """The first time after an instant, in UTC; None if there is none within the next years.

        A local time that daylight saving skips does not occur; one that it repeats occurs twice.
        """
        local = moment.astimezone(self.zone).date()
        for ahead in range(YEARS_AHEAD * 366):
            day = local + timedelta(days=ahead)
            if self.on(day):
                found = next((at for at in self._instants(day) if at > moment), None)
                if found is not None:
                    return found
        return None

    def _instants(self, day: date) -> Iterator[datetime]:
        """The times on a local date, in order."""
        start = datetime(day.year, day.month, day.day, tzinfo=self.zone).astimezone(UTC)
        for minute in range(25 * 60):
            at = start + timedelta(minutes=minute)
            local = at.astimezone(self.zone)
            if local.date() == day and local.hour in self.hours and local.minute in self.minutes:
                yield at


def parse(text: str, time_zone: str) -> Schedule:
    """Read a schedule.

    Raises:
        ScheduleNotUnderstood: A field is not a number or out of bounds, or the time zone is unknown.
    """
    fields = _SHORTHANDS.get(text, text).split()
    if len(fields) != len(_BOUNDS):
        raise ScheduleNotUnderstood(f"{text!r} has {len(fields)} fields, not 5")
    minutes, hours, days, months, weekdays = (
        _values(field, *bounds) for field, bounds in zip(fields, _BOUNDS, strict=True)
    )
    try:
        zone = ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ScheduleNotUnderstood(f"unknown time zone {time_zone!r}") from None
    return Schedule(
        minutes=minutes,
        hours=hours,
        days=days,
        months=months,
        weekdays=weekdays,
        any_day=_is_any(fields[2]),
        any_weekday=_is_any(fields[4]),
        zone=zone,
    )


def _is_any(field: str) -> bool:
    return any(part in {"*", "?", "*/1", "?/1"} for part in field.split(","))


def _values(field: str, title: str, least: int, most: int, names: dict[str, int]) -> frozenset[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, slash, step_text = part.partition("/")
        try:
            step = _number(step_text, {}) if slash else 1
            if span in {"*", "?"}:
                first, last = least, most
            else:
                low, dash, high = span.partition("-")
                first = _number(low, names)
                last = _number(high, names) if dash else (most if slash else first)
        except ValueError:
            raise ScheduleNotUnderstood(f"{part!r} is not a {title}") from None
        if not (least <= first <= last <= most) or step < 1:
            raise ScheduleNotUnderstood(f"{part!r} is out of bounds for the {title} ({least} to {most})")
        found.update(range(first, last + 1, step))
    return frozenset(found)


def _number(text: str, names: dict[str, int]) -> int:
    if text.lower() in names:
        return names[text.lower()]
    if not (text.isascii() and text.isdigit()):
        raise ValueError(text)
    return int(text)
