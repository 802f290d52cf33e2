"""Registration makes an account with a personal workspace, once per e-mail address."""

import asyncio

import asyncpg
import pytest

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
    assert set(found) == {"user", "access_token", "refresh_token", "token_type", "expires_in"}
    assert set(found["user"]) == {"id", "email", "name", "time_zone", "personal_workspace_id", "created_at"}
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
