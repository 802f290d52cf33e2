"""Where a moved task goes, as PostgreSQL decides it from the positions around the place."""

import random

import pytest

from taskbell.api.tasks.policy import GAP, is_for_new
from taskbell.local import db

pytestmark = pytest.mark.feature("T7")

_PLACES = """
SELECT lower, upper, taskbell.position_between(lower, upper) FROM unnest($1::bigint[], $2::bigint[]) AS g (lower, upper)
"""


@pytest.fixture
async def places(database):
    """Asks for the positions in gaps, given as pairs of their bounds."""
    async with db.connected(database.api_url) as connection:

        async def ask(gaps):
            return await connection.fetch(_PLACES, [lower for lower, _ in gaps], [upper for _, upper in gaps])

        yield ask


def _gaps():
    """Every narrow gap around the positions of new tasks and zero, and many others."""
    chance = random.Random(7)
    near = [base + step for base in (-2000, -GAP, 0, GAP, 7000, 10**12) for step in range(-7, 8)]
    yield from ((lower, lower + width) for lower in near for width in range(1, 14))
    for _ in range(5000):
        lower = chance.randint(-(10**7), 10**12)
        yield lower, lower + chance.choice([chance.randint(1, 12), chance.randint(1, 10**7)])


async def test_the_middle_is_between(places):
    """The middle lies strictly between its bounds, at most one from the exact half, where no new task can appear."""
    for lower, upper, found in await places(list(_gaps())):
        if found is None:
            assert upper - lower < 4
            free = range(lower + 1, upper)
            assert all(is_for_new(position) for position in free)
        else:
            assert lower < found < upper
            assert abs(found - (lower + upper) // 2) <= 1
            assert not is_for_new(found)


async def test_the_middle_is_exact_between_neighbours_of_one_gap(places):
    """Between two tasks created one after the other it is the half."""
    found = await places([(1000, 2000), (7000, 8000)])
    assert [row[2] for row in found] == [1500, 7500]


async def test_there_is_always_room_before_the_first(places):
    """A task before the first one gets a gap, on a position that no new task takes."""
    for _, first, found in await places([(None, upper) for _, upper in _gaps()]):
        assert GAP - 1 <= first - found <= GAP
        assert not is_for_new(found)
