"""Times as readers see them."""

from datetime import UTC, datetime
from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskbell.delivery.times import told_body, told_time

pytestmark = pytest.mark.feature("P17", "T11")

_ZONES = st.sampled_from(sorted(available_timezones()))


@pytest.mark.parametrize(
    ("zone", "told"),
    [
        ("Europe/Berlin", "2026-11-21 08:30 Europe/Berlin"),
        ("Asia/Kathmandu", "2026-11-21 13:15 Asia/Kathmandu"),
        ("America/Los_Angeles", "2026-11-20 23:30 America/Los_Angeles"),
        ("UTC", "2026-11-21 07:30 UTC"),
        ("Mars/Olympus", "2026-11-21 07:30 UTC"),
        ("../../etc/passwd", "2026-11-21 07:30 UTC"),
    ],
)
def test_a_reader_sees_the_own_clock(zone, told):
    """A time is told on the clock of the zone, by its name; a zone that nobody knows is UTC."""
    assert told_time(datetime(2026, 11, 21, 7, 30, 59, tzinfo=UTC), zone) == told


@pytest.mark.parametrize(("hour", "offset"), [(0, "+02:00"), (1, "+01:00")])
def test_an_hour_that_comes_twice_is_told_with_its_offset(hour, offset):
    """When the clock is put back, the same minute comes twice; the two differ."""
    told = told_time(datetime(2026, 10, 25, hour, 30, tzinfo=UTC), "Europe/Berlin")
    assert told == f"2026-10-25 02:30 Europe/Berlin (UTC{offset})"


@pytest.mark.parametrize("words", ["Due at", "Was due at", "Status in_progress since"])
@pytest.mark.parametrize("written", ["2026-11-21 07:30 UTC", "2026-11-21T07:30:00.000000Z"])
def test_bodies_of_the_platform_are_told_in_the_zone(words, written):
    """The time of a body becomes the reader's, in the present form and in that of older notifications."""
    assert told_body(f"{words} {written}", "Europe/Berlin") == f"{words} 2026-11-21 08:30 Europe/Berlin"


@pytest.mark.parametrize(
    "body",
    [
        "",
        "Assigned to you",
        "Due at 2026-11-21 07:30 UTC, please",
        "See you: Due at 2026-11-21 07:30 UTC",
        "Due at 2026-13-45 07:30 UTC",
        "Due at 2026-11-21 07:30",
    ],
)
def test_what_people_write_is_left_as_it_is(body):
    """A text that only contains a time, or no time at all, is not changed."""
    assert told_body(body, "Europe/Berlin") == body


@given(st.datetimes(timezones=st.just(UTC)), _ZONES)
def test_every_instant_can_be_told(instant, zone):
    """Whatever the time and the zone, there is one line with a date and minutes."""
    assert told_time(instant, zone)[:16] >= "0001-01-01 00:00"


@given(st.text(max_size=100), _ZONES)
def test_every_body_can_be_told(body, zone):
    """No text fails."""
    assert isinstance(told_body(body, zone), str)
