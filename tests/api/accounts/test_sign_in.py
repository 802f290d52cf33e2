"""Sign-in: JSON and form, one answer for all failures, throttled guesses."""

import asyncio

import asyncpg
import pytest

from taskbell.api.accounts.fairness import Purpose

EMAIL = "ann@example.com"


@pytest.fixture
def overrides():
    """Few failures are allowed, so that tests reach the limit soon."""
    return {"login_failures_allowed": 3}


@pytest.fixture
async def ann(sign_up):
    """The account that signs in."""
    return await sign_up(email=EMAIL)


@pytest.fixture
def sign_in(api):
    """Tries to sign in with JSON."""

    async def attempt(password, *, email=EMAIL):
        return await api.post("/v1/auth/login", json={"email": email, "password": password})

    return attempt


@pytest.mark.feature("M1", "P2", "P3", "H2")
@pytest.mark.parametrize("name", ["email", "username"])
async def test_signing_in_with_json(api, ann, name):
    """E-mail address (by either name, in any letter case) and password yield a pair of tokens that work."""
    answer = await api.post("/v1/auth/login", json={name: "ANN@example.com", "password": ann.password})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    found = answer.json()
    assert set(found) == {"access_token", "refresh_token", "token_type", "expires_in", "device_token"}
    mine = await api.get("/v1/me", headers={"Authorization": f"bearer {found['access_token']}"})
    assert mine.json()["id"] == ann.user_id


async def test_signing_in_with_an_oauth2_form(api, ann):
    """An OAuth2 client's password grant works as it sends it."""
    form = {"grant_type": "password", "username": EMAIL, "password": ann.password, "scope": "", "client_id": "app"}
    answer = await api.post("/v1/auth/login", data=form)
    assert answer.status_code == 200
    assert answer.json()["token_type"] == "Bearer"


@pytest.mark.parametrize(
    ("content", "status"),
    [
        ("username=ann@example.com", 422),
        ("password=x", 422),
        ("", 422),
        ("username=a&username=b&password=x", 422),
        ("grant_type=refresh_token&username=a&password=x", 422),
        ("username=%00&password=x", 422),
        ("username=%ff%fe&password=x", 401),
        ("username=" + "a" * 400 + "&password=x", 422),
        ("&".join(f"f{number}=1" for number in range(100)), 400),
    ],
)
async def test_a_bad_form_is_a_problem(api, content, status):
    """A form that lacks, repeats or garbles a field is refused as a problem document."""
    answer = await api.post(
        "/v1/auth/login", content=content, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"password": "x"}, 422),
        ({"email": EMAIL}, 422),
        ({"email": EMAIL, "username": EMAIL, "password": "x"}, 422),
        ({"email": EMAIL, "password": "x" * 300}, 422),
        ({"email": EMAIL, "password": "x", "admin": True}, 422),
        ([], 422),
    ],
)
async def test_a_bad_body_is_a_problem(api, body, status):
    """Neither, both or strange fields are refused."""
    answer = await api.post("/v1/auth/login", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, "validation_failed")


async def test_a_multipart_body_is_not_supported(api):
    """Only JSON and URL-encoded forms sign in."""
    answer = await api.post("/v1/auth/login", files={"username": b"a"})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


async def test_all_failures_look_alike(ann, sign_in):
    """A wrong password, an unknown account and what is no address at all get the very same answer."""
    answers = [
        await sign_in("wrong password"),
        await sign_in("wrong password", email="nobody@example.com"),
        await sign_in("wrong password", email="not an address"),
    ]
    for answer in answers:
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
    bodies = [{**answer.json(), "request_id": ""} for answer in answers]
    assert bodies[0] == bodies[1] == bodies[2]
    assert bodies[0]["code"] == "invalid_credentials"


async def test_guesses_are_throttled(ann, sign_in):
    """After the allowed failures even the right password must wait, and the answer says how long."""
    for _ in range(3):
        assert (await sign_in("wrong password")).status_code == 401
    answer = await sign_in(ann.password)
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert 0 < int(answer.headers["retry-after"]) <= 30


