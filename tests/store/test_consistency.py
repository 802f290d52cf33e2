import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskbell.store.consistency import LATEST, PositionMalformed, parse, text_of


@given(st.integers(0, LATEST))
def test_a_position_is_read_as_it_was_written(position):
    """Every position passes through a header, the one that no replica reaches as a word."""
    assert parse(text_of(position)) == position


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "٣", "1" * 21, "1 2", "0x10", "Latest"])
def test_anything_else_is_malformed(text):
    """No text is taken for a position that is not one."""
    with pytest.raises(PositionMalformed):
        parse(text)
