"""A forgotten password is set again by a token from the mailbox, which works once; strangers learn and gain nothing."""

import asyncio
import json
from hashlib import sha256

import asyncpg
import pytest

from taskbell.api import metrics
from taskbell.local import db
from taskbell.testing.waiting import eventually

REQUEST, CONFIRM = "/v1/auth/password-reset", "/v1/auth/password-reset/confirm"
NEW = "another horse battery staple"


@pytest.fixture
async def owner(database):
    """A connection that sees everything."""
    connection = await asyncpg.connect(database.superuser_url)
    yield connection
    await connection.close()


@pytest.fixture
def token_of(api, owner):
    """Asks for a message and returns its token, as only the mailbox's owner reads it."""

    async def ask(email):
        answer = await api.post(REQUEST, json={"email": email})
        assert (answer.status_code, answer.content) == (202, b"")
        payload = await owner.fetchval(
            "SELECT payload FROM deliveries WHERE state = 'pending' ORDER BY id DESC LIMIT 1"
        )
        return json.loads(payload)["data"]["token"]

    return ask


@pytest.fixture
def confirm(api):
    """Gives a token back with a password."""

    async def give(token, password=NEW):
        return await api.post(CONFIRM, json={"token": token, "password": password})

    return give


@pytest.fixture
def sign_in(api):
    """Tries to sign in; returns the status."""

    async def enter(account, password):
        return (await api.post("/v1/auth/login", json={"email": account.email, "password": password})).status_code

    return enter


def _refused(answer):
    return answer.status_code, answer.json()["code"]


REFUSED = (400, "invalid_password_reset")


async def test_a_forgotten_password_is_set_again(api, sign_up, token_of, confirm, sign_in, owner):
    """Only the new password signs in, all sessions have ended, the address is confirmed, and the token is used up."""
    ann, bob = await sign_up(), await sign_up()
    token = await token_of(ann.email.upper())
    done = metrics.PASSWORD_RESETS.labels(outcome="done")._value.get()
    assert (await confirm(token)).status_code == 204
    assert metrics.PASSWORD_RESETS.labels(outcome="done")._value.get() == done + 1
    assert [await sign_in(ann, password) for password in (ann.password, NEW)] == [401, 200]
    answer = await api.post("/v1/auth/refresh", json={"refresh_token": ann.refresh_token})
    assert answer.json()["code"] == "invalid_refresh_token"
    confirmed = await owner.fetch("SELECT email FROM users WHERE email_confirmed_at IS NOT NULL")
    assert [row[0] for row in confirmed] == [ann.email]
    assert _refused(await confirm(token, "a third passphrase")) == REFUSED
    assert await sign_in(bob, bob.password) == 200


async def test_whatever_is_wrong_with_a_token_has_one_answer(sign_up, token_of, confirm, sign_in, owner):
    """Unknown, expired, used, for a former address: all the same, and the password stays."""
    ann = await sign_up()
    answers = [await confirm("unknown")]
    for change in (
        "UPDATE password_resets SET expires_at = now()",
        "UPDATE password_resets SET used_at = now()",
        "UPDATE password_resets SET email = 'former@example.com'",
    ):
        token = await token_of(ann.email)
        await owner.execute(change)
        answers.append(await confirm(token))
        await owner.execute("UPDATE password_resets SET created_at = now() - interval '1 day'")
    assert {(*_refused(answer), answer.json()["detail"]) for answer in answers} == {
        (*REFUSED, answers[0].json()["detail"])
    }
    assert await sign_in(ann, ann.password) == 200


@pytest.mark.parametrize("was_confirmed", [True, False])
async def test_whoever_registered_anothers_address_keeps_no_way_in(
    api, sign_up, token_of, confirm, owner, was_confirmed
):
    """A reset ends tokens and webhooks of an account whose address nobody had confirmed; a confirmed one's stay."""
    ann = await sign_up()
    if was_confirmed:
        await owner.execute("UPDATE users SET email_confirmed_at = now()")
    body = {"name": "Program", "scopes": ["tasks:read"]}
    program = (await api.post("/v1/tokens", json=body, headers=ann.headers)).json()["token"]
    hook = {"url": "https://receiver.example.com/", "workspace_id": ann.workspace_id}
    assert (await api.post("/v1/webhooks", json=hook, headers=ann.headers)).status_code == 201
    assert (await confirm(await token_of(ann.email))).status_code == 204
    await eventually(
        lambda: api.get("/v1/tasks", headers={"Authorization": f"Bearer {program}"}),
        "the end of what is remembered",
        wanted=lambda answer: answer.status_code == (200 if was_confirmed else 401),
    )
    assert await owner.fetchval("SELECT count(*) FROM webhooks") == was_confirmed


