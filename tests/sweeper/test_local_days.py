"""When a digest is due, over all time zones and their changes of the clock."""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskbell.sweeper.local_days import CATCH_UP, due_digest, first_moment

ZONES = sorted(available_timezones())
DAY, TICK, INSTANT = timedelta(days=1), timedelta(minutes=15), timedelta(microseconds=1)
LEAPT_DATES = {  # and the moment at which the date was left out
    ("Pacific/Apia", date(2011, 12, 30)): datetime(2011, 12, 30, 10, tzinfo=UTC),
    ("Pacific/Kwajalein", date(1993, 8, 21)): datetime(1993, 8, 21, 12, tzinfo=UTC),
}
TIMES = [time(0), time(0, 30), time(1, 59, 59), time(2, 30), time(3), time(8), time(23, 30), time(23, 59, 59)]


def _offset(instant, zone):
    return instant.astimezone(ZoneInfo(zone)).utcoffset()


@cache
def changes(zone):
    """The last changes of a zone's clock from 2005 to 2037, both ways: the first moment of the new time."""
    found = {}
    step, here = timedelta(days=20), datetime(2005, 1, 1, tzinfo=UTC)
    while here.year < 2037:
        low, high = here, here + step
        if _offset(low, zone) != _offset(high, zone):
            ahead = _offset(high, zone) > _offset(low, zone)
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) // 2
                low, high = (middle, high) if _offset(middle, zone) == _offset(here, zone) else (low, middle)
            found[ahead] = high.replace(microsecond=0)
        here += step
    moments = [*found.values(), *(moment for (name, _), moment in LEAPT_DATES.items() if name == zone)]
    return moments or [datetime(2026, 6, 15, 12, tzinfo=UTC)]


def shown(instant, zone):
    """What a clock of the zone shows."""
    return instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def test_a_moment_is_the_first_that_shows_the_time_or_a_later_one():
    """In all zones, on the days around a change: just before it the clock shows less, and so all day before."""
    for zone in ZONES:
        for change in changes(zone):
            middle = change.astimezone(ZoneInfo(zone)).date()
            for day in (middle - DAY, middle, middle + DAY):
                for at in TIMES:
                    wanted, moment = datetime.combine(day, at), first_moment(day, at, zone)
                    assert shown(moment, zone) >= wanted > shown(moment - INSTANT, zone), (zone, wanted)
                    assert all(shown(moment - hours * timedelta(hours=1), zone) < wanted for hours in range(1, 30))


@pytest.mark.feature("T14", "P18")
@settings(max_examples=150, deadline=None)
@given(data=st.data(), zone=st.sampled_from(ZONES) | st.sampled_from([zone for zone, _ in LEAPT_DATES]))
def test_every_local_date_has_its_digest_once_and_on_time(data, zone):
    """Sweeps every quarter of an hour around a change find each date that exists, within a quarter of its moment."""
    change = data.draw(st.sampled_from(changes(zone)))
    at = data.draw(st.sampled_from(TIMES) | st.times().map(lambda found: found.replace(microsecond=0)))
    now = change - 3 * DAY + data.draw(st.timedeltas(timedelta(0), TICK))
    first, last = now, change + 3 * DAY
    found = {}
    while now < last:
        if digest := due_digest(now, at=at, zone=zone):
            found.setdefault(digest.day, now)
            assert shown(digest.until, zone).date() > shown(now, zone).date()
            assert shown(digest.until - INSTANT, zone).date() <= shown(now, zone).date()
        now += TICK
    dates = {shown(first + number * TICK, zone).date() for number in range(int((last - first) / TICK))}
    assert set(found) <= dates | {min(dates) - DAY}
    for day in dates:
        moment = first_moment(day, at, zone)
        if first <= moment < last - TICK:
            assert moment <= found[day] < moment + TICK
    assert list(found.values()) == sorted(set(found.values()))


def test_a_time_that_the_clock_skips_is_the_moment_of_the_leap():
    """02:30 does not exist in Berlin on 29 March 2026: the digest is due at 03:00, and once on that day."""
    leap = datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert first_moment(date(2026, 3, 29), time(2, 30), "Europe/Berlin") == leap
    assert due_digest(leap - INSTANT, at=time(2, 30), zone="Europe/Berlin") is None
    assert due_digest(leap, at=time(2, 30), zone="Europe/Berlin").day == date(2026, 3, 29)


@pytest.mark.parametrize("fold", [1, 0], ids=["asked for the second", "asked for either"])
def test_a_time_that_comes_twice_is_due_the_first_time(fold):
    """02:30 comes twice in Berlin on 25 October 2026; both belong to the same date, which has one digest."""
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert first_moment(date(2026, 10, 25), time(2, 30, fold=fold), "Europe/Berlin") == first
    for moment in (first, first + timedelta(hours=1)):
        assert due_digest(moment, at=time(2, 30), zone="Europe/Berlin").day == date(2026, 10, 25)


def test_a_date_that_never_was_has_no_digest():
    """Apia went from 29 to 31 December 2011: each of these has its digest, also one of a minute before midnight."""
    zone, at = "Pacific/Apia", time(23, 59)
    leap = LEAPT_DATES[(zone, date(2011, 12, 30))]
    found = {due_digest(leap + minutes * timedelta(minutes=1), at=at, zone=zone) for minutes in range(-1, 1500)}
    assert {digest.day for digest in found if digest} == {date(2011, 12, 29), date(2011, 12, 31)}


def test_what_was_missed_is_caught_up_the_same_day_and_not_later():
    """Until the local day ends, and at least for two hours; then the next day's is the next."""
    eight = datetime(2026, 6, 15, 8, tzinfo=UTC)
    assert due_digest(eight - INSTANT, at=time(8), zone="UTC") is None
    assert due_digest(eight.replace(hour=23, minute=59), at=time(8), zone="UTC").day == date(2026, 6, 15)
    assert due_digest(eight + timedelta(hours=16), at=time(8), zone="UTC") is None
    late = datetime(2026, 6, 15, 23, 50, tzinfo=UTC)
    assert due_digest(late + CATCH_UP - INSTANT, at=time(23, 50), zone="UTC").day == date(2026, 6, 15)
    assert due_digest(late + CATCH_UP, at=time(23, 50), zone="UTC") is None
