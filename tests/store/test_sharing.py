"""A shared transaction: all that a task does with the database is one change, and looks to the services as ever."""

import asyncio
import contextlib
from functools import partial
from uuid import UUID, uuid4

import asyncpg
import pytest

from taskbell.api.events.recorder import EventRecorder
from taskbell.contract.events import EventType
from taskbell.kit.postgres.pool import open_lender
from taskbell.local import db
from taskbell.store.pool import Database, RequestTooSlow, shared
from taskbell.store.reads import Reads

_WRITE = "INSERT INTO login_attempts (key) VALUES ($1)"
_COUNT = "SELECT count(*) FROM login_attempts"


class Regretted(Exception):
    """What ends a block."""


@pytest.fixture
async def primary(database):
    """The primary under the API's role, by two connections."""
    lender = await open_lender(database.api_url, most=2, statement_seconds=10)
    yield Database(lender, acquire_timeout=10)
    await lender.close()


@pytest.fixture
async def outside(database):
    """What others see."""
    async with db.connected(database.owner_url) as connection:
        yield partial(connection.fetchval, _COUNT)


async def test_everything_commits_at_the_end(primary, outside):
    """Single statements, transactions and acting blocks are seen within the block at once, and by others at its end."""
    async with primary.sharing():
        await primary.execute(_WRITE, b"a")
        async with primary.transaction() as connection:
            await connection.execute(_WRITE, b"b")
        async with primary.acting(uuid4()) as connection:
            await connection.execute(_WRITE, b"c")
            await primary.execute(_WRITE, b"d")
        assert (await primary.fetchval(_COUNT), await outside()) == (4, 0)
    assert await outside() == 4
    assert primary.size == (1, 1)


async def test_a_failure_undoes_everything(primary, outside):
    """When the block raises, nothing of it remains, and the connection serves again."""
    with contextlib.suppress(Regretted):
        async with primary.sharing():
            await primary.execute(_WRITE, b"a")
            raise Regretted
    assert await outside() == await primary.fetchval(_COUNT) == 0


async def test_a_part_that_fails_is_undone_alone(primary, outside):
    """An error of a statement or of a block within ends that part; what was before and what follows commits."""
    async with primary.sharing():
        await primary.execute(_WRITE, b"a")
        with pytest.raises(asyncpg.UniqueViolationError):
            await primary.execute(_WRITE, b"a")
        with contextlib.suppress(Regretted):
            async with primary.acting(uuid4()) as connection:
                await connection.execute(_WRITE, b"b")
                with pytest.raises(asyncpg.UniqueViolationError):
                    await primary.execute(_WRITE, b"b")
                raise Regretted
        await primary.execute(_WRITE, b"c")
    assert await outside() == 2


async def test_a_statement_that_takes_too_long_is_undone_alone(primary, outside):
    """It is the error that it is elsewhere, and the transaction goes on."""
    async with primary.sharing():
        await primary.execute(_WRITE, b"a")
        with pytest.raises(RequestTooSlow):
            await primary.fetchval("SELECT pg_sleep(60)", timeout=0.05)
    assert await outside() == 1


async def test_other_tasks_work_for_themselves(primary, outside):
    """What a task that was started in the block does is not part of it."""
    with contextlib.suppress(Regretted):
        async with primary.sharing():
            await asyncio.create_task(primary.execute(_WRITE, b"a"))
            await primary.execute(_WRITE, b"b")
            raise Regretted
    assert await outside() == 1
    assert shared() is None


async def test_what_an_acting_block_sets_ends_with_it(primary):
    """Partitions are pruned again after a block that forbids it; a failed block leaves the former actor."""
    ann, bob = uuid4(), uuid4()
    settings = "SELECT current_setting('enable_partition_pruning'), current_setting('taskbell.actor')"
    async with primary.sharing():
        async with primary.acting(ann, prunes=False) as connection:
            assert [*await connection.fetchrow(settings)] == ["off", str(ann)]
        assert [*await primary.fetchrow(settings)] == ["on", str(ann)]
        with contextlib.suppress(Regretted):
            async with primary.acting(bob, prunes=False):
                raise Regretted
        assert [*await primary.fetchrow(settings)] == ["on", str(ann)]


class Replica:
    """A replica that must not be asked."""

    def __getattr__(self, name):
        raise AssertionError(name)


async def test_reads_go_to_the_primary(primary):
    """A read within the block sees what the block has written, so no replica is asked."""
    reads = Reads(primary, [Replica()])
    async with primary.sharing():
        await primary.execute(_WRITE, b"a")
        assert await reads.of(UUID(int=0)).fetchval(_COUNT) == 1
    with pytest.raises(AssertionError):
        reads.of(UUID(int=0))


async def test_events_are_told_of_after_the_commit(primary, outside):
    """The relay is poked once others can see the events, and not at all if they were rolled back."""
    seen = []

    class Pokes:
        async def send(self, _subject):
            seen.append(await outside())

    recorder = EventRecorder(Pokes())
    async with primary.sharing():
        await primary.execute(_WRITE, b"a")
        await recorder.committed(EventType.TASK_CREATED)
        assert seen == []
    assert seen == [1]
    with contextlib.suppress(Regretted):
        async with primary.sharing():
            await recorder.committed(EventType.TASK_CREATED)
            raise Regretted
    assert seen == [1]
    await recorder.committed(EventType.TASK_CREATED)
    assert seen == [1, 1]
