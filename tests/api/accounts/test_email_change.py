"""An account gets another address by the password and a token from the new mailbox; the former address is told."""

import asyncio
import json

import asyncpg
import pytest

CHANGE, CONFIRM = "/v1/me/email", "/v1/me/email/confirm"
NEW = "new@example.com"


@pytest.fixture
async def owner(database):
    """A connection that sees everything."""
    connection = await asyncpg.connect(database.superuser_url)
    yield connection
    await connection.close()


@pytest.fixture
def messages(owner):
    """What is on its way: type and data of each message, the newest first."""

    async def read():
        rows = await owner.fetch("SELECT payload FROM deliveries WHERE channel = 'email' ORDER BY id DESC")
        found = [json.loads(row["payload"]) for row in rows]
        return [(each["type"], each["data"]) for each in found]

    return read


@pytest.fixture
def token_of(api, messages):
    """Asks for the change and returns the token, as only the new mailbox's owner reads it."""

    async def ask(account, email=NEW):
        body = {"email": email, "password": account.password}
        answer = await api.post(CHANGE, json=body, headers=account.headers)
        assert (answer.status_code, answer.json()["email"]) == (202, email)
        kind, data = (await messages())[0]
        assert (kind, data["to"]) == ("email.change", email)
        assert data["token"] not in answer.text
        return data["token"]

    return ask


@pytest.fixture
def confirm(api):
    """Gives a token back."""

    async def give(account, token):
        return await api.post(CONFIRM, json={"token": token}, headers=account.headers)

    return give


REFUSED = (400, "invalid_confirmation")


def _told(answer):
    return answer.status_code, answer.json()["code"]


async def test_an_address_is_changed(api, sign_up, token_of, confirm, messages):
    """Nothing changes before the token comes back; then the new address signs in, and the former one is told."""
    ann = await sign_up()
    token = await token_of(ann)
    assert (await api.get("/v1/me", headers=ann.headers)).json()["email"] == ann.email
    answer = await confirm(ann, token)
    assert (answer.status_code, answer.json()["email"]) == (200, NEW)
    assert answer.json()["email_confirmed_at"] is not None
    for email, status in ((ann.email, 401), (NEW, 200)):
        signed_in = await api.post("/v1/auth/login", json={"email": email, "password": ann.password})
        assert signed_in.status_code == status
    assert (await messages())[0] == ("email.changed", {"to": ann.email})
    assert _told(await confirm(ann, token)) == REFUSED


async def test_the_password_is_needed_and_guarded(api, sign_up, messages):
    """Wrong or missing it is a 422 at its field, and guesses are throttled; no message is sent."""
    ann = await sign_up()
    for body in ({"email": NEW}, *[{"email": NEW, "password": "wrong"}] * 9):
        answer = await api.post(CHANGE, json=body, headers=ann.headers)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/password")
    body = {"email": NEW, "password": ann.password}
    assert (await api.post(CHANGE, json=body, headers=ann.headers)).status_code == 429
    assert await messages() == []


async def test_without_a_password_the_sign_in_must_be_fresh(api, sign_up, owner):
    """Within 15 minutes it counts in place of the password, later it does not."""
    ann = await sign_up()
    await owner.execute("UPDATE users SET password_hash = NULL")
    assert (await api.post(CHANGE, json={"email": NEW}, headers=ann.headers)).status_code == 202
    await owner.execute("UPDATE sessions SET created_at = created_at - interval '15 minutes'")
    answer = await api.post(CHANGE, json={"email": NEW}, headers=ann.headers)
    assert _told(answer) == (403, "sign_in_again")


async def test_whatever_is_wrong_with_a_token_has_one_answer(sign_up, token_of, confirm, owner):
    """Unknown, of another account, expired, used, or for an address that the account has no more: all the same."""
    ann, bob = await sign_up(), await sign_up()
    answers = [await confirm(ann, "unknown"), await confirm(bob, await token_of(ann))]
    for change in (
        "UPDATE email_confirmations SET expires_at = now()",
        "UPDATE email_confirmations SET used_at = now()",
        "UPDATE email_confirmations SET former_email = 'another@example.com'",
    ):
        token = await token_of(ann)
        await owner.execute(change)
        answers.append(await confirm(ann, token))
    assert {(*_told(answer), answer.json()["detail"]) for answer in answers} == {
        (*REFUSED, answers[0].json()["detail"])
    }
    assert await owner.fetchval("SELECT count(*) FROM users WHERE email = $1", NEW) == 0


