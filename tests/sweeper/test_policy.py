"""Decisions of a sweep, from plain values."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskbell.sweeper.policy import LONGEST_PAUSE, Shard, parse_lead, parse_shard, parse_span, pause


@given(count=st.integers(1, 9999), data=st.data())
def test_a_shard_is_read_back(count, data):
    """Every part from 0 to n-1 is read; the part n is none."""
    number = data.draw(st.integers(0, count - 1))
    assert parse_shard(f"{number}/{count}") == Shard(number, count)
    with pytest.raises(ValueError, match="from 0"):
        parse_shard(f"{count}/{count}")


@given(text=st.text())
def test_any_text_is_a_shard_or_refused(text):
    """No text does anything else than be read or raise `ValueError`."""
    for parse in (parse_shard, parse_span, parse_lead):
        try:
            parse(text)
        except ValueError as refused:
            assert "written" in str(refused)  # noqa: PT017 -- either outcome is right, but never another error


@pytest.mark.parametrize(("text", "seconds"), [("+60s", 60), ("+5m", 300), ("+1h", 3600), ("+0s", 0)])
def test_spans(text, seconds):
    """Seconds, minutes and hours."""
    assert parse_span(text) == timedelta(seconds=seconds)


@given(hours=st.integers(0, 8759), minutes=st.integers(0, 59), seconds=st.integers(0, 59))
def test_a_lead_is_read_back(hours, minutes, seconds):
    """Each duration in the form of Kubernetes up to a year is that long, in whole or in smaller units."""
    lead = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    assert parse_lead(f"{hours}h{minutes}m{seconds}s") == lead
    assert parse_lead(f"{int(lead.total_seconds())}s") == lead


@given(next_in=st.none() | st.floats(-10, 10**6), left=st.floats(-1, 10**4))
def test_a_pause_never_oversleeps(next_in, left):
    """It is above nothing, at most a second, and never past the next reminder or the end by more than a millisecond."""
    found = pause(next_in=next_in, left=left)
    assert 0 < found <= LONGEST_PAUSE
    assert found <= max(left, 0.001)
    assert next_in is None or found <= max(next_in, 0.001)
