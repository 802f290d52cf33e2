"""An address without an account gets a letter, whose token makes its reader a member once, and gives no more."""

import asyncio
import json
from hashlib import sha256

import asyncpg
import pytest

from joining import join
from taskbell.api.invitations.policy import Bounds
from taskbell.local import db

ACCEPT = "/v1/invitations/accept"
_LETTERS = "SELECT payload, state FROM deliveries WHERE event_type = 'email.invitation' ORDER BY id"
_WRITTEN = "SELECT (SELECT count(*) FROM invitation_letters), (SELECT count(*) FROM deliveries)"
_OF_A_REQUEST = {"x-request-id", "taskbell-consistency", "ratelimit"}
"""Headers that differ in any two answers."""
_OF_THE_PROCESS = ("taskbell.revoked_sessions", "taskbell.refused_workspaces")
"""What a process reads now and then, for no request."""


@pytest.fixture
def invited(garden, rows):
    """Invites an address, and returns the invitation with the token of the letter, as only its reader knows it."""

    async def invite(email, role="member", *, by=None):
        answer = await garden.invite(email, role, by=by)
        assert answer.status_code == 201, answer.text
        sent = (await rows(_LETTERS))[-1]
        assert sent["state"] == "pending"
        return answer.json(), json.loads(sent["payload"])["data"]["token"]

    return invite


@pytest.fixture
def accept(api):
    """Gives a token back."""

    async def give(token, *, by):
        return await api.post(ACCEPT, json={"token": token}, headers=by.headers)

    return give


class TestAccepting:
    """With the strict setting: a reader of the letter needs no other confirmation of the address."""

    @pytest.fixture
    def overrides(self):
        """Only users with a confirmed address accept."""
        return {"invitations_need_confirmed_email": True}

    @pytest.mark.feature("T5")
    async def test_who_registers_with_the_letter_joins_once(self, garden, invited, accept, sign_up, rows):
        """The token makes the reader a member with the role, and confirms the address; then it is used up."""
        _, token = await invited("late@example.com", "admin")
        late = await sign_up(email="late@example.com")
        joined = await accept(token, by=late)
        assert (joined.status_code, joined.json()["name"], joined.json()["role"]) == (200, "Garden", "admin")
        assert [row["type"] for row in await rows("SELECT type FROM events")] == ["member.added"]
        confirmed = await rows("SELECT email FROM users WHERE email_confirmed_at IS NOT NULL")
        assert [row["email"] for row in confirmed] == [late.email]
        assert (await accept(token, by=late)).status_code == 404
        assert await garden.listed() == []

    async def test_whatever_is_wrong_with_a_token_has_one_answer(
        self, api, ann, garden, invited, accept, sign_up, rows
    ):
        """Unknown, of another address, withdrawn, replaced, expired, by somebody who may no longer invite."""
        eve = await sign_up(email="eve@example.com")
        await rows("UPDATE users SET email_confirmed_at = now()")
        await join(api, ann, eve, workspace_id=garden.id, role="admin")
        first, withdrawn = await invited("late@example.com")
        await garden.withdraw(first)
        second, ended = await invited("late@example.com", by=eve)
        late, other = await sign_up(email="late@example.com"), await sign_up(email="other@example.com")
        answers = [await accept(token, by=late) for token in ("unknown", withdrawn)]
        answers.append(await accept(ended, by=other))
        await api.delete(f"{garden.path}/members/{eve.user_id}", headers=ann.headers)
        assert (await garden.listed())[0]["state"] == "void"
        answers.append(await accept(ended, by=late))
        await join(api, ann, eve, workspace_id=garden.id, role="admin")
        await rows("UPDATE invitations SET expires_at = now() WHERE id = $1", second["id"])
        answers.append(await accept(ended, by=late))
        refused = {(answer.status_code, answer.json()["code"], answer.json()["detail"]) for answer in answers}
        assert len(refused) == 1
        assert refused.pop()[:2] == (404, "not_found")
        assert await rows("SELECT FROM users WHERE email = $1 AND email_confirmed_at IS NOT NULL", late.email) == []
        assert [each["id"] for each in await garden.found("workspaces", by=late)] == [late.workspace_id]

    @pytest.mark.parametrize("by", ["change", "reset"])
    async def test_a_new_password_makes_earlier_letters_useless(self, api, invited, accept, sign_up, rows, by):
        """Whoever read along before the change, or still holds the letter, does not join by it; it confirms nothing."""
        _, token = await invited("late@example.com")
        late = await sign_up(email="late@example.com")
        new = "another horse battery staple"
        if by == "change":
            body = {"current_password": late.password, "new_password": new}
            assert (await api.post("/v1/me/password", json=body, headers=late.headers)).status_code == 204
        else:
            await api.post("/v1/auth/password-reset", json={"email": late.email})
            (sent,) = await rows("SELECT payload FROM deliveries WHERE event_type = 'email.password_reset'")
            body = {"token": json.loads(sent["payload"])["data"]["token"], "password": new}
            assert (await api.post("/v1/auth/password-reset/confirm", json=body)).status_code == 204
        signed_in = await api.post("/v1/auth/login", json={"email": late.email, "password": new})
        headers = {"Authorization": f"Bearer {signed_in.json()['access_token']}"}
        assert (await api.post(ACCEPT, json={"token": token}, headers=headers)).status_code == 404

    async def test_of_simultaneous_uses_one_wins(self, invited, accept, sign_up, rows):
        """One token sent often at once: one membership, one event."""
        _, token = await invited("late@example.com")
        late = await sign_up(email="late@example.com")
        answers = await asyncio.gather(*(accept(token, by=late) for _ in range(8)))
        assert sorted(answer.status_code for answer in answers) == [200] + [404] * 7
        assert [row["type"] for row in await rows("SELECT type FROM events")] == ["member.added"]


