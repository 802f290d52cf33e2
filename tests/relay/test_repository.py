"""The relay's SQL: windows over any interleaving of transactions, plans, and the lease's terms."""

import json
import uuid
from dataclasses import replace

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskbell.kit.postgres.statements import load
from taskbell.relay.errors import DatabaseUnavailable, LeaseLost
from taskbell.relay.policy import NOTHING, Position, before
from taskbell.relay.repository import Events, Leases, connected

SESSIONS = 3
TASKS = 2
STEP = st.one_of(
    st.tuples(st.just("write"), st.integers(0, SESSIONS - 1), st.integers(0, TASKS - 1)),
    st.tuples(st.just("write"), st.integers(0, SESSIONS - 1), st.integers(0, TASKS - 1)),
    st.tuples(st.just("commit"), st.integers(0, SESSIONS - 1), st.just(0)),
    st.tuples(st.just("rollback"), st.integers(0, SESSIONS - 1), st.just(0)),
    st.tuples(st.just("look"), st.just(0), st.just(0)),
)


class Carrier:
    """Does with windows what the relay does, and keeps what it would publish."""

    def __init__(self, events, limit, limit_bytes):
        self.events = events
        self.limits = {"limit": limit, "limit_bytes": limit_bytes}
        self.position = Position(epoch=1, sequence=0)
        self.carried = []

    async def step(self):
        """One look, or one page of a large window; tells whether there was anything."""
        if self.position.window is None:
            look = self.within(await self.events.fresh(self.position, **self.limits))
            if look.is_all:
                self.carried += look.events
                self.position = replace(self.position, done=look.snapshot)
                return bool(look.events)
            backlog = await self.events.backlog(self.position)
            self.position = replace(self.position, window=look.snapshot, window_last_id=before(backlog.lowest_id))
            return True
        page = self.within(await self.events.page(self.position, **self.limits))
        self.carried += page.events
        if page.is_all:
            self.position = replace(self.position, done=self.position.window, window=None, window_last_id=None)
        else:
            self.position = replace(self.position, window_last_id=page.events[-1].id)
        return True

    def within(self, found):
        """Check that no more was found than was asked for."""
        *but_last, _ = [0, *(len(event.data.encode()) for event in found.events)]
        assert len(found.events) <= self.limits["limit"]
        assert sum(but_last) < self.limits["limit_bytes"]
        return found


class Writers:
    """Sessions whose transactions overlap. A task that one has changed is locked for the others, as its row is."""

    def __init__(self, table, sessions):
        self.table = table
        self.sessions = sessions
        self.open = {}
        self.locked = {}
        self.versions = dict.fromkeys(range(TASKS), 0)
        self.committed = []

    async def write(self, session, task):
        """Write an event with the task's next version."""
        if self.locked.get(task, session) != session:
            return
        self.locked[task] = session
        if session not in self.open:
            transaction = self.sessions[session].transaction()
            await transaction.start()
            self.open[session] = (transaction, [], dict(self.versions))
        self.versions[task] += 1
        written = await self.table.write(
            self.sessions[session], subject=uuid.UUID(int=task), version=self.versions[task]
        )
        self.open[session][1].append((written, task))

    async def end(self, session, *, commit):
        """End the session's transaction, if it has one."""
        if session not in self.open:
            return
        transaction, written, earlier = self.open.pop(session)
        await (transaction.commit() if commit else transaction.rollback())
        for task in {task for _, task in written}:
            del self.locked[task]
            if not commit:
                self.versions[task] = earlier[task]
        if commit:
            self.committed += [identity for identity, _ in written]


