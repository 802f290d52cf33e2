"""The cursor of lists, and the limits of a page."""

import contextlib
from base64 import urlsafe_b64encode
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from taskbell.api.http.paging import CursorInvalid, LimitTooLarge, PageLimits, Place, read_cursor, write_cursor


@given(last=st.uuids(), key=st.text(), bound_to=st.text(), other=st.text())
def test_a_cursor_fits_its_own_list_alone(last, key, bound_to, other):
    """It reads back where it was made, and is refused at another list."""
    cursor = write_cursor(Place(id=last, key=key), bound_to=(bound_to,))
    assert cursor.isascii()
    assert read_cursor(cursor, bound_to=(bound_to,)) == Place(id=last, key=key)
    if other != bound_to:
        with pytest.raises(CursorInvalid):
            read_cursor(cursor, bound_to=(other,))


def test_a_cursor_keeps_its_form():
    """A cursor that a list ordered by id has given out stays valid."""
    cursor = "30Xmoty-xFgAAAAAAAAAAAAAAAAAAAAB"
    assert write_cursor(Place(id=UUID(int=1)), bound_to=("workspaces",)) == cursor
    assert read_cursor(cursor, bound_to=("workspaces",)) == Place(id=UUID(int=1))


@given(st.one_of(st.text(max_size=60), st.binary(max_size=60).map(urlsafe_b64encode).map(bytes.decode)))
@example("W" * 512)
@example(urlsafe_b64encode(b"[" * 300).decode())
def test_any_text_is_read_or_refused(text):
    """Made-up cursors are refused in one way."""
    with contextlib.suppress(CursorInvalid):
        assert isinstance(read_cursor(text, bound_to=("list",)).id, UUID)


def test_limits():
    """The default when none is named, what is named up to the most, a refusal beyond."""
    limits = PageLimits(default=100, most=1000)
    assert limits.of(None) == 100
    assert limits.of(1000) == 1000
    with pytest.raises(LimitTooLarge):
        limits.of(1001)
