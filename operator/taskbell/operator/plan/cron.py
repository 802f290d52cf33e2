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
        told = f'the schedule "{text}" has {len(fields)} fields; it must have 5: {", ".join(b[0] for b in _BOUNDS)}'
        raise ScheduleNotUnderstood(f"{told}; or be one of {', '.join(_SHORTHANDS)}")
    minutes, hours, days, months, weekdays = (
        _values(field, *bounds) for field, bounds in zip(fields, _BOUNDS, strict=True)
    )
    try:
        zone = ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        told = f'the time zone "{time_zone}" is unknown; give a name of the IANA list, such as Europe/Berlin'
        raise ScheduleNotUnderstood(told) from None
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
    """The numbers of one field.

    Raises:
        ScheduleNotUnderstood: With the part, the field, what is wrong and what is allowed.
    """
    found: set[int] = set()
    allowed = f"allowed is {least} to {most}"
    if names:
        allowed += f", or {' '.join(names).upper()}"

    def number(text: str) -> int:
        if text.lower() in names:
            return names[text.lower()]
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise ScheduleNotUnderstood(f"{field_in_words}: {_quoted(text)} is not a {title}; {allowed}")
        return int(text)

    for part in field.split(","):
        field_in_words = f"{_quoted(part)} in the field {title} of the schedule"
        span, slash, step_text = part.partition("/")
        step = int(step_text) if step_text.isascii() and step_text.isdigit() else 0
        if slash and step < 1:
            raise ScheduleNotUnderstood(f"{field_in_words}: the step after / must be a number from 1")
        if span in {"*", "?"}:
            first, last = least, most
        else:
            low, dash, high = span.partition("-")
            first = number(low)
            last = number(high) if dash else (most if slash else first)
        if last < first:
            told = f"the range begins after its end; write two ranges: {_wrapped(first, last, least, most)}"
            raise ScheduleNotUnderstood(f"{field_in_words}: {told}")
        found.update(range(first, last + 1, step or 1))
    return frozenset(found)


def _quoted(text: str) -> str:
    return f'"{text}"'


def _wrapped(first: int, last: int, least: int, most: int) -> str:
    """A range over the end of a field, as two: 22 to 2 o'clock is `22-23,0-2`."""
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in ((first, most), (least, last)))
