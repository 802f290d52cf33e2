"""Decisions of a sweep, from plain values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from taskbell.contract.crd_schema import seconds
from taskbell.contract.notices import Kind

LONGEST_PAUSE = 1.0
"""Seconds between two looks at most: a reminder that is planned meanwhile waits no longer."""
SHORTEST_PAUSE = 0.001
_SPAN = re.compile(r"\A\+(\d{1,5})([smh])\Z", re.ASCII)
_SHARD = re.compile(r"\A(\d{1,4})/(\d{1,4})\Z", re.ASCII)
_LEAD = re.compile(r"\A(?=.{2,20}\Z)(\d+h)?(\d+m)?(\d+s)?\Z", re.ASCII)
_LONGEST_LEAD = 8760 * 3600
_DAY = timedelta(days=1)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours"}


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of all tasks: those whose hash leaves `number` (from 0 on) when divided by `count`."""

    number: int = 0
    count: int = 1


@dataclass(frozen=True, slots=True)
class Part:
    """The reminders that one sweep fires.

    Attributes:
        shard: Only those of the tasks in this shard.
        leads: Only those that fire so long before the due time; empty: all.
        kind: Only those that become notifications of this kind: `due_soon` or `overdue`.
    """

    shard: Shard = Shard()
    leads: tuple[timedelta, ...] = ()
    kind: Kind = Kind.DUE_SOON


def parse_shard(text: str) -> Shard:
    """Read `i/n`, where `i` counts from 0 as Kubernetes' `JOB_COMPLETION_INDEX` does.

    Raises:
        ValueError: It has another form, or `i` is not below `n`.
    """
    match = _SHARD.match(text)
    if match is None or not int(match[1]) < int(match[2]):
        raise ValueError(f"a shard is written i/n, with i from 0 to n-1: {text}")
    return Shard(number=int(match[1]), count=int(match[2]))


def parse_span(text: str) -> timedelta:
    """Read how long a sweep stays: `+60s`, `+5m`, `+1h`.

    Raises:
        ValueError: It has another form.
    """
    match = _SPAN.match(text)
    if match is None:
        raise ValueError(f"a span is written +60s, +5m or +1h: {text}")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def parse_lead(text: str) -> timedelta:
    """Read how long before the due time a reminder fires: `24h`, `1h30m`, `0s`; at most 8760h.

    Raises:
        ValueError: It has another form, or is longer.
    """
    if not _LEAD.match(text) or seconds(text) > _LONGEST_LEAD:
        raise ValueError(f"a lead is written 24h, 1h30m or 0s, and is at most 8760h: {text}")
    return timedelta(seconds=seconds(text))


def pause(*, next_in: float | None, left: float) -> float:
    """Seconds to wait when nothing is due: until the next reminder fires, at most a second, not past the end.

    Args:
        next_in: Seconds until the next reminder known, None when there is none.
        left: Seconds until the sweep ends.
    """
    wanted = LONGEST_PAUSE if next_in is None else min(next_in, LONGEST_PAUSE)
    return max(SHORTEST_PAUSE, min(wanted, left))


def span_to_check(
    now: datetime, *, counted_from: datetime, checked_until: datetime | None, retention: timedelta
) -> tuple[datetime, datetime]:
    """Which days (UTC) the sums of reports are compared with events of: from the first to the end of the last.

    All events of them are kept: a day begins after those that retention may have dropped, and after the time from
    which on events were counted. A day that was checked is checked once more, because it had not ended then. If no
    day is whole, the two are the same.
    """
    today = datetime.combine(now.astimezone(UTC).date(), time(), UTC)
    kept = _next_day(max(counted_from, now - retention))
    since = kept if checked_until is None else max(kept, checked_until - 2 * _DAY)
    return min(since, today + _DAY), today + _DAY


def _next_day(instant: datetime) -> datetime:
    """The first midnight (UTC) that is not before an instant."""
    midnight = datetime.combine(instant.astimezone(UTC).date(), time(), UTC)
    return midnight if midnight == instant else midnight + _DAY