async def test_the_token_is_stored_as_its_hash(sign_up, token_of, owner):
    """The table of tokens has none that could be used."""
    ann = await sign_up()
    token = await token_of(ann.email)
    row = await owner.fetchrow("SELECT p::text AS text, token_hash FROM password_resets p")
    assert row["token_hash"] == sha256(token.encode()).digest()
    assert token not in row["text"]


@pytest.mark.parametrize("by", ["change", "reset"])
async def test_a_new_password_makes_all_tokens_useless(api, sign_up, token_of, confirm, sign_in, by):
    """Whether the user changed the password or another token reset it, those sent before set none."""
    ann = await sign_up()
    first, second = await token_of(ann.email), await token_of(ann.email)
    if by == "change":
        body = {"current_password": ann.password, "new_password": NEW}
        assert (await api.post("/v1/me/password", json=body, headers=ann.headers)).status_code == 204
    else:
        assert (await confirm(second)).status_code == 204
    assert _refused(await confirm(first, "a third passphrase")) == REFUSED
    assert await sign_in(ann, NEW) == 200


@pytest.mark.parametrize("tokens", [1, 2])
async def test_of_simultaneous_uses_one_wins(sign_up, token_of, api_from, sign_in, tokens):
    """One token sent often at once, or two of them: one answer is 204, and its password signs in."""
    ann = await sign_up()
    sent = [await token_of(ann.email) for _ in range(tokens)]
    clients = [await api_from(f"203.0.113.{number}") for number in range(8)]  # one address would take turns
    answers = await asyncio.gather(
        *(
            client.post(CONFIRM, json={"token": sent[number % tokens], "password": f"passphrase {number}"})
            for number, client in enumerate(clients)
        )
    )
    statuses = [answer.status_code for answer in answers]
    assert sorted(statuses) == [204] + [400] * 7
    assert await sign_in(ann, f"passphrase {statuses.index(204)}") == 200


async def test_a_refused_password_costs_no_token(sign_up, token_of, confirm):
    """A password that is too short is 422, and the token still works."""
    ann = await sign_up()
    token = await token_of(ann.email)
    answer = await confirm(token, "short")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/password")
    assert (await confirm(token)).status_code == 204


async def test_who_guessed_the_own_password_too_often_signs_in_after_a_reset(sign_up, token_of, confirm, sign_in):
    """The pauses after wrong passwords end with the reset."""
    ann = await sign_up()
    assert [await sign_in(ann, "wrong password") for _ in range(11)] == [401] * 10 + [429]
    assert (await confirm(await token_of(ann.email))).status_code == 204
    assert await sign_in(ann, NEW) == 200


async def test_tags_are_one_mailbox(sign_up, api, owner):
    """Accounts with tags of one mailbox get three messages together, and its own address gets its own."""
    for tag in "abcd":
        await sign_up(email=f"victim+{tag}@example.com")
        await api.post(REQUEST, json={"email": f"victim+{tag}@example.com"})
    await sign_up(email="victim@example.com")
    await api.post(REQUEST, json={"email": "victim@example.com"})
    assert await owner.fetchval("SELECT count(*) FROM deliveries WHERE state = 'pending'") == 4


async def test_wrong_tokens_make_a_client_wait(confirm, api_from):
    """Twenty from one address, then it must wait; another address need not."""
    answers = [(await confirm("unknown")).status_code for _ in range(21)]
    assert answers == [400] * 20 + [429]
    other = await api_from("203.0.113.1")
    assert (await other.post(CONFIRM, json={"token": "unknown", "password": NEW})).status_code == 400


async def test_the_database_keeps_tokens_from_the_api(database, sign_up, token_of):
    """The API's role adds no row, sees none without an actor, and changes none but the actor's use of it."""
    ann, bob = await sign_up(), await sign_up()
    await token_of(ann.email)
    async with db.connected(database.api_url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM password_resets") == 0
        for account, changed in ((bob, "UPDATE 0"), (ann, "UPDATE 1")):
            async with connection.transaction():
                await connection.execute("SELECT set_config('taskbell.actor', $1, true)", account.user_id)
                assert await connection.execute("UPDATE password_resets SET used_at = NULL") == changed
        for statement in (
            "UPDATE password_resets SET expires_at = now() + interval '1 day'",
            "INSERT INTO password_resets (mailbox, token_hash, expires_at) VALUES (sha256(''), sha256(''), now())",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
