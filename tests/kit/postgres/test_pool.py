"""The pool: connections without session state, and one meaning of "PostgreSQL is away"."""

import asyncio

import asyncpg
import pytest

from taskbell.kit.postgres.errors import describe, translating
from taskbell.kit.postgres.pool import Pool, open_lender


class Away(Exception):
    """What the pool raises in these tests."""


_AWAY = translating(lambda lost: Away(describe(lost)))


@pytest.fixture
async def pool(database):
    """A pool of two open connections, with little patience."""
    opened = await open_lender(database.api_url, most=2, least=2, statement_seconds=5)
    yield Pool(opened, away=_AWAY, patience=0.2)
    opened.terminate()


async def test_nobody_waits_longer_than_asked_for_a_connection(pool):
    """With all connections lent, the next caller gets the caller's own error; afterwards the pool serves again."""
    async with pool.connection(), pool.connection():
        with pytest.raises(Away, match="TimeoutError"):
            await pool.fetchval("SELECT 1")
    assert await pool.fetchval("SELECT 1") == 1


async def test_too_many_connections_mean_away(database, servers):
    """A server that admits nobody more is away, like one that does not answer."""
    superuser = await asyncpg.connect(servers.postgres_url())
    await superuser.execute(f'ALTER DATABASE "{database.name}" CONNECTION LIMIT 1')
    await superuser.close()
    holder = await asyncpg.connect(database.api_url)
    opened = await open_lender(database.api_url, most=1, statement_seconds=5)
    with pytest.raises(Away, match="TooManyConnectionsError"):
        await Pool(opened, away=_AWAY).fetchval("SELECT 1")
    opened.terminate()
    await holder.close()


async def test_a_block_ends_within_the_time_given(database):
    """Waiting, connecting and statements together take no longer than `within`."""
    opened = await open_lender(database.api_url, most=1, statement_seconds=60)
    with pytest.raises(Away, match="TimeoutError"):
        await Pool(opened, away=_AWAY, within=0.3).fetchval("SELECT pg_sleep(60)")
    opened.terminate()


async def test_a_mistake_in_a_statement_is_not_taken_for_an_outage(pool):
    """What PostgreSQL says of a statement reaches the caller unchanged."""
    with pytest.raises(asyncpg.UndefinedTableError):
        await pool.fetch("SELECT * FROM no_such_table")


async def test_a_cancelled_caller_gives_its_connection_back(pool):
    """After a cancelled statement both connections are there to be lent."""
    task = asyncio.create_task(pool.fetchval("SELECT pg_sleep(60)"))
    while pool.size[0] - pool.size[1] < 1:  # noqa: ASYNC110 -- the pool tells nobody when it lends
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    async with pool.connection() as one, pool.connection() as other:
        assert [await one.fetchval("SELECT 1"), await other.fetchval("SELECT 2")] == [1, 2]


async def test_a_transaction_that_was_cut_off_is_not_lent_on(pool):
    """A caller who is cancelled while a transaction begins leaves none behind: the next write counts."""

    async def begin():
        async with pool.connection() as connection:
            await connection.execute("BEGIN; SELECT pg_sleep(60)")

    async def begin_properly():
        async with pool.connection() as connection, connection.transaction():
            await connection.execute("SELECT pg_sleep(60)")

    for attempt in (begin, begin_properly):
        task = asyncio.create_task(attempt())
        while pool.size[0] - pool.size[1] < 1:  # noqa: ASYNC110 -- the pool tells nobody when it lends
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.wait([task])
        async with pool.connection() as one, pool.connection() as other:
            for connection in (one, other):
                assert not connection.is_in_transaction()
                async with connection.transaction():
                    await connection.execute("SELECT txid_current()")
                assert not connection.is_in_transaction()