@pytest.fixture
async def events(database):
    """The relay's view of the table, without a lease."""
    async with connected(database.relay_url) as session:
        yield Events(session, term=None)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(STEP, max_size=30), limit=st.sampled_from([1, 2, 50]), limit_bytes=st.sampled_from([1, 300, 10**6])
)
async def test_any_interleaving_is_carried_once_and_in_order(table, events, steps, limit, limit_bytes):
    """Each committed event is carried exactly once, nothing else ever, and the versions of each task ascend.

    Whatever order transactions begin, write, commit and roll back in, and whenever the relay looks.
    """
    await table.connection.execute("TRUNCATE events")
    carrier = Carrier(events, limit, limit_bytes)
    sessions = [await asyncpg.connect(table.url) for _ in range(SESSIONS)]
    try:
        writers = Writers(table, sessions)
        for kind, session, task in steps:
            if kind == "look":
                await carrier.step()
                assert {str(row.id) for row in carrier.carried} <= set(writers.committed)
            elif kind == "write":
                await writers.write(session, task)
            else:
                await writers.end(session, commit=kind == "commit")
        for session in range(SESSIONS):
            await writers.end(session, commit=True)
        while await carrier.step():
            pass
    finally:
        for session in sessions:
            await session.close()
    ids = [str(row.id) for row in carrier.carried]
    assert len(ids) == len(set(ids))
    assert set(ids) == set(writers.committed)
    for task in range(TASKS):
        versions = [json.loads(row.data)["version"] for row in carrier.carried if row.subject_id.int == task]
        assert versions == list(range(1, len(versions) + 1))


@pytest.mark.parametrize("filled", [False, True])
async def test_windows_are_read_by_index(database, table, filled):
    """Neither an empty table nor one whose statistics are old makes a plan that reads or sorts it as a whole."""
    if filled:
        await table.write_many(20_000)
    fresh, pages = (load("taskbell.relay", name).text for name in ("select_fresh_events", "select_window_page"))
    async with connected(database.relay_url) as session:
        await session.execute(f"PREPARE look (text, int, int) AS {fresh}")
        await session.execute(f"PREPARE page (uuid, text, text, int, int) AS {pages}")
        looked = await session.fetch(f"EXPLAIN EXECUTE look ('{NOTHING}', 500, 4000000)")
        paged = await session.fetch(f"EXPLAIN EXECUTE page ('{uuid.UUID(int=0)}', '{NOTHING}', '9:9:', 500, 4000000)")
    look, page = ("\n".join(row[0] for row in plan) for plan in (looked, paged))
    for plan in (look, page):
        assert "Seq Scan" not in plan
        assert "Bitmap" not in plan
    assert "_xid_id_idx" in look
    assert "_pkey" in page
    assert "Sort  " not in page


async def test_one_holder_at_a_time_and_a_higher_number_for_each_term(database, table):
    """The lease is refused while it holds, and taken again after it is given back or has expired."""
    async with connected(database.relay_url) as one, connected(database.relay_url) as two:
        first, second = Leases(one, holder="first", ttl=30), Leases(two, holder="second", ttl=30)
        term = await first.acquire()
        assert await second.acquire() is None
        assert await first.renew(term) is False
        await table.expire_lease()
        taken = await second.acquire()
        assert taken.number > term.number
        with pytest.raises(LeaseLost):
            await first.renew(term)
        await first.release(term)
        assert await first.acquire() is None
        await second.release(taken)
        assert (await first.acquire()).number > taken.number


async def test_the_position_is_written_in_the_name_of_the_present_term_alone(database):
    """A relay whose term is over can neither read on, save, nor begin an epoch."""
    async with connected(database.relay_url) as session:
        leases = Leases(session, holder="first", ttl=30)
        old = Events(session, term=await leases.acquire())
        new = Events(session, term=await leases.acquire())
        position = Position(epoch=1, sequence=5, done="10:12:11")
        with pytest.raises(LeaseLost):
            await old.save(position)
        with pytest.raises(LeaseLost):
            await old.begin_epoch(2, after_id=uuid.UUID(int=1), window="10:12:11")
        with pytest.raises(LeaseLost):
            await old.position()
        await new.save(position, wait_for_disk=True)
        assert (await new.position()).position == position
        begun = await new.begin_epoch(2, after_id=uuid.UUID(int=1), window="10:12:11")
        assert (await new.position()).position == begun


async def test_a_renewal_tells_of_a_wanted_replay(database):
    """So that no query of its own is needed to learn of it."""
    async with connected(database.owner_url) as owner, connected(database.relay_url) as session:
        leases = Leases(session, holder="first", ttl=30)
        term = await leases.acquire()
        await owner.execute("UPDATE relay_state SET replay_from = now()")
        assert await leases.renew(term) is True


async def test_a_database_that_is_away_is_told(free_port):
    """Errors of the driver do not get out."""
    with pytest.raises(DatabaseUnavailable):
        async with connected(f"postgresql://nobody@127.0.0.1:{free_port}/nothing"):
            pass
