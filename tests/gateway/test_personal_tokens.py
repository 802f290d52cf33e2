"""Personal access tokens at the gateway: by header, by first frame, by ticket; and their end."""

from datetime import UTC, datetime, timedelta

import pytest

from taskbell.contract import personal_tokens
from taskbell.contract.frames import CloseCode
from taskbell.kit.ids import new_id
from taskbell.local import db
from taskbell.testing.waiting import eventually


@pytest.fixture
async def owner(database):
    """A connection as the schema's owner."""
    async with db.connected(database.owner_url) as connection:
        yield connection


@pytest.fixture
def make_token(owner):
    """Makes a token of a user; returns its id and its text."""

    async def make(user, *scopes, lives=timedelta(days=1)):
        token, token_id = personal_tokens.make(), new_id()
        await owner.execute(
            "INSERT INTO personal_tokens (id, user_id, name, scopes, token_hash, expires_at)"
            " VALUES ($1, $2, 'Program', $3, $4, $5)",
            token_id,
            user,
            list(scopes) or ["events:read"],
            personal_tokens.digest(token),
            datetime.now(UTC) + lives,
        )
        return token_id, token

    return make


_ENDS = {
    "deleted": "DELETE FROM personal_tokens WHERE id = $1",
    "expired": "UPDATE personal_tokens SET expires_at = now() WHERE id = $1",
}


@pytest.mark.parametrize("end", _ENDS)
@pytest.mark.parametrize("way", ["header", "first frame", "ticket", "refresh"])
async def test_a_connection_ends_with_its_token(run_gateway, people, listener, make_token, owner, way, end):
    """However the token came, the connection is served until it is deleted or expires; then it closes with 4401."""
    user = await people.user()
    token_id, token = await make_token(user)
    async with run_gateway() as running, listener(running, user) as one, listener(running, user) as other:
        await other.connect()
        if way != "refresh":
            one.token = token
        ticket = people.ticket(user, personal_token_id=token_id) if way == "ticket" else None
        await one.connect(ticket=ticket, first_frame=way == "first frame")
        if way == "refresh":
            assert (await one.ask({"t": "refresh", "token": token}))["ok"]
        await owner.execute(_ENDS[end], token_id)
        assert await one.until_closed() == CloseCode.SIGN_IN
        assert one.frames[-1]["code"] == "token_ended"
        assert other.close_code is None


async def test_a_connection_that_went_on_to_a_session_stays(run_gateway, people, listener, make_token, owner):
    """After a refresh with an access token the connection does not depend on the personal one any more."""
    user = await people.user()
    (_, token), (_, witness_token) = await make_token(user), await make_token(user)
    async with run_gateway() as running, listener(running, user) as one, listener(running, user) as witness:
        one.token, witness.token = token, witness_token
        await one.connect()
        await witness.connect()
        assert (await one.ask({"t": "refresh", "token": people.token(user)}))["ok"]
        await owner.execute("DELETE FROM personal_tokens")
        assert await witness.until_closed() == CloseCode.SIGN_IN  # the gateway has looked
        assert (await one.ask({"t": "subscribe", "channel": "me", "id": 1}))["ok"]


async def test_a_refused_refresh_changes_nothing(run_gateway, people, listener, make_token, owner):
    """Refreshed with a token of a session that has ended, a connection goes on: it still ends with its own token."""
    user = await people.user()
    token_id, token = await make_token(user)
    session = (
        "INSERT INTO sessions (id, user_id, expires_at, revoked_at) VALUES ($1, $1, now() + interval '1 day', now())"
    )
    await owner.execute(session, user)
    async with run_gateway() as running, listener(running, user) as one:
        one.token = token
        await one.connect()
        await eventually(
            lambda: one.ask({"t": "refresh", "token": people.token(user)}),
            "the gateway knows that the session has ended",
            wanted=lambda answer: not answer["ok"],
        )
        await owner.execute(_ENDS["deleted"], token_id)
        assert await one.until_closed() == CloseCode.SIGN_IN
        assert one.frames[-1]["code"] == "token_ended"


async def test_without_its_scope_a_token_does_not_connect(run_gateway, people, listener, make_token):
    """A token that may do everything but follow events is forbidden, and told so."""
    user = await people.user()
    _, token = await make_token(user, "tasks:write", "profile:write")
    async with run_gateway() as running, listener(running, user) as one:
        one.token = token
        await one.open()
        assert await one.until_closed() == CloseCode.FORBIDDEN
        assert one.frames[0]["code"] == "insufficient_scope"


@pytest.mark.parametrize("kind", ["truncated", "unknown", "expired"])
async def test_a_wrong_token_does_not_connect(run_gateway, people, listener, make_token, kind):
    """A token that is not whole, of nobody, or over closes with 4401."""
    user = await people.user()
    _, token = await make_token(user, lives=timedelta(seconds=-1))
    async with run_gateway() as running, listener(running, user) as one:
        one.token = {"truncated": token[:-1], "unknown": personal_tokens.make(), "expired": token}[kind]
        await one.open()
        assert await one.until_closed() == CloseCode.SIGN_IN
        assert one.frames[0]["code"] == "sign_in_refused"


async def test_a_ticket_of_a_token_that_is_gone_serves_for_less_than_a_second(
    run_gateway, people, listener, make_token, owner
):
    """A ticket outlives its token by half a minute; a connection made with it does not."""
    user = await people.user()
    token_id, _ = await make_token(user)
    ticket = people.ticket(user, personal_token_id=token_id)
    await owner.execute("DELETE FROM personal_tokens")
    async with run_gateway() as running, listener(running, user) as one:
        await one.open(ticket=ticket)
        assert await one.until_closed() == CloseCode.SIGN_IN
        assert one.frames[-1]["code"] == "token_ended"


async def test_nothing_is_asked_without_such_connections(run_gateway, people, listener, make_token, owner):
    """The watch forgets a connection that has gone, so that PostgreSQL is not asked forever."""
    user = await people.user()
    _, token = await make_token(user)
    async with run_gateway() as running, listener(running, user) as one:
        watch = running.server._around.watch
        one.token = token
        await one.connect()
        assert len(watch._watched) == 1
        await one.close()
        await eventually(lambda: not watch._watched, "the watch to forget")
