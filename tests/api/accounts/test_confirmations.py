"""The address of an account is confirmed by its owner alone, and strangers get few messages."""

import json

import asyncpg
import pytest

REQUEST, CONFIRM = "/v1/me/email/confirmation", "/v1/me/email/confirm"


@pytest.fixture
async def owner(database):
    """A connection that sees everything."""
    connection = await asyncpg.connect(database.superuser_url)
    yield connection
    await connection.close()


@pytest.fixture
def token_of(api, owner):
    """Asks for a message and returns its token, as only the mailbox's owner reads it."""

    async def ask(account):
        answer = await api.post(REQUEST, headers=account.headers)
        assert answer.status_code == 202
        assert answer.json()["email"] == account.email
        payload = await owner.fetchval("SELECT payload FROM deliveries ORDER BY id DESC LIMIT 1")
        found = json.loads(payload)["data"]["token"]
        assert found not in answer.text
        return found

    return ask


async def test_an_address_is_confirmed_once(api, sign_up, token_of):
    """The token of the message confirms the address of the account; then there is nothing to ask for."""
    ann = await sign_up()
    answer = await api.post(CONFIRM, json={"token": await token_of(ann)}, headers=ann.headers)
    assert answer.status_code == 200
    assert answer.json()["email_confirmed_at"] is not None
    assert (await api.get("/v1/me", headers=ann.headers)).json() == answer.json()
    again = await api.post(REQUEST, headers=ann.headers)
    assert (again.status_code, again.json()["code"]) == (409, "email_confirmed")


async def test_whatever_is_wrong_with_a_token_has_one_answer(api, sign_up, token_of, owner):
    """Unknown, of another account, for a former address, expired, used: all the same, and nothing is confirmed."""
    ann, bob = await sign_up(), await sign_up()
    answers = []

    async def confirm(token, account=ann):
        answers.append(await api.post(CONFIRM, json={"token": token}, headers=account.headers))

    await confirm("unknown")
    first = await token_of(ann)
    await confirm(first, bob)
    await owner.execute("UPDATE email_confirmations SET email = 'former@example.com'")
    await confirm(first)
    second = await token_of(ann)
    await owner.execute("UPDATE email_confirmations SET expires_at = now()")
    await confirm(second)
    third = await token_of(ann)
    await owner.execute("UPDATE email_confirmations SET used_at = now()")
    await confirm(third)
    assert await owner.fetchval("SELECT count(email_confirmed_at) FROM users") == 0
    assert {(answer.status_code, answer.json()["code"], answer.json()["detail"]) for answer in answers} == {
        (400, "invalid_confirmation", answers[0].json()["detail"])
    }


async def test_a_mailbox_gets_few_messages(api, sign_up, owner):
    """Five in a day for all accounts with tags of one mailbox, and then its own address is confirmed all the same."""
    accounts = [await sign_up(email=f"victim+{tag}@example.com") for tag in "abc"]
    answers = [await api.post(REQUEST, headers=accounts[number % 3].headers) for number in range(7)]
    assert [answer.status_code for answer in answers] == [202] * 5 + [429] * 2
    assert 23 * 3600 < int(answers[-1].headers["retry-after"]) <= 24 * 3600
    victim = await sign_up(email="victim@example.com")
    own = [await api.post(REQUEST, headers=victim.headers) for _ in range(2)]
    assert [answer.status_code for answer in own] == [202] * 2
    assert await owner.fetchval("SELECT count(*) FROM deliveries") == 7
    await owner.execute("UPDATE email_confirmations SET created_at = created_at - interval '25 hours'")
    assert (await api.post(REQUEST, headers=accounts[0].headers)).status_code == 202


async def test_one_client_asks_for_few_messages(api, api_from, sign_up):
    """Ten for different mailboxes from one address, then it must wait; another address need not."""
    accounts = [await sign_up() for _ in range(11)]
    answers = [await api.post(REQUEST, headers=account.headers) for account in accounts]
    assert [answer.status_code for answer in answers] == [202] * 10 + [429]
    other = await api_from("203.0.113.1")
    assert (await other.post(REQUEST, headers=accounts[-1].headers)).status_code == 202