class TestTelling:
    """One connection, so that all statements of a request pass by one listener."""

    @pytest.fixture
    def overrides(self):
        """One connection."""
        return {"database_pool_size": 1}

    @pytest.fixture
    def asked(self, app, garden, rows):
        """Invites an address; returns the answer without its ids, the statements, and how many letters they left."""

        async def ask(email):
            sent, database = [], app.state.services.database
            (before,) = await rows(_WRITTEN)

            def note(record):
                if not any(name in record.query for name in _OF_THE_PROCESS):
                    sent.append(record.query)

            async with database.connection() as connection:
                connection.add_query_logger(note)
            answer = await garden.invite(email)
            async with database.connection() as connection:
                connection.remove_query_logger(note)
            (after,) = await rows(_WRITTEN)
            headers = {name: value for name, value in answer.headers.items() if name not in _OF_A_REQUEST}
            told = {name: len(str(value)) for name, value in answer.json().items()}
            written = tuple(now - then for now, then in zip(after, before, strict=True))
            return (answer.status_code, told, headers), tuple(sent), written

        return ask

    async def test_every_address_has_the_same_answer_and_path(self, asked, sign_up, rows):
        """With an account, without one, and with enough letters: the same answer, statements and rows of letters."""
        await sign_up(email="known@example.com")
        await asked("warmx@example.com")  # asyncpg learns the types of a statement once
        addresses = (
            "known@example.com",
            "nobod@example.com",
            *[f"v+{number}@example.com" for number in range(100, 104)],
        )
        found = [await asked(email) for email in addresses]
        assert [shape == found[0] for shape in found] == [True] * 6
        assert found[0][0][0] == 201
        assert found[0][2] == (1, 1)
        states = [row["state"] for row in await rows(_LETTERS)]
        assert states == ["pending", "withdrawn", *["pending"] * 4, "withdrawn"]
        assert len(await rows("SELECT FROM notifications")) == 1


