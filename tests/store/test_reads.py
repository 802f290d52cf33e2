import uuid

import pytest

from taskbell.store import consistency
from taskbell.store.consistency import LATEST, Consistency
from taskbell.store.pool import DatabaseUnavailable
from taskbell.store.reads import Reads
from taskbell.store.replicas import ReplicaLost


class _Server:
    """Answers each statement with its name, or fails."""

    def __init__(self, name):
        self.name = name
        self.failure = None
        self.under_way = 0

    async def fetchval(self, query, *arguments, timeout=None):  # noqa: ASYNC109 -- asyncpg's own
        if self.failure is not None:
            raise self.failure
        return self.name


class _Replica:
    """A replica that is as far as the test says."""

    def __init__(self, name):
        self.pool = _Server(name)
        self.lag, self.caught_up_at, self.passed = 0.0, float("-inf"), 0
        self.primary_is_known = True

    def is_well(self, now, *, most_lag):
        return self.pool is not None and self.lag <= most_lag

    def knows_primary(self, now):
        return self.primary_is_known

    def holds(self, *, since, position):
        return self.caught_up_at > since and (position is None or position < self.passed)


class _Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    """A clock that stands."""
    return _Clock()


@pytest.fixture
def replica():
    """A replica that holds what was seen until 90 s, and positions below 1000."""
    made = _Replica("replica")
    made.caught_up_at, made.passed = 90.0, 1000
    return made


@pytest.fixture
def primary():
    """A primary with nothing to do."""
    return _Server("primary")


@pytest.fixture
def reads(primary, replica, clock):
    """Reads over that primary and that replica."""
    return Reads(primary, [replica], clock=clock, most_users=3)


@pytest.fixture
def request_with():
    """Begins a request that brings a position."""

    def begin(position):
        made = Consistency(position)
        consistency.current.set(made)  # in the context of the test, which ends with it
        return made

    return begin


_ANN, _BOB = uuid.UUID(int=1), uuid.UUID(int=2)


async def _answered_by(reads, actor=_ANN):
    return await reads.of(actor).fetchval("SELECT 1")


@pytest.mark.feature("M40")
async def test_a_replica_answers_a_user_who_has_seen_nothing_newer(reads):
    """That is what replicas are for."""
    assert await _answered_by(reads) == "replica"


async def test_without_replicas_the_primary_answers_itself():
    """A read then costs nothing more than before."""
    primary = _Server("primary")
    assert Reads(primary).of(_ANN) is primary


@pytest.mark.feature("M40")
async def test_who_changed_something_reads_the_primary_until_the_replica_holds_it(reads, replica, clock):
    """Others go on with the replica."""
    reads.bind(_ANN.int)
    assert await _answered_by(reads) == "primary"
    assert await _answered_by(reads, _BOB) == "replica"
    replica.caught_up_at = clock.now
    assert await _answered_by(reads) == "primary", "a look at that very moment may have come before the change"
    replica.caught_up_at = clock.now + 0.1
    assert await _answered_by(reads) == "replica"


@pytest.mark.feature("M40")
async def test_what_was_read_from_the_primary_binds_too(reads, replica, clock):
    """Otherwise the next read, from the replica, could show less."""
    replica.lag = 2.0
    assert await _answered_by(reads) == "primary"
    replica.lag = 0.0
    assert await _answered_by(reads) == "primary"
    replica.caught_up_at = clock.now + 0.1
    assert await _answered_by(reads) == "replica"


@pytest.mark.feature("M40")
@pytest.mark.parametrize(
    ("position", "server"), [(None, "replica"), (999, "replica"), (1000, "primary"), (LATEST, "primary")]
)
async def test_a_position_is_answered_by_a_replica_that_has_come_so_far(reads, request_with, position, server):
    """One that has not passed it may lack what the client saw elsewhere. What the primary answered is told."""
    request = request_with(position)
    assert await _answered_by(reads) == server
    assert request.from_primary is (server == "primary")


