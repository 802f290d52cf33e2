"""The lender: turns, limits, and connections that break, on a real server."""

import asyncio

import asyncpg
import pytest

from taskbell.kit.postgres.lender import Lender
from taskbell.testing.waiting import eventually


@pytest.fixture
async def lender(database):
    """Two connections at most; none is open yet."""
    opened = Lender(lambda: asyncpg.connect(database.api_url), most=2)
    yield opened
    opened.terminate()


async def test_the_connection_used_last_is_lent_first(lender):
    """One caller after another uses one connection, whatever the limit."""
    first = await lender.lend()
    second = await lender.lend()
    lender.give_back(first)
    lender.give_back(second)
    assert lender.lend_idle() is second
    assert lender.size == (2, 1)


async def test_who_waits_longest_is_served_next(lender):
    """Callers that come while all connections are lent get them in the order in which they came."""
    lent = [await lender.lend(), await lender.lend()]
    served = []

    async def ask(number):
        connection = await lender.lend()
        served.append(number)
        lender.give_back(connection)

    waiting = []
    for number in range(5):
        waiting.append(asyncio.create_task(ask(number)))
        await asyncio.sleep(0)
    for connection in lent:
        lender.give_back(connection)
    await asyncio.gather(*waiting)
    assert served == [0, 1, 2, 3, 4]
    assert lender.size == (2, 2)


async def test_patience_bounds_the_wait(lender):
    """A caller whose patience is over gets a TimeoutError, and leaves no place in the queue behind."""
    lent = [await lender.lend(), await lender.lend()]
    with pytest.raises(TimeoutError):
        await lender.lend(patience=0.01)
    lender.give_back(lent[0])
    assert lender.lend_idle() is lent[0]


async def test_a_connection_that_comes_too_late_goes_to_the_next(lender):
    """A caller that is cancelled in the moment in which it is served loses no connection."""
    lent = [await lender.lend(), await lender.lend()]
    unlucky = asyncio.create_task(lender.lend())
    patient = asyncio.create_task(lender.lend())
    await asyncio.sleep(0)
    lender.give_back(lent[0])  # served, but it has not run yet
    unlucky.cancel()
    assert await patient is lent[0]
    assert unlucky.cancelled()


async def test_a_broken_connection_is_replaced(lender):
    """Connections that were cut, lent or idle, count no more: as many as before can be lent."""
    lent = [await lender.lend(), await lender.lend()]
    waiting = asyncio.create_task(lender.lend())
    await asyncio.sleep(0)
    lent[0].terminate()
    lender.give_back(lent[0])
    replaced = await waiting
    assert await replaced.fetchval("SELECT 1") == 1
    lent[1].terminate()
    lender.give_back(lent[1])
    replaced.terminate()
    lender.give_back(replaced)
    again = [await lender.lend(), await lender.lend()]
    assert [await connection.fetchval("SELECT 1") for connection in again] == [1, 1]
    assert lender.size == (2, 0)


async def test_an_idle_connection_that_the_server_cut_is_not_lent(lender, database):
    """After a restart of the server every idle connection is dead; callers get new ones."""
    dead = await lender.lend()
    lender.give_back(dead)
    other = await asyncpg.connect(database.superuser_url)
    await other.execute("SELECT pg_terminate_backend($1)", dead.get_server_pid())
    await other.close()
    await eventually(dead.is_closed, "the server's word arrives")
    assert lender.size == (0, 0)
    fresh = await lender.lend()
    assert fresh is not dead
    assert lender.size == (1, 0)


async def test_a_failed_connect_passes_the_right_on(database):
    """Who waits behind a caller that cannot connect tries itself; all failures reach their callers."""
    attempts = []

    async def connect():
        attempts.append(len(attempts))
        await asyncio.sleep(0)
        if len(attempts) < 3:
            raise OSError("away")
        return await asyncpg.connect(database.api_url)

    lender = Lender(connect, most=1)
    answers = await asyncio.gather(*(lender.lend() for _ in range(3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [OSError, OSError, asyncpg.Connection]
    lender.terminate()


async def test_closing_waits_for_what_is_lent(lender):
    """Close ends when the last connection is back; meanwhile nobody gets one."""
    lent = await lender.lend()
    closing = asyncio.create_task(lender.close())
    await asyncio.sleep(0)
    with pytest.raises(asyncpg.InterfaceError, match="closed"):
        await lender.lend()
    assert await lent.fetchval("SELECT 1") == 1
    assert not closing.done()
    lender.give_back(lent)
    await closing
    assert lent.is_closed()


async def test_closing_ends_although_the_last_caller_was_cancelled(database):
    """A connection that comes back through a caller who waits no longer counts as back."""
    lender = Lender(lambda: asyncpg.connect(database.api_url), most=1)
    lent = await lender.lend()
    unlucky = asyncio.create_task(lender.lend())
    await asyncio.sleep(0)
    lender.give_back(lent)
    unlucky.cancel()  # it was served, but has not run yet
    async with asyncio.timeout(10):
        await lender.close()
    assert lent.is_closed()


async def test_cutting_ends_what_is_under_way(lender):
    """Terminate fails the statements that run and the callers that wait."""
    lent = [await lender.lend(), await lender.lend()]
    running = asyncio.create_task(lent[0].fetchval("SELECT pg_sleep(60)"))
    waiting = asyncio.create_task(lender.lend())
    await asyncio.sleep(0.05)
    lender.terminate()
    ended = await asyncio.gather(running, waiting, return_exceptions=True)
    assert all(isinstance(error, asyncpg.InterfaceError | asyncpg.ConnectionDoesNotExistError) for error in ended)