async def test_the_token_is_stored_as_its_hash(invited, rows):
    """The table of letters has none that could be used."""
    _, token = await invited("late@example.com")
    (row,) = await rows("SELECT l::text AS text, token_hash FROM invitation_letters l")
    assert row["token_hash"] == sha256(token.encode()).digest()
    assert token not in row["text"]


async def test_who_has_not_confirmed_an_address_sends_no_words(garden, ann, rows):
    """A letter names the workspace and its inviter only after the inviter's own address was confirmed."""
    await garden.invite("first@example.com")
    await rows("UPDATE users SET email_confirmed_at = now()")
    await garden.invite("second@example.com")
    first, second = (json.loads(row["payload"])["data"] for row in await rows(_LETTERS))
    names = ("workspace_name", "inviter_name", "inviter_email")
    assert [first[name] for name in names] == [None] * 3
    assert [second[name] for name in names] == ["Garden", "Ann", ann.email]


async def test_a_mailbox_gets_so_many_letters_a_day(found_garden, sign_up, rows):
    """Ten, of one user three, whatever the tags; past them the invitation stands, and its letter is not sent."""
    bounds = Bounds(members=1, of_workspace=1, by_user=50, to_recipient=1).letters
    for number in range(4):
        garden = await found_garden(await sign_up())
        for time in range(4):
            assert (await garden.invite(f"victim+{number}{time}@example.com")).status_code == 201
    states = [row["state"] for row in await rows(_LETTERS)]
    assert (bounds.by_user_to_mailbox, bounds.to_mailbox) == (3, 10)
    assert states == [*["pending"] * 3, "withdrawn"] * 3 + ["pending"] + ["withdrawn"] * 3
    await rows("UPDATE invitation_letters SET created_at = now() - interval '2 days'")
    await garden.invite("victim+again@example.com")
    assert (await rows(_LETTERS))[-1]["state"] == "pending"


class TestPerInviter:
    """With small bounds."""

    @pytest.fixture
    def overrides(self):
        """Two invitations of a user at a time, which end at once."""
        return {"invitations_per_user": 2}

    async def test_an_inviter_sends_so_many_letters_a_day(self, garden, rows):
        """As many as invitations at a time, also when these have ended meanwhile."""
        for number in range(4):
            assert (await garden.invite(f"p{number}@example.com")).status_code == 201
            await rows("UPDATE invitations SET expires_at = now()")
        assert [row["state"] for row in await rows(_LETTERS)] == ["pending", "pending", "withdrawn", "withdrawn"]


async def test_administrators_see_what_became_of_invitations(garden, rows):
    """Open ones by default; withdrawn and expired ones, too, when asked for; a cursor is for the same question."""
    made = [(await garden.invite(f"p{number}@example.com")).json() for number in range(3)]
    await garden.withdraw(made[0])
    await rows("UPDATE invitations SET expires_at = now() WHERE id = $1", made[1]["id"])
    assert await garden.listed() == [made[2]]
    assert [each["state"] for each in await garden.listed(ended="true")] == ["withdrawn", "expired", "open"]


async def test_the_database_keeps_letters_from_the_api(database, invited, sign_up):
    """The API's role reads and writes none, and finds an invitation by a token only for the account that it is for."""
    _, token = await invited("late@example.com")
    late, other = await sign_up(email="late@example.com"), await sign_up(email="other@example.com")
    digest = sha256(token.encode()).digest()
    async with db.connected(database.api_url) as connection:
        for user, found in ((late, True), (other, False)):
            async with connection.transaction():
                await connection.execute("SELECT set_config('taskbell.actor', $1, true)", user.user_id)
                value = await connection.fetchval("SELECT taskbell.invitation_of_letter($1)", digest)
            assert (value is not None) == found
        for statement in ("SELECT FROM invitation_letters", "DELETE FROM invitation_letters"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