async def test_an_address_that_is_taken_shows_only_to_its_reader(api, sign_up, token_of, confirm, messages):
    """The request is answered as for any other address; whoever reads the mailbox gets a 409, and nothing changes."""
    ann, bob = await sign_up(), await sign_up()
    token = await token_of(ann, bob.email)
    assert _told(await confirm(ann, token)) == (409, "email_taken")
    assert (await api.get("/v1/me", headers=ann.headers)).json()["email"] == ann.email
    assert [kind for kind, _ in await messages()] == ["email.change"]


async def test_the_present_address_is_no_change(api, sign_up):
    """It is a 422 at its field, also in other letters."""
    ann = await sign_up()
    body = {"email": ann.email.upper(), "password": ann.password}
    answer = await api.post(CHANGE, json=body, headers=ann.headers)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/email")


async def test_of_simultaneous_changes_one_wins(sign_up, token_of, confirm, messages):
    """Two tokens at once: one address is the account's, and only the former one is told."""
    ann = await sign_up()
    tokens = [await token_of(ann, f"new{number}@example.com") for number in range(2)]
    answers = await asyncio.gather(*(confirm(ann, token) for token in tokens))
    assert sorted(answer.status_code for answer in answers) == [200, 400]
    assert [data for kind, data in await messages() if kind == "email.changed"] == [{"to": ann.email}]


async def test_a_mailbox_gets_few_messages(api, sign_up, token_of):
    """Five in a day, whichever accounts ask."""
    people = [await sign_up() for _ in range(2)]
    for number in range(5):
        await token_of(people[number % 2])
    body = {"email": NEW, "password": people[0].password}
    assert (await api.post(CHANGE, json=body, headers=people[0].headers)).status_code == 429


async def test_changes_take_nothing_from_the_mailbox_of_an_account(api, sign_up, token_of):
    """Whoever asks for another's address uses up none of the messages that the owner of the mailbox may get."""
    ann, bob = await sign_up(), await sign_up(email=NEW)
    for _ in range(5):
        await token_of(ann)
    assert (await api.post("/v1/me/email/confirmation", headers=bob.headers)).status_code == 202


@pytest.mark.parametrize("by", ["a new password", "a reset"])
async def test_a_new_password_ends_changes_that_were_asked_for(api, sign_up, token_of, confirm, owner, by):
    """A token for another address, asked for by somebody who knew the former password, is worth nothing then."""
    ann = await sign_up()
    token = await token_of(ann)
    if by == "a reset":
        assert (await api.post("/v1/auth/password-reset", json={"email": ann.email})).status_code == 202
        payload = await owner.fetchval("SELECT payload FROM deliveries ORDER BY id DESC LIMIT 1")
        body = {"token": json.loads(payload)["data"]["token"], "password": "another passphrase"}
        assert (await api.post("/v1/auth/password-reset/confirm", json=body)).status_code == 204
        signed_in = await api.post("/v1/auth/login", json={"email": ann.email, "password": "another passphrase"})
        ann.headers["Authorization"] = f"Bearer {signed_in.json()['access_token']}"
    else:
        body = {"current_password": ann.password, "new_password": "another passphrase"}
        assert (await api.post("/v1/me/password", json=body, headers=ann.headers)).status_code == 204
    assert _told(await confirm(ann, token)) == REFUSED


async def test_resets_for_the_former_address_are_worth_nothing(api, sign_up, token_of, confirm, owner):
    """A token that resets the password went to an address that is not the account's any more."""
    ann = await sign_up()
    await api.post("/v1/auth/password-reset", json={"email": ann.email})
    payload = await owner.fetchval("SELECT payload FROM deliveries WHERE state = 'pending'")
    await confirm(ann, await token_of(ann))
    body = {"token": json.loads(payload)["data"]["token"], "password": "another passphrase"}
    answer = await api.post("/v1/auth/password-reset/confirm", json=body)
    assert _told(answer) == (400, "invalid_password_reset")
