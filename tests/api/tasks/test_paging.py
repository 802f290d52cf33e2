"""The places of a task list's cursors, from plain values: a key has the form of its order, and nothing else is read."""

from functools import partial
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskbell.api.http.paging import CursorInvalid, Place, read_cursor, write_cursor
from taskbell.api.tasks.lists import Listing, in_workspace, of_user
from taskbell.api.tasks.schemas import Sort, TaskFilters, TaskRole

_INTEGERS = {
    "position": st.integers(-(10**17), 10**17).map(str),
    "priority": st.integers(1, 10).map(str),
}
_INSTANTS = st.sampled_from(["infinity", "2027-01-01 09:00:00+00", "2027-01-01 09:00:00.000001+00"])
_ID = UUID(int=1)


def _listing(sort):
    return in_workspace(_ID, TaskFilters(), sort=sort)


@given(sort=st.sampled_from(list(Sort)), identity=st.uuids(), data=st.data())
def test_a_cursor_is_read_back(sort, identity, data):
    """What is written for a list is read back for that list, and refused for any other."""
    place = Place(key=data.draw(_INTEGERS.get(sort.field, _INSTANTS)), id=identity)
    bound_to = _listing(sort).bound_to
    cursor = write_cursor(place, bound_to=bound_to)
    assert _listing(sort).check(read_cursor(cursor, bound_to=bound_to)) == place
    with pytest.raises(CursorInvalid):
        read_cursor(cursor, bound_to=(*bound_to, 1))


@pytest.mark.parametrize(
    ("sort", "key"),
    [
        (Sort.POSITION, "1.5"),
        (Sort.POSITION, "1; DROP TABLE tasks"),
        (Sort.POSITION, "\u0661"),
        (Sort.POSITION, "1\n"),
        (Sort.POSITION, "9" * 19),
        (Sort.POSITION, ""),
        (Sort.DUE_AT, ""),
        (Sort.DUE_AT, "now"),
        (Sort.DUE_AT, "-infinity"),
        (Sort.DUE_AT, "2027-01-01 09:00:00"),
        (Sort.DUE_AT, "2027-01-01 09:00:00+00\n"),
    ],
)
def test_a_key_has_the_form_of_its_type(sort, key):
    """A cursor's key is an integer or an instant as PostgreSQL writes it: nothing else reaches a statement."""
    with pytest.raises(CursorInvalid):
        _listing(sort).check(Place(key=key, id=_ID))


@pytest.mark.parametrize(
    ("sort", "key"),
    [(Sort.PRIORITY, "99999"), (Sort.DUE_AT, "2027-02-31 25:00:00+00"), (Sort.POSITION, "x"), (Sort.POSITION, "")],
)
async def test_a_forged_key_is_refused(ann, problem, sort, key):
    """A forged key is an invalid cursor, also one of the right form that PostgreSQL cannot hold."""
    listing = in_workspace(UUID(ann.workspace_id), TaskFilters(), sort=sort)
    cursor = write_cursor(Place(key=key, id=_ID), bound_to=listing.bound_to)
    problem(await ann.request("GET", "/tasks", params={"sort": sort.value, "cursor": cursor}), 400, "invalid_cursor")


def test_lists_are_told_apart():
    """A cursor is bound to the sort, to each filter and to its value."""
    filters = [
        TaskFilters(),
        TaskFilters(status=["pending"]),
        TaskFilters(status=["pending", "completed"]),
        TaskFilters(priority=3),
        TaskFilters(priority_min=3),
        TaskFilters(priority_max=3),
        TaskFilters(due_before="2027-01-01T00:00:00Z"),
        TaskFilters(due_after="2027-01-01T00:00:00Z"),
        TaskFilters(due_after="2027-01-02T00:00:00Z"),
        TaskFilters(updated_since="2027-01-01T00:00:00Z"),
    ]
    lists: list[Listing] = [
        listing(chosen, sort=sort)
        for listing in (partial(in_workspace, _ID), *(partial(of_user, _ID, role) for role in TaskRole))
        for chosen in filters
        for sort in (Sort.CREATED_AT, Sort.CREATED_AT_DESC)
    ]
    lists.append(in_workspace(UUID(int=2), TaskFilters(), sort=Sort.CREATED_AT))
    assert len({listing.bound_to for listing in map(_hashable, lists)}) == len(lists)


def _hashable(listing):
    return Listing({name: str(value) for name, value in listing.arguments.items()}, listing.sort)
