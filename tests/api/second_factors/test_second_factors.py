"""A second factor guards the sign-in with the password: each code works once, and few may be wrong."""

import asyncio
import time

import asyncpg
import pyotp
import pytest

from taskbell.kit.sealing import generate_sealing_keys

MINE = "/v1/me/second-factor"
REFUSED = (401, "invalid_second_factor")


@pytest.fixture
def overrides():
    """A key to encrypt secrets with."""
    return {"second_factor_keys": generate_sealing_keys()}


@pytest.fixture
async def owner(database):
    """A connection that sees everything."""
    connection = await asyncpg.connect(database.superuser_url)
    yield connection
    await connection.close()


@pytest.fixture
def sign_in(api):
    """Sends the password; returns the answer."""

    async def enter(account, password=None):
        body = {"email": account.email, "password": password or account.password}
        return await api.post("/v1/auth/login", json=body)

    return enter


@pytest.fixture
def challenge_of(sign_in):
    """The challenge that the right password gets."""

    async def ask(account):
        answer = await sign_in(account)
        assert (answer.status_code, answer.json()["code"]) == (401, "second_factor_required")
        return answer.json()["challenge"]

    return ask


@pytest.fixture
def answer(api):
    """Takes the second step."""

    async def give(challenge, code):
        return await api.post("/v1/auth/second-factor", json={"challenge": challenge, "code": code})

    return give


@pytest.fixture
def enrol(api):
    """Enrols an authenticator and confirms it; returns it and the recovery codes."""

    async def make(account):
        made = await api.post(MINE, json={"password": account.password}, headers=account.headers)
        assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
        authenticator = pyotp.TOTP(made.json()["secret"])
        assert pyotp.parse_uri(made.json()["otpauth_uri"]).secret == authenticator.secret
        body = {"code": authenticator.now()}
        confirmed = await api.post(f"{MINE}/confirm", json=body, headers=account.headers)
        assert confirmed.status_code == 200, confirmed.text
        return authenticator, confirmed.json()["recovery_codes"]

    return make


def _next(authenticator):
    """A code of half a minute later, which a clock that is a little wrong shows: later than the one that enrolled."""
    return authenticator.at(int(time.time()) + authenticator.interval)


def _told(response):
    return response.status_code, response.json()["code"]


async def test_a_sign_in_takes_two_steps(api, sign_up, enrol, challenge_of, answer, sign_in):
    """The password gets a challenge and no token; the challenge with a code signs in; a wrong password gets neither."""
    ann, bob = await sign_up(), await sign_up()
    state = await api.get(MINE, headers=ann.headers)
    assert state.json() == {"enabled": False, "enabled_at": None, "recovery_codes_left": 0}
    authenticator, codes = await enrol(ann)
    assert len(set(codes)) == 10
    refused = await sign_in(ann)
    assert "access_token" not in refused.text
    pair = await answer(await challenge_of(ann), _next(authenticator))
    assert (pair.status_code, pair.headers["cache-control"]) == (200, "no-store")
    headers = {"Authorization": f"Bearer {pair.json()['access_token']}"}
    state = await api.get(MINE, headers=headers)
    assert (state.json()["enabled"], state.json()["recovery_codes_left"]) == (True, 10)
    wrong = await sign_in(ann, "wrong password")
    assert _told(wrong) == (401, "invalid_credentials")
    assert "challenge" not in wrong.json()
    assert (await sign_in(bob)).status_code == 200


async def test_a_code_works_once(sign_up, enrol, challenge_of, answer):
    """Also sent often at once, and the one that enrolled is used, too."""
    ann = await sign_up()
    authenticator, _ = await enrol(ann)
    challenge = await challenge_of(ann)
    assert _told(await answer(challenge, authenticator.now())) == REFUSED
    code = _next(authenticator)
    answers = await asyncio.gather(*(answer(challenge, code) for _ in range(4)))
    assert sorted(each.status_code for each in answers) == [200, 401, 401, 401]


async def test_a_recovery_code_works_once(api, sign_up, enrol, challenge_of, answer):
    """However it is typed; the others stay."""
    ann = await sign_up()
    _, codes = await enrol(ann)
    challenge = await challenge_of(ann)
    answers = await asyncio.gather(*(answer(challenge, codes[0]) for _ in range(3)))
    assert sorted(each.status_code for each in answers) == [200, 401, 401]
    assert (await answer(challenge, codes[1].replace("-", "").lower())).status_code == 200
    assert (await api.get(MINE, headers=ann.headers)).json()["recovery_codes_left"] == 8


async def test_few_codes_may_be_wrong(sign_up, enrol, challenge_of, answer):
    """After five even a right one must wait, with a new challenge, too; other accounts need not."""
    ann, bob = await sign_up(), await sign_up()
    (_, codes), (_, other) = await enrol(ann), await enrol(bob)
    challenge = await challenge_of(ann)
    for _ in range(5):
        assert _told(await answer(challenge, "AAAA-AAAA-AAAA-AAAA")) == REFUSED
    for each in (challenge, await challenge_of(ann)):
        limited = await answer(each, codes[0])
        assert limited.status_code == 429
        assert int(limited.headers["retry-after"]) > 0
    assert (await answer(await challenge_of(bob), other[0])).status_code == 200


