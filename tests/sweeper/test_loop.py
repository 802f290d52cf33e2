"""The loop of a sweep over a store of this test: when it looks again, and what it does when a batch takes too long."""

import asyncio
from datetime import timedelta

import pytest

from taskbell.kit.postgres.statements import load
from taskbell.local import db
from taskbell.sweeper.errors import BatchTooSlow, SweepInterrupted
from taskbell.sweeper.policy import Part
from taskbell.sweeper.repository import Fired, sweeping
from taskbell.sweeper.sweep import sweep

ONE = Fired(lateness=0.0, outcome="fired", told=1)


class Store:
    """Gives batches as a script says, then none; an exception in it is raised. Ends the sweep that waits."""

    def __init__(self, *script):
        self.script = list(script)
        self.calls = []
        self.stopping = asyncio.Event()

    async def fire(self, part, *, at_most):
        """Give the next batch."""
        self.calls.append(at_most)
        found = self.script.pop(0) if self.script else []
        if isinstance(found, Exception):
            raise found
        return found

    async def next_in(self, part):
        """Nothing is to come."""
        self.calls.append("waits")
        self.stopping.set()

    async def oldest(self, part):
        """Nothing is due."""
        return 0.0

    async def swept(self, *, stay=timedelta(minutes=1), batch_size=500):
        """Run a sweep."""
        return await sweep(self, part=Part(), batch_size=batch_size, stay=stay, stopping=self.stopping, poke=_nothing)


async def _nothing():
    return


async def test_it_waits_only_when_nothing_is_due():
    """What falls due while a batch fires is looked for at once, not after a pause."""
    store = Store([ONE], [ONE, ONE])
    assert (await store.swept()).fired == 3
    assert store.calls == [500, 500, 500, "waits"]


async def test_without_a_time_to_stay_it_ends_with_what_was_due():
    """It goes on while batches are full, and asks for no more after the first that is not."""
    store = Store([ONE] * 2, [ONE] * 2, [ONE])
    assert (await store.swept(stay=timedelta(0), batch_size=2)).fired == 5
    assert store.calls == [2, 2, 2]


async def test_a_batch_that_takes_too_long_becomes_smaller():
    """Where so many at once cannot be fired in time, fewer are: no setting and no crowd of assignees stops sweeps."""
    store = Store(BatchTooSlow("slow"), BatchTooSlow("slow"), [ONE] * 5)
    assert (await store.swept()).fired == 5
    assert store.calls == [500, 50, 5, 5, "waits"]


async def test_a_single_reminder_that_takes_too_long_ends_it():
    """Then it is not the size: the database does not answer in time."""
    store = Store(*[BatchTooSlow("slow")] * 4)
    with pytest.raises(BatchTooSlow):
        await store.swept()
    assert store.calls == [500, 50, 5, 1]


async def test_a_statement_that_is_cut_off_is_a_batch_too_slow(plan, owner, database, fired):
    """The server's own limit is distinguished from other failures, and the session stays usable."""
    await plan()
    async with sweeping(database.sweeper_url) as reminders:
        blocking = owner.transaction()
        await blocking.start()
        await owner.execute("LOCK notifications")
        await reminders._session.execute("SET statement_timeout = '200ms'")
        with pytest.raises(BatchTooSlow):
            await reminders.fire(Part(), at_most=10)
        await blocking.rollback()
        assert [found.outcome for found in await reminders.fire(Part(), at_most=10)] == ["fired"]
    assert len(await fired()) == 1


async def test_no_step_grows_with_the_square_of_a_batch(database):
    """Parts of a batch are found by key or by hash, not each by looking through all of another part."""
    statement = load("taskbell.sweeper", "fire_due")
    arguments = statement.arguments({"kind": "due_soon", "at_most": 500, "shard": 0, "shards": 1, "leads": None})
    async with db.connected(database.sweeper_url) as connection:
        plan = await connection.fetchval("EXPLAIN (FORMAT JSON) " + statement.text, *arguments)
    assert '"Join Filter"' not in plan


async def test_a_sweep_can_begin_through_a_pooler():
    """PgBouncer refuses a session that begins with settings it does not know; so the role has them."""
    begun = asyncio.get_running_loop().create_future()

    async def answer(reader, writer):
        length = int.from_bytes(await reader.readexactly(4))
        message = await reader.readexactly(length - 4)
        if message[4:] == b"":  # it asks for TLS first
            writer.write(b"N")
            length = int.from_bytes(await reader.readexactly(4))
            message = await reader.readexactly(length - 4)
        begun.set_result(set(message[4:].split(b"\0")[0:-2:2]))
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(SweepInterrupted):
            async with sweeping(f"postgresql://taskbell_sweeper@127.0.0.1:{port}/taskbell"):
                pytest.fail("there is no PostgreSQL")
    assert await begun <= {b"user", b"database", b"client_encoding", b"application_name"}
