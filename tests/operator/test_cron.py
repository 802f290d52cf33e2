import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskbell.operator.plan.cron import ScheduleNotUnderstood, parse


def _next(text, after, zone="Etc/UTC"):
    found = parse(text, zone).after(datetime.fromisoformat(after))
    return found and found.isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("text", "after", "zone", "expected"),
    [
        ("* * * * *", "2026-11-20T10:00:00Z", "Etc/UTC", "2026-11-20T10:01:00Z"),
        ("*/15 9-17 * * mon-fri", "2026-11-20T17:46:00Z", "Etc/UTC", "2026-11-23T09:00:00Z"),
        ("0 0 29 2 *", "2026-01-01T00:00:00Z", "Etc/UTC", "2028-02-29T00:00:00Z"),
        ("0 0 13 * 5", "2026-11-14T00:00:00Z", "Etc/UTC", "2026-11-20T00:00:00Z"),
        ("5/20 * * * *", "2026-11-20T10:26:00Z", "Etc/UTC", "2026-11-20T10:45:00Z"),
        ("@daily", "2026-11-20T10:00:00Z", "Asia/Kolkata", "2026-11-20T18:30:00Z"),
        ("30 2 * * *", "2026-03-28T12:00:00Z", "Europe/Berlin", "2026-03-30T00:30:00Z"),
        ("30 2 * * *", "2026-10-25T00:30:00Z", "Europe/Berlin", "2026-10-25T01:30:00Z"),
    ],
)
def test_next_times(text, after, zone, expected):
    """Fields, names, steps, either day, shorthands, time zones, and hours that daylight saving skips or repeats."""
    assert _next(text, after, zone) == expected


@pytest.mark.parametrize("text", ["0 0 30 2 *", "0 0 31 4 *"])
def test_a_time_that_never_comes(text):
    """A date that does not exist has no next time, and the search for it ends."""
    assert _next(text, "2026-11-20T10:00:00Z") is None


@pytest.mark.parametrize(
    "text", ["61 * * * *", "* * * *", "*/0 * * * *", "5-1 * * * *", "a * * * *", "* * * foo *", "² * * * *"]
)
def test_malformed_schedules(text):
    """Malformed fields are refused."""
    with pytest.raises(ScheduleNotUnderstood):
        parse(text, "Etc/UTC")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0 22-2 * * *", "hour of the schedule: the range begins after its end; write two ranges: 22-23,0-2"),
        ("*/0 * * * *", "minute of the schedule: the step after / must be a number from 1"),
        ("61 * * * *", '"61" is not a minute; allowed is 0 to 59'),
        ("* * * * fry", '"fry" is not a day of week; allowed is 0 to 6, or SUN MON TUE WED THU FRI SAT'),
        ("* * * *", "has 4 fields; it must have 5: minute, hour, day of month, month, day of week"),
    ],
)
def test_a_refused_schedule_is_told_what_is_allowed(text, words):
    """The words name the field, what was given, what is wrong and what is allowed."""
    with pytest.raises(ScheduleNotUnderstood) as refused:
        parse(text, "Etc/UTC")
    assert words in str(refused.value)


def test_unknown_time_zones():
    """An unknown time zone and a path are refused."""
    for zone in ("Mars/Olympus", "../etc/passwd", ""):
        with pytest.raises(ScheduleNotUnderstood):
            parse("* * * * *", zone)


_minutes = st.integers(0, 59)


@given(
    st.lists(_minutes, min_size=1, max_size=5),
    st.integers(0, 23),
    st.integers(1_770_000_000, 1_900_000_000),
)
def test_a_next_time_is_after_and_fits(minutes, hour, moment):
    """The next time is later than the given moment, within a day, and no earlier time matches."""
    moment = datetime.fromtimestamp(moment, UTC)
    found = parse(f"{','.join(map(str, minutes))} {hour} * * *", "Etc/UTC").after(moment)
    assert moment < found <= moment + timedelta(days=1)
    assert (found.minute in minutes, found.hour, found.second) == (True, hour, 0)
    candidate = (moment + timedelta(minutes=1)).replace(second=0, microsecond=0)
    while candidate < found:
        assert not (candidate.hour == hour and candidate.minute in minutes)
        candidate += timedelta(minutes=1)


@given(st.text(max_size=30))
def test_any_text_is_a_schedule_or_refused(text):
    """Any text is a schedule or raises `ScheduleNotUnderstood`."""
    with contextlib.suppress(ScheduleNotUnderstood):
        parse(text, "Etc/UTC")
