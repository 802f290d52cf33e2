"""Statements with named parameters."""

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskbell.kit.postgres.statements import parse

_NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)


def test_names_become_numbers_in_the_order_of_their_first_use():
    """A repeated name is one parameter; casts, literals and comments are left alone or dropped."""
    found = parse("-- :comment, it's\nSELECT :b::int, ':text', 'it''s :this', :a, :b -- :end\nWHERE true")
    assert found.text == "SELECT $1::int, ':text', 'it''s :this', $2, $1\nWHERE true"
    assert found.parameters == ("b", "a")


@given(st.dictionaries(_NAMES, st.integers(), max_size=6))
def test_arguments_travel_in_the_order_of_the_parameters(named):
    """Whatever order the caller names them in, each value gets its own number."""
    statement = parse("SELECT " + ", ".join(f":{name}" for name in named))
    assert statement.arguments(dict(reversed(named.items()))) == tuple(named.values())


@pytest.mark.parametrize(("named", "word"), [({"a": 1}, "'b'"), ({"a": 1, "b": 2, "c": 3}, "no parameter c")])
def test_a_wrong_name_is_refused(named, word):
    """A missing argument and an unknown one raise before anything is sent."""
    with pytest.raises(TypeError, match=word):
        parse("SELECT :a, :b").arguments(named)


async def test_a_statement_runs(database):
    """Rows, one row, one value and the number of rows, on a real connection."""
    connection = await asyncpg.connect(database.owner_url)
    statement = parse("SELECT n, :add::int FROM generate_series(1, :last::int) n -- :last rows")
    assert [tuple(row) for row in await statement.rows(connection, last=2, add=7)] == [(1, 7), (2, 7)]
    assert tuple(await statement.row(connection, last=2, add=7)) == (1, 7)
    assert await statement.value(connection, last=2, add=7, within=5) == 1
    assert await statement.count(connection, last=2, add=7) == 2
    await connection.close()
