"""The end of a session of the account ends its connections, and lets none begin."""

import asyncpg
import pytest

from taskbell.contract.frames import CloseCode
from taskbell.testing.listener import ListenerClosed
from taskbell.testing.waiting import eventually


@pytest.fixture
async def owner(database):
    """A connection that sees everything."""
    connection = await asyncpg.connect(database.superuser_url)
    yield connection
    await connection.close()


@pytest.fixture
def session_of(owner):
    """Makes the session that the tokens of a user name; revoked or not."""

    async def make(user, *, revoked=False):
        await owner.execute(
            "INSERT INTO sessions (id, user_id, expires_at, revoked_at)"
            " VALUES ($1, $1, now() + interval '1 day', CASE WHEN $2 THEN clock_timestamp() END)",
            user,
            revoked,
        )

    return make


async def test_a_revoked_session_loses_its_connections(run_gateway, listener, people, session_of, owner):
    """They close with 4401, those of others go on, and neither a token nor a ticket of it opens another."""
    ann, bob = await people.user(), await people.user()
    for user in (ann, bob):
        await session_of(user)
    async with (
        run_gateway() as running,
        listener(running, ann) as first,
        listener(running, ann) as second,
        listener(running, bob) as other,
    ):
        await first.connect()
        await second.connect(ticket=people.ticket(ann))
        await other.connect()
        await owner.execute("UPDATE sessions SET revoked_at = clock_timestamp() WHERE id = $1", ann)
        assert [await each.until_closed() for each in (first, second)] == [CloseCode.SIGN_IN] * 2
        assert first.frames[-1]["code"] == "session_ended"
        for credential in ({}, {"ticket": people.ticket(ann)}):
            with pytest.raises(ListenerClosed, match="4401"):
                await first.connect(**credential)
            assert first.frames[-1]["code"] == "session_ended"
        refreshed = await other.ask({"t": "refresh", "token": people.token(bob)})
        assert refreshed["ok"]
        assert not (await other.ask({"t": "refresh", "token": people.token(ann)}))["ok"]


async def test_a_gateway_learns_at_its_start_what_ended_before(run_gateway, listener, people, session_of):
    """A token of a session that ended a moment ago opens nothing at a new gateway, once that has read it."""
    ann = await people.user()
    await session_of(ann, revoked=True)
    async with run_gateway() as running, listener(running, ann) as client:

        async def refused():
            try:
                await client.connect()
            except ListenerClosed:
                return True
            return False

        await eventually(refused)
        assert client.frames[-1]["code"] == "session_ended"
