"""Instants as people write them."""

from datetime import UTC, datetime, time
from functools import partial
from zoneinfo import ZoneInfo

import pytest

from taskbell.terminal.instants import InstantMisspelt, parse

_BERLIN = ZoneInfo("Europe/Berlin")
_NOW = datetime(2027, 3, 26, 15, 30)  # noqa: DTZ001 -- a Friday; clocks change on Sunday
_PARSE = partial(parse, now=_NOW, local=lambda found: found.replace(tzinfo=_BERLIN))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2027-01-31T09:00:00Z", "2027-01-31T09:00:00+00:00"),
        ("2027-01-31T09:00+09:00", "2027-01-31T00:00:00+00:00"),
        ("2027-01-31 09:00", "2027-01-31T08:00:00+00:00"),
        ("2027-01-31t9:00", "2027-01-31T08:00:00+00:00"),
        ("2027-01-31", "2027-01-31T22:59:00+00:00"),
        ("today", "2027-03-26T22:59:00+00:00"),
        ("today 9:00", "2027-03-26T08:00:00+00:00"),
        ("Tomorrow  9:00", "2027-03-27T08:00:00+00:00"),
        ("16:00", "2027-03-26T15:00:00+00:00"),
        ("15:30", "2027-03-27T14:30:00+00:00"),
        ("fri", "2027-03-26T22:59:00+00:00"),
        ("friday 18:00", "2027-03-26T17:00:00+00:00"),
        ("fri 15:00", "2027-04-02T13:00:00+00:00"),  # past today; in summer time
        ("sun 12:00", "2027-03-28T10:00:00+00:00"),
        ("in 30m", "2027-03-26T15:00:00+00:00"),
        ("in 2 hours", "2027-03-26T16:30:00+00:00"),
        ("in 1 day", "2027-03-27T14:30:00+00:00"),
        ("in 1 week", "2027-04-02T13:30:00+00:00"),
    ],
)
def test_each_form_means_one_instant(text, meant):
    """On a Friday afternoon in Berlin, two days before the clocks change."""
    assert _PARSE(text) == datetime.fromisoformat(meant)
    assert _PARSE(text).tzinfo == UTC


@pytest.mark.parametrize(
    "text",
    ["", "soon", "fr", "25:00", "9", "tomorrow 9", "2027-02-30", "in 3", "in 3 months", "in -1 h", "next fri", "9:60"],
)
def test_nothing_is_guessed(text):
    """What is none of the forms is refused with examples of them."""
    with pytest.raises(InstantMisspelt, match="such as tomorrow"):
        _PARSE(text)


def test_a_day_may_mean_its_beginning():
    """Filters of lists take a day as its beginning."""
    assert _PARSE("2027-01-31", of_a_day=time()) == datetime(2027, 1, 30, 23, 0, tzinfo=UTC)
