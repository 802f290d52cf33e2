"""Quiet hours, by the wall clock of each time zone."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import available_timezones

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from taskbell.delivery.quiet import QuietHours, is_quiet, quiet_until, zone_of

pytestmark = pytest.mark.feature("T15")

_ZONES = sorted(available_timezones() - {"localtime"})
_INSTANTS = st.integers(100_000, 2_145_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
_NEW_YORK = "America/New_York"


def _utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@st.composite
def _near_a_change(draw):
    """An instant within two days of a change of a zone's offset, and that zone."""
    zone = draw(st.sampled_from(_ZONES))
    instant = draw(_INSTANTS)
    local = zone_of(zone)
    offset = instant.astimezone(local).utcoffset()
    for days in range(400):
        later = instant + timedelta(days=days)
        if later.astimezone(local).utcoffset() != offset:
            return zone, later - timedelta(minutes=draw(st.integers(0, 2 * 24 * 60)))
    return zone, instant


@settings(max_examples=500, deadline=None)
@given(
    place=st.one_of(st.tuples(st.sampled_from(_ZONES), _INSTANTS), _near_a_change()),
    begin=st.times(),
    end=st.times(),
)
@example(place=(_NEW_YORK, _utc("2026-03-08T06:30")), begin=time(1), end=time(2, 30))  # the end is in the gap
@example(place=(_NEW_YORK, _utc("2026-11-01T05:10")), begin=time(1, 5), end=time(1, 30))  # the hours come twice
@example(place=("Pacific/Apia", _utc("2011-12-30T09:30")), begin=time(22), end=time(7))  # a day that did not exist
def test_an_alert_waits_for_the_first_instant_outside(place, begin, end):
    """In any zone, near any change: it is never sent inside, never lost, and not a second later than needed."""
    zone, now = place
    if begin == end:
        return
    local = zone_of(zone)

    def inside(instant):
        return is_quiet(instant.astimezone(local).time(), begin, end)

    until = quiet_until(now, zone, begin, end)
    if until is None:
        assert not inside(now)
        return
    assert inside(now)
    assert now < until <= now + timedelta(hours=51)  # a day that comes twice and one that has no end
    assert not inside(until)
    assert inside(until - timedelta(microseconds=1))
    at = now
    while at < until:
        assert inside(at)
        at += timedelta(minutes=13)


@pytest.mark.parametrize(
    ("zone", "now", "begin", "end", "until"),
    [
        ("UTC", "2026-11-22T21:59:59", time(22), time(7), None),
        ("UTC", "2026-11-22T22:00", time(22), time(7), "2026-11-23T07:00"),
        ("UTC", "2026-11-23T06:59:59.9", time(22), time(7), "2026-11-23T07:00"),
        ("UTC", "2026-11-23T07:00", time(22), time(7), None),
        ("UTC", "2026-11-23T13:00", time(12, 30), time(13, 30), "2026-11-23T13:30"),
        ("Asia/Kathmandu", "2026-11-22T18:00", time(22), time(7), "2026-11-23T01:15"),
        # New York, 8 March: 02:00 becomes 03:00. The end would be in the gap.
        (_NEW_YORK, "2026-03-08T05:00", time(22), time(2, 30), "2026-03-08T07:00"),
        (_NEW_YORK, "2026-03-08T05:00", time(22), time(7), "2026-03-08T11:00"),
        # The gap is inside the quiet hours, which end as the wall clock says.
        (_NEW_YORK, "2026-03-08T06:59", time(1), time(3, 10), "2026-03-08T07:10"),
        # 1 November: 02:00 becomes 01:00. The end comes twice, the first time counts.
        (_NEW_YORK, "2026-11-01T04:00", time(22), time(1, 30), "2026-11-01T05:30"),
        (_NEW_YORK, "2026-11-01T04:00", time(22), time(7), "2026-11-01T12:00"),
        # The clock is put back to before the begin: it is not quiet any more.
        (_NEW_YORK, "2026-11-01T05:45", time(1, 30), time(7), "2026-11-01T06:00"),
        (_NEW_YORK, "2026-11-01T06:30", time(1, 30), time(7), "2026-11-01T12:00"),
        ("Nowhere/Never", "2026-11-22T23:00", time(22), time(7), "2026-11-23T07:00"),
        ("", "2026-11-22T23:00", time(22), time(7), "2026-11-23T07:00"),
        ("../../etc/passwd", "2026-11-22T23:00", time(22), time(7), "2026-11-23T07:00"),
        ("America", "2026-11-22T23:00", time(22), time(7), "2026-11-23T07:00"),
    ],
)
def test_known_nights(zone, now, begin, end, until):
    """Edges of a day, of midnight and of daylight saving time; an unknown zone is UTC."""
    hours = QuietHours(zone=zone, begin=begin, end=end)
    assert hours.until(_utc(now)) == (None if until is None else _utc(until))
