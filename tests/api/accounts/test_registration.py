"""Registration makes an account with a personal workspace, once per e-mail address."""

import asyncio

import asyncpg
import pytest

from taskbell.api.accounts.service import Allowed
from taskbell.testing.waiting import eventually

PASSWORD = "correct horse battery staple"


@pytest.mark.feature("H1", "P1")
async def test_registering_makes_a_signed_in_account(api, sign_up):
    """A new account can at once read itself with the token it got."""
    account = await sign_up(email="Ann@Example.com", name=" Ann ")
    answer = await api.get("/v1/me", headers=account.headers)
    assert answer.status_code == 200
    found = answer.json()
    assert found["email"] == "ann@example.com"
    assert found["name"] == "Ann"
    assert found["time_zone"] == "UTC"
    assert found["personal_workspace_id"] == account.workspace_id


async def test_the_answer_is_whole_and_stays_in_no_cache(api):
    """Registration returns a sign-in and the user; without a name, the name comes from the address."""
    answer = await api.post("/v1/auth/register", json={"email": "ann@example.com", "password": PASSWORD})
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    found = answer.json()
    assert set(found) == {
        "user",
        "access_token",
        "refresh_token",
        "token_type",
        "expires_in",
        "device_token",
    }
    assert set(found["user"]) == {
        "id",
        "email",
        "name",
        "time_zone",
        "quiet_hours",
        "digest_at",
        "personal_workspace_id",
        "email_confirmed_at",
        "created_at",
    }
    assert found["user"]["name"] == "ann"
    assert found["user"]["created_at"].endswith("Z")
    assert (found["token_type"], found["expires_in"]) == ("Bearer", 1800)
    assert PASSWORD not in answer.text


@pytest.mark.feature("H18")
@pytest.mark.parametrize("email", ["ann@example.com", "ANN@EXAMPLE.COM", "ann@eXample.com"])
async def test_an_address_is_registered_once(api, sign_up, email):
    """The same address again, in whatever letter case, is a conflict with a stable code."""
    await sign_up(email="ann@example.com")
    answer = await api.post("/v1/auth/register", json={"email": email, "password": PASSWORD, "name": "Other"})
    assert (answer.status_code, answer.json()["code"]) == (409, "email_taken")


async def test_simultaneous_registrations_of_one_address_make_one_account(api, database):
    """Of many at the same time one wins; the others leave neither user nor workspace behind."""
    body = {"email": "ann@example.com", "password": PASSWORD}
    answers = await asyncio.gather(*(api.post("/v1/auth/register", json=body) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    connection = await asyncpg.connect(database.superuser_url)
    for table in ("users", "workspaces", "memberships", "sessions"):
        assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 1
    await connection.close()


async def test_secrets_are_stored_as_hashes(api, sign_up, database):
    """Neither the password nor a refresh token stands in the database."""
    account = await sign_up()
    connection = await asyncpg.connect(database.superuser_url)
    for table in ("users", "refresh_tokens", "sessions"):
        text = str(await connection.fetch(f"SELECT t::text FROM {table} t"))
        assert account.password not in text
        assert account.refresh_token not in text
    await connection.close()


@pytest.mark.feature("M35")
@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"email": "ann"}, "/email"),
        ({"email": "a" * 400 + "@example.com"}, "/email"),
        ({"email": "a\x00b@example.com"}, "/email"),
        ({"email": None}, "/email"),
        ({"email": 7}, "/email"),
        ({"password": "short"}, "/password"),
        ({"password": "x" * 257}, "/password"),
        ({"password": "correct\x00horse"}, "/password"),
        ({"name": ""}, "/name"),
        ({"name": "   "}, "/name"),
        ({"name": "x" * 256}, "/name"),
        ({"name": "a\x00b"}, "/name"),
        ({"role": "admin"}, "/role"),
    ],
)
async def test_a_bad_field_is_named(api, change, pointer):
    """A wrong field is a 422 that points at it and does not repeat what was sent."""
    body = {"email": "ann@example.com", "password": PASSWORD, "name": "Ann"} | change
    answer = await api.post("/v1/auth/register", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert PASSWORD not in answer.text


@pytest.mark.feature("M35")
async def test_half_a_surrogate_pair_is_no_text(api):
    """An escaped lone surrogate is refused, not stored broken."""
    raw = b'{"email":"ann@example.com","password":"correct horse","name":"\\ud800"}'
    answer = await api.post("/v1/auth/register", content=raw, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_json")


async def test_registrations_from_one_address_are_limited(app, api, api_from):
    """A flood from one address must wait, whether accounts are made or not; sign-ins and other addresses go on."""
    app.state.services.accounts._allowed = Allowed(failures=10, registrations=3)
    account = {"email": "ann@example.com", "password": PASSWORD}
    flood = [account, account, account | {"email": "b@example.com"}, account | {"email": "c@example.com"}]
    answers = [await api.post("/v1/auth/register", json=body) for body in flood]
    assert [answer.status_code for answer in answers] == [201, 409, 201, 429]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 30
    assert (await api.post("/v1/auth/login", json=account)).status_code == 200
    other = await api_from("192.0.2.2")
    assert (await other.post("/v1/auth/register", json=flood[-1])).status_code == 201


async def test_a_flood_of_registrations_keeps_nobody_from_signing_in(app, api, api_from, sign_up, monkeypatch):
    """While registrations from many addresses have all the places that they may have, a sign-in succeeds."""
    ann = await sign_up()
    passwords, go_on = app.state.services.accounts._passwords, asyncio.Event()
    hashing = passwords.hash

    async def slow(password, **arguments):
        await go_on.wait()
        return await hashing(password, **arguments)

    monkeypatch.setattr(passwords, "hash", slow)
    clients = [await api_from(f"198.51.100.{number}") for number in range(70)]
    flood = [
        asyncio.create_task(
            client.post("/v1/auth/register", json={"email": f"{number}@example.com", "password": PASSWORD})
        )
        for number, client in enumerate(clients)
    ]
    await eventually(lambda: sum(task.done() for task in flood), "refusals", wanted=lambda refused: refused == 52)
    assert (await api.post("/v1/auth/login", json={"email": ann.email, "password": PASSWORD})).status_code == 200
    go_on.set()
    answers = [answer.status_code for answer in await asyncio.gather(*flood)]
    assert (answers.count(201), answers.count(503)) == (18, 52)