@pytest.mark.parametrize("gone", ["pool", "lag"])
async def test_a_replica_that_is_away_or_lags_is_routed_around(reads, replica, gone):
    """And taken back."""
    kept = replica.pool
    setattr(replica, gone, None if gone == "pool" else 2.0)
    assert await _answered_by(reads) == "primary"
    replica.pool, replica.lag, replica.caught_up_at = kept, 0.0, 101.0
    assert await _answered_by(reads) == "replica"


async def test_a_statement_that_a_replica_could_not_finish_is_repeated_on_the_primary(reads, replica, clock):
    """Nobody notices; the user is bound to what the primary showed."""
    replica.pool.failure = ReplicaLost()
    server = reads.of(_ANN)
    assert await server.fetchval("SELECT 1") == "primary"
    replica.pool.failure = None
    assert await server.fetchval("SELECT 1") == "primary", "one request does not go back to the replica"
    assert await _answered_by(reads) == "primary"
    replica.caught_up_at = clock.now + 0.1
    assert await _answered_by(reads) == "replica"


async def test_a_failure_that_is_no_replicas_fault_is_not_repeated(reads, replica):
    """A statement that took too long would take as long on the primary, and hurt it."""
    replica.pool.failure = ValueError("too slow")
    with pytest.raises(ValueError, match="too slow"):
        await _answered_by(reads)


async def test_a_user_keeps_to_one_replica(clock):
    """Two replicas are at different places: changing between them could show less than before."""
    replicas = [_Replica("first"), _Replica("second")]
    for each in replicas:
        each.caught_up_at = 90.0
    reads = Reads(_Server("primary"), replicas, clock=clock)
    users = [uuid.UUID(int=number) for number in range(20)]
    first = [await _answered_by(reads, user) for user in users]
    assert set(first) == {"first", "second"}
    assert [await _answered_by(reads, user) for user in users] == first
    replicas[0].pool = None
    assert {await _answered_by(reads, user) for user in users} == {"primary", "second"}, (
        "the other one is no substitute"
    )


@pytest.mark.feature("M40")
async def test_a_busy_replica_shares_its_reads_with_a_primary_that_has_less_to_do(reads, primary, replica):
    """One replica then serves with the primary; who has seen the primary is bound to it as ever."""
    replica.pool.under_way, primary.under_way = 12, 10
    assert await _answered_by(reads) == "replica", "the primary is hardly less busy"
    primary.under_way = 9
    assert await _answered_by(reads) == "primary"
    replica.pool.under_way = 0
    assert await _answered_by(reads) == "primary"
    assert await _answered_by(reads, _BOB) == "replica"


async def test_a_primary_that_is_away_gets_no_share(reads, primary, replica):
    """It has nothing to do because it does not answer. What it fails to answer at first, the replica answers."""
    replica.pool.under_way, primary.failure = 12, DatabaseUnavailable()
    server = reads.of(_ANN)
    assert await server.fetchval("SELECT 1") == "replica"
    primary.failure = None
    replica.primary_is_known = False
    assert await _answered_by(reads) == "replica"


async def test_a_request_that_has_seen_the_primary_is_not_continued_on_a_replica(reads, primary, replica):
    """The replica could show less than the statement before."""
    replica.pool.under_way = 12
    server = reads.of(_ANN)
    assert await server.fetchval("SELECT 1") == "primary"
    primary.failure = DatabaseUnavailable()
    with pytest.raises(DatabaseUnavailable):
        await server.fetchval("SELECT 1")


async def test_memory_is_bounded_and_forgets_nobody(reads, replica, clock):
    """With more users than are remembered, everybody is bound for a moment."""
    for number in range(10, 14):
        reads.bind(number)
    assert await _answered_by(reads, uuid.UUID(int=10)) == "primary"
    assert await _answered_by(reads, uuid.UUID(int=99)) == "primary"
    replica.caught_up_at = clock.now + 0.1
    assert await _answered_by(reads, uuid.UUID(int=10)) == "replica"
