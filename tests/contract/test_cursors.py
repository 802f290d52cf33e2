import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from taskbell.contract.cursors import CursorMalformed, EventCursor

_CURSORS = st.builds(EventCursor, epoch=st.integers(1, 10**10 - 1), sequence=st.integers(0, 10**19 - 1))


@given(_CURSORS)
def test_a_cursor_is_read_as_it_was_given_out(cursor):
    """Writing and reading a cursor loses nothing."""
    assert EventCursor.parse(str(cursor)) == cursor


@given(st.text())
@example("1-0\n")
@example("0-1")
@example("01-1")
@example("1-01")
@example("1--1")
@example("-1")
@example("1-1-1")
@example("\u0661-\u0662")  # digits, but not ours
@example("1-" + "9" * 20)
@example("1-1\x00")
def test_other_texts_are_refused(text):
    """A text is a cursor exactly as we write it, or refused as malformed: there is one spelling and no other error."""
    try:
        cursor = EventCursor.parse(text)
    except CursorMalformed:
        return
    assert str(cursor) == text


@pytest.mark.parametrize(("earlier", "later"), [("1-9", "1-10"), ("1-10", "2-0")])
def test_cursors_are_ordered(earlier, later):
    """A later place in the stream is the greater cursor, and a later epoch is greater than all of an earlier one."""
    assert EventCursor.parse(earlier) < EventCursor.parse(later)