async def test_letter_case_and_form_give_no_second_chance(api, ann, sign_in):
    """Guesses for one account count together however its address is written and sent."""
    for email in (EMAIL, "ANN@EXAMPLE.COM", " ann@example.com"):
        assert (await sign_in("wrong password", email=email)).status_code == 401
    answer = await api.post("/v1/auth/login", data={"username": "Ann@Example.com", "password": ann.password})
    assert answer.status_code == 429


async def test_simultaneous_guesses_do_not_outrun_the_count(ann, sign_in):
    """Of many guesses at once no more than allowed are looked at."""
    answers = await asyncio.gather(*(sign_in("wrong password") for _ in range(30)))
    assert sorted(answer.status_code for answer in answers) == [401] * 3 + [429] * 27


async def test_simultaneous_honest_sign_ins_all_succeed(ann, sign_in):
    """Many devices that know the password are not taken for a guesser."""
    answers = await asyncio.gather(*(sign_in(ann.password) for _ in range(20)))
    assert [answer.status_code for answer in answers] == [200] * 20


@pytest.fixture
def held(app, monkeypatch):
    """Delays every verification of a password until it is set."""
    passwords, release = app.state.services.accounts._passwords, asyncio.Event()
    verify = passwords.verify

    async def slow(password, **arguments):
        await release.wait()
        return await verify(password, **arguments)

    monkeypatch.setattr(passwords, "verify", slow)
    return release


def give_places(app, number):
    """Let so many passwords wait to be checked."""
    app.state.services.accounts._passwords._rooms[Purpose.SIGN_IN].free = number


async def test_who_waits_for_a_turn_takes_no_place_from_others(app, ann, sign_up, sign_in, held):
    """However many sign in to one account, they need one place among them; a queue too long is 429 at once."""
    bob = await sign_up(email="bob@example.com")
    give_places(app, 3)
    crowd = [asyncio.create_task(sign_in(ann.password)) for _ in range(60)]
    done, _ = await asyncio.wait(crowd, timeout=20, return_when=asyncio.FIRST_COMPLETED)
    assert {(each.result().status_code, each.result().headers["retry-after"]) for each in done} == {(429, "1")}
    other = asyncio.create_task(sign_in(bob.password, email=bob.email))
    held.set()
    assert (await other).status_code == 200
    answers = [each.status_code for each in await asyncio.gather(*crowd)]
    assert (answers.count(200), answers.count(429)) == (25, 35)


async def test_no_place_is_no_failure(app, ann, sign_in):
    """An attempt that was refused for want of a place is not counted."""
    give_places(app, 0)
    for _ in range(5):
        assert (await sign_in(ann.password)).status_code == 503
    give_places(app, 10)
    assert (await sign_in(ann.password)).status_code == 200


async def test_success_clears_the_count(ann, sign_in):
    """Who mistypes twice and then succeeds starts from nothing."""
    for _ in range(3):
        for _ in range(2):
            assert (await sign_in("wrong password")).status_code == 401
        assert (await sign_in(ann.password)).status_code == 200


async def test_a_wait_ends(ann, sign_in, database):
    """When the told time is over the right password works."""
    for _ in range(3):
        await sign_in("wrong password")
    connection = await asyncpg.connect(database.owner_url)
    await connection.execute("UPDATE login_attempts SET blocked_until = blocked_until - interval '31 seconds'")
    await connection.close()
    assert (await sign_in(ann.password)).status_code == 200


async def test_attempts_are_stored_under_hashes(ann, sign_in, database):
    """The table of attempts does not tell who tried from where."""
    await sign_in("wrong password")
    connection = await asyncpg.connect(database.owner_url)
    text = str(await connection.fetch("SELECT t::text FROM login_attempts t"))
    await connection.close()
    assert EMAIL not in text
    assert "192.0.2" not in text


async def test_a_hash_of_other_parameters_is_renewed(app, ann, sign_in, database, settings):
    """When the cost was raised, the next sign-in stores a hash of the new cost, which goes on working."""
    connection = await asyncpg.connect(database.superuser_url)
    before = await connection.fetchval("SELECT password_hash FROM users")
    app.state.services.accounts._passwords._hasher.__init__(time_cost=2, memory_cost=16, parallelism=1)
    for _ in range(2):
        assert (await sign_in(ann.password)).status_code == 200
    after = await connection.fetchval("SELECT password_hash FROM users")
    await connection.close()
    assert "m=8,t=1" in before
    assert "m=16,t=2" in after