async def test_a_session_alone_makes_no_sign_in_wait(api, sign_up, enrol, challenge_of, answer):
    """Wrong confirmations count for the session that sends them, not for the second steps of sign-ins."""
    ann = await sign_up()
    _, codes = await enrol(ann)
    for _ in range(6):
        refused = await api.post(f"{MINE}/confirm", json={"code": "123456"}, headers=ann.headers)
    assert refused.status_code == 429
    assert (await answer(await challenge_of(ann), codes[0])).status_code == 200


async def test_only_a_challenge_of_the_present_password_is_one(api, sign_up, enrol, challenge_of, answer):
    """No other token passes as one, it passes as no other, and a new password ends it."""
    ann = await sign_up()
    _, codes = await enrol(ann)
    challenge = await challenge_of(ann)
    for token in (ann.access_token, ann.device_token, ann.refresh_token, challenge[:-2], "x"):
        assert _told(await answer(token, codes[0])) == (401, "invalid_credentials")
    assert (await api.get("/v1/me", headers={"Authorization": f"Bearer {challenge}"})).status_code == 401
    body = {"current_password": ann.password, "new_password": "a new passphrase"}
    await api.post("/v1/me/password", json=body, headers=ann.headers)
    assert _told(await answer(challenge, codes[0])) == (401, "invalid_credentials")
    assert (await api.get(MINE, headers=ann.headers)).json()["recovery_codes_left"] == 10


async def test_it_is_in_force_once_it_is_confirmed(api, sign_up, sign_in, enrol):
    """Before that the password alone signs in, and enrolling again gives another secret; then there is no other."""
    ann = await sign_up()
    first = await api.post(MINE, json={"password": ann.password}, headers=ann.headers)
    assert (await sign_in(ann)).status_code == 200
    old = {"code": pyotp.TOTP(first.json()["secret"]).now()}
    await api.post(MINE, json={"password": ann.password}, headers=ann.headers)
    wrong = await api.post(f"{MINE}/confirm", json=old, headers=ann.headers)
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/code")
    await enrol(ann)
    for path, body in ((MINE, {"password": ann.password}), (f"{MINE}/confirm", {"code": "123456"})):
        assert _told(await api.post(path, json=body, headers=ann.headers)) == (409, "conflict")


async def test_the_password_is_needed(api, sign_up, owner):
    """A wrong one enrols nothing, and neither does an account that has none."""
    ann, bob = await sign_up(), await sign_up()
    wrong = await api.post(MINE, json={"password": "wrong password"}, headers=ann.headers)
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/password")
    await owner.execute("UPDATE users SET password_hash = NULL WHERE email = $1", bob.email)
    assert _told(await api.post(MINE, json={"password": "any"}, headers=bob.headers)) == (409, "conflict")
    assert await owner.fetchval("SELECT count(*) FROM second_factors") == 0


async def test_it_is_disabled_by_password_and_code(api, sign_up, enrol, sign_in, owner):
    """Either alone is not enough; afterwards the password alone signs in, and nothing of it is left."""
    ann = await sign_up()
    authenticator, codes = await enrol(ann)
    path = f"{MINE}/disable"
    for body, place in (
        ({"password": "wrong password", "code": codes[0]}, "/password"),
        ({"password": ann.password, "code": "AAAA-AAAA-AAAA-AAAA"}, "/code"),
    ):
        answer = await api.post(path, json=body, headers=ann.headers)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, place)
    body = {"password": ann.password, "code": _next(authenticator)}
    assert (await api.post(path, json=body, headers=ann.headers)).status_code == 204
    assert (await sign_in(ann)).status_code == 200
    assert await owner.fetchval("SELECT count(*) FROM recovery_codes") == 0
    assert _told(await api.post(path, json=body, headers=ann.headers)) == (409, "conflict")


async def test_the_database_holds_nothing_that_signs_in(sign_up, enrol, owner):
    """The secret is encrypted, and recovery codes are hashes."""
    ann = await sign_up()
    authenticator, codes = await enrol(ann)
    rows = await owner.fetchval(
        "SELECT string_agg(f::text || c::text, ' ') FROM second_factors f JOIN recovery_codes c USING (user_id)"
    )
    assert authenticator.secret not in rows
    assert [code for code in codes if code in rows or code.replace("-", "") in rows] == []


async def test_a_password_reset_leaves_it(api, sign_up, enrol, owner, answer):
    """Whoever reads the mailbox sets a password, and still needs the second factor."""
    ann = await sign_up()
    _, codes = await enrol(ann)
    await api.post("/v1/auth/password-reset", json={"email": ann.email})
    token = await owner.fetchval("SELECT payload::json -> 'data' ->> 'token' FROM deliveries")
    body = {"token": token, "password": "another passphrase"}
    assert (await api.post("/v1/auth/password-reset/confirm", json=body)).status_code == 204
    body = {"email": ann.email, "password": "another passphrase"}
    refused = await api.post("/v1/auth/login", json=body)
    assert _told(refused) == (401, "second_factor_required")
    assert (await answer(refused.json()["challenge"], codes[0])).status_code == 200
