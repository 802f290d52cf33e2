"""Which days a report tells of, and which sums cover them."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from histories import span
from taskbell.api.reports import policy
from taskbell.api.reports.errors import RangeInvalid

_QUARTERS = st.integers(0, 200_000).map(
    lambda number: datetime(2024, 1, 1, tzinfo=UTC) + number * timedelta(minutes=15)
)


@given(first=_QUARTERS, second=_QUARTERS)
def test_spans_cover_a_time_once(first, second):
    """They follow each other without gap and overlap, are few, and begin and end at multiples of their length."""
    start, end = sorted((first, second))
    spans = policy.cover(start, end)
    edges = [start, *(each.start for each in spans[1:]), end] if spans else [start, end]
    assert all(one.end == other.start for one, other in pairwise(spans))
    assert not spans or (spans[0].start, spans[-1].end) == (start, end)
    assert spans or start == end
    assert edges == sorted(edges)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    for each in spans:
        width = timedelta(minutes=each.grain)
        assert not (each.start - epoch) % width
        assert not (each.end - epoch) % width
    rows = sum((each.end - each.start) // timedelta(minutes=each.grain) for each in spans)
    assert rows <= 2 * (12 + 8 + 16) + (end - start).days // 16


@given(end=_QUARTERS)
def test_the_past_is_covered_from_its_beginning(end):
    """The longest spans have no first one, and shorter ones end where the time ends."""
    spans = policy.cover(None, end)
    assert (spans[0].start, spans[-1].end) == (None, end)
    assert all(one.end == other.start for one, other in pairwise(spans))


def test_days_of_every_time_zone_begin_at_a_quarter_of_an_hour():
    """For all zones and days of two years: days follow each other, none is lost, and no start had to be rounded."""
    for name in sorted(available_timezones() - {"localtime", "Factory"}):
        zone = ZoneInfo(name)
        days = policy.local_days(date(2026, 1, 1), date(2027, 12, 31), zone=name)
        assert len(days) == 730
        assert all(one.end == other.start for one, other in pairwise(days))
        for each in days:
            assert each.start.minute % 15 == each.start.second == 0
            assert each.start.astimezone(zone).date() == each.day
            assert (each.start - timedelta(seconds=1)).astimezone(zone).date() < each.day


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("Europe/Berlin", date(2026, 3, 29)),
        ("Europe/Berlin", date(2026, 10, 25)),
        ("America/Santiago", date(2026, 9, 6)),  # midnight is leapt over
        ("Australia/Lord_Howe", date(2026, 4, 5)),  # half an hour
        ("Asia/Kathmandu", date(2026, 1, 1)),
        ("Africa/Cairo", date(2026, 10, 29)),  # the hour before midnight comes twice
    ],
)
def test_a_day_is_the_time_in_which_a_clock_shows_it(zone, day):
    """The same as by asking the clock of the zone every minute, also when it is changed."""
    (found,) = policy.local_days(day, day, zone=zone)
    assert (found.start, found.end) == span(day, ZoneInfo(zone))


def test_a_date_that_a_zone_leapt_over_is_no_day():
    """Samoa had no 30 December 2011."""
    days = policy.local_days(date(2011, 12, 29), date(2011, 12, 31), zone="Pacific/Apia")
    assert [each.day.day for each in days] == [29, 31]


def test_which_days_are_reported():
    """Thirty that end today or where the client says; from a first day on until today; at most 366, in order."""
    today = date(2026, 11, 22)
    assert policy.choose_days(None, None, today=today) == (date(2026, 10, 24), today)
    assert policy.choose_days(None, date(2026, 1, 31), today=today) == (date(2026, 1, 2), date(2026, 1, 31))
    assert policy.choose_days(date(2026, 1, 1), None, today=today) == (date(2026, 1, 1), today)
    assert policy.choose_days(date(2020, 1, 1), None, today=today) == (date(2020, 1, 1), date(2020, 12, 31))
    assert policy.choose_days(date(2027, 1, 1), None, today=today) == (date(2027, 1, 1), date(2027, 1, 1))
    with pytest.raises(RangeInvalid):
        policy.choose_days(date(2024, 1, 1), date(2025, 1, 1), today=today)
    with pytest.raises(RangeInvalid):
        policy.choose_days(date(2026, 1, 2), date(2026, 1, 1), today=today)


@given(millis=st.integers(1, 10**12))
def test_a_bin_stands_for_its_durations(millis):
    """Its duration is off by 5 % at most."""
    number = 0
    while 1.1 ** (number + 1) <= millis:
        number += 1
    told = policy.duration_of(number) / timedelta(milliseconds=1)
    assert abs(told - millis) <= 0.05 * millis + 1
