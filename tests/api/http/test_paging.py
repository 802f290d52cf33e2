"""The cursor of lists that are ordered by id."""

import contextlib
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskbell.api.http.paging import CursorNotOfThisList, LimitTooLarge, id_cursor, page_limit, read_id_cursor


@given(last=st.uuids(), bound_to=st.text(), other=st.text())
def test_a_cursor_fits_its_own_list_alone(last, bound_to, other):
    """It reads back where it was made, and is refused at another list."""
    cursor = id_cursor(last, bound_to=bound_to)
    assert cursor.isascii()
    assert read_id_cursor(cursor, bound_to=bound_to) == last
    if other != bound_to:
        with pytest.raises(CursorNotOfThisList):
            read_id_cursor(cursor, bound_to=other)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text):
    """Made-up cursors are refused in one way."""
    with contextlib.suppress(CursorNotOfThisList):
        assert isinstance(read_id_cursor(text, bound_to="list"), UUID)


def test_limits():
    """The default when none is named, what is named up to the most, a refusal beyond."""
    assert page_limit(None, default=100, most=1000) == 100
    assert page_limit(1000, default=100, most=1000) == 1000
    with pytest.raises(LimitTooLarge):
        page_limit(1001, default=100, most=1000)
