"""Instants as a person writes them: a small exact grammar.

2027-01-31T09:00:00Z                      an instant
2027-01-31 09:00, 2027-01-31              on the clock of this machine
today, tomorrow, fri, friday              a day; of a weekday the next one, today included
tomorrow 9:00, fri 18:00                  a day and a time; of a weekday the next that is still ahead
18:00                                     the next time the clock shows it
in 30m, in 3 hours, in 2 days, in 1 week  from now
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta

FORMS = "such as tomorrow, fri 18:00, in 2 hours, 2027-01-31 or 2027-01-31T09:00Z"
END_OF_DAY = time(23, 59)
"""When something is due that is due on a day."""

_TIME = r"(?P<hour>\d{1,2}):(?P<minute>\d\d)"
_DAY = re.compile(rf"(?P<day>[a-z]+|\d{{4}}-\d\d-\d\d)(?:[ t]\s*{_TIME})?")
_CLOCK = re.compile(_TIME)
_SPAN = re.compile(r"in\s+(?P<count>\d{1,5})\s*(?P<unit>[a-z]+)")
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_UNITS = {"m": "minutes", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SPANS = frozenset(_UNITS.values())


class InstantMisspelt(ValueError):
    """The text is none of the forms."""


def parse(
    text: str,
    *,
    now: datetime,
    of_a_day: time = END_OF_DAY,
    local: Callable[[datetime], datetime] = datetime.astimezone,
) -> datetime:
    """Return the instant that a text means, in UTC.

    Args:
        text: One of the forms above, in upper or lower case.
        now: The present time on the local clock, without a zone.
        of_a_day: The time that stands for a day without one.
        local: Gives a time of the local clock its zone.

    Raises:
        InstantMisspelt: It is none of them, or no such day or time exists.
    """
    words = " ".join(text.lower().split())
    try:
        found = _parsed(words, now=now, of_a_day=of_a_day)
        return (found if found.tzinfo else local(found)).astimezone(UTC)
    except (ValueError, OverflowError) as wrong:
        raise InstantMisspelt(f"not an instant: {text!r}; write one {FORMS}") from wrong


def _parsed(words: str, *, now: datetime, of_a_day: time) -> datetime:
    if span := _SPAN.fullmatch(words):
        return now + _span(int(span["count"]), span["unit"])
    if clock := _CLOCK.fullmatch(words):
        found = datetime.combine(now.date(), _time(clock))
        return found if found > now else found + timedelta(days=1)
    if day := _DAY.fullmatch(words):
        at = of_a_day if day["hour"] is None else _time(day)
        return _on_a_day(day["day"], at, now=now)
    return datetime.fromisoformat(words.upper())


def _on_a_day(name: str, at: time, *, now: datetime) -> datetime:
    today = now.date()
    if name in {"today", "tomorrow"}:
        return datetime.combine(today + timedelta(days=name == "tomorrow"), at)
    weekdays = [number for number, weekday in enumerate(_WEEKDAYS) if name in {weekday, weekday[:3]}]
    if not weekdays:
        return datetime.combine(date.fromisoformat(name), at)
    found = datetime.combine(today + timedelta(days=(weekdays[0] - today.weekday()) % 7), at)
    return found if found > now else found + timedelta(days=7)


def _time(found: re.Match[str]) -> time:
    return time(int(found["hour"]), int(found["minute"]))


def _span(count: int, unit: str) -> timedelta:
    name = _UNITS.get(unit, unit if unit in _SPANS else f"{unit}s")
    if name not in _SPANS:
        raise InstantMisspelt(unit)
    return timedelta(**{name: count})
