"""Cursors, from plain values: read back exactly, and nothing else is read."""

from base64 import urlsafe_b64encode
from uuid import UUID

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from taskbell.api.tasks.errors import CursorInvalid
from taskbell.api.tasks.paging import Place, decode_cursor, encode_cursor, fingerprint, order_of
from taskbell.api.tasks.schemas import Sort

_KEYS = {
    "bigint": st.integers(-(10**17), 10**17).map(str),
    "smallint": st.integers(1, 10).map(str),
    "timestamptz": st.sampled_from(["infinity", "2027-01-01 09:00:00+00", "2027-01-01 09:00:00.000001+00"]),
}
_SORTS = st.sampled_from(list(Sort))


def _written(value):
    return urlsafe_b64encode(orjson.dumps(value)).decode().rstrip("=")


@given(sort=_SORTS, identity=st.uuids(), bound=st.text(max_size=20), data=st.data())
def test_a_cursor_is_read_back(sort, identity, bound, data):
    """What is written for a list is read back for that list, and refused for any other."""
    order = order_of(sort)
    place = Place(key=data.draw(_KEYS[order.type]), id=identity)
    bound_to = fingerprint(sort, bound)
    cursor = encode_cursor(place, bound_to=bound_to)
    assert decode_cursor(cursor, bound_to=bound_to, order=order) == place
    with pytest.raises(CursorInvalid):
        decode_cursor(cursor, bound_to=fingerprint(sort, bound, 1), order=order)


@given(
    sort=_SORTS, cursor=st.one_of(st.text(max_size=80), st.binary(max_size=60).map(urlsafe_b64encode).map(bytes.decode))
)
@example(sort=Sort.POSITION, cursor="W" * 512)
@example(sort=Sort.POSITION, cursor=_written({"a": 1, "b": 2, "c": 3}))
@example(sort=Sort.POSITION, cursor=_written(None))
@example(sort=Sort.POSITION, cursor=_written("abc"))
@example(sort=Sort.POSITION, cursor=urlsafe_b64encode(b"[" * 300).decode())
def test_nonsense_is_refused(sort, cursor):
    """Any other text is refused as a cursor, by no other error."""
    with pytest.raises(CursorInvalid):
        decode_cursor(cursor, bound_to="list", order=order_of(sort))


@pytest.mark.parametrize(
    ("sort", "key"),
    [
        (Sort.POSITION, "1.5"),
        (Sort.POSITION, "1; DROP TABLE tasks"),
        (Sort.POSITION, "\u0661"),
        (Sort.POSITION, "1\n"),
        (Sort.POSITION, "9" * 19),
        (Sort.POSITION, ""),
        (Sort.POSITION, 5),
        (Sort.POSITION, None),
        (Sort.DUE_AT, "now"),
        (Sort.DUE_AT, "-infinity"),
        (Sort.DUE_AT, "2027-01-01 09:00:00"),
        (Sort.DUE_AT, "2027-01-01 09:00:00+00\n"),
    ],
)
def test_a_key_has_the_form_of_its_type(sort, key):
    """A cursor's key is an integer or an instant as PostgreSQL writes it: nothing else reaches a statement."""
    cursor = _written(["list", key, str(UUID(int=1))])
    with pytest.raises(CursorInvalid):
        decode_cursor(cursor, bound_to="list", order=order_of(sort))


@pytest.mark.parametrize("identity", [7, None, "7", "", []])
def test_an_id_is_an_id(identity):
    """The second half of a cursor's place is a UUID."""
    with pytest.raises(CursorInvalid):
        decode_cursor(_written(["list", "1", identity]), bound_to="list", order=order_of(Sort.POSITION))


@pytest.mark.parametrize(("sort", "key"), [(Sort.PRIORITY, "99999"), (Sort.DUE_AT, "2027-02-31 25:00:00+00")])
async def test_a_key_out_of_range_is_refused(ann, problem, monkeypatch, sort, key):
    """A forged key of the right form that PostgreSQL cannot hold is an invalid cursor, too."""
    monkeypatch.setattr("taskbell.api.tasks.paging.fingerprint", lambda *_: "list")
    params = {"sort": sort.value, "cursor": _written(["list", key, str(UUID(int=1))])}
    problem(await ann.request("GET", "/tasks", params=params), 400, "invalid_cursor")


def test_a_fingerprint_tells_lists_apart():
    """Values that only look alike when joined have different fingerprints."""
    assert len({fingerprint("a", "b"), fingerprint("ab"), fingerprint("b", "a"), fingerprint("a", "b", "")}) == 4
