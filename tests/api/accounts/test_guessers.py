"""One guesser keeps nobody else out: who is counted with whom."""

import asyncio

import asyncpg
import pytest

from taskbell.api.accounts import throttle

EMAIL = "ann@example.com"
ALLOWED = 2
GUESSERS = [f"198.51.100.{number}" for number in range(10)]


@pytest.fixture
def overrides():
    """Few failures are allowed; one proxy is trusted."""
    return {"login_failures_allowed": ALLOWED, "trusted_proxies": "192.0.2.1"}


@pytest.fixture
async def ann(sign_up):
    """The account that somebody guesses at."""
    return await sign_up(email=EMAIL)


async def sign_in(client, password, *, email=EMAIL, forwarded=None, **more):
    """Try to sign in; `forwarded` is what the header of the proxy says."""
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    return await client.post("/v1/auth/login", json={"email": email, "password": password, **more}, headers=headers)


@pytest.fixture
async def besieged(ann, api_from):
    """Guessers at many addresses have used up what all strangers together may try at the account."""
    for address in GUESSERS:
        client = await api_from(address)
        for _ in range(ALLOWED):
            assert (await sign_in(client, "wrong password")).status_code == 401
    return ann


@pytest.mark.feature("T17")
async def test_behind_a_proxy_a_guesser_stops_nobody_else(ann, api):
    """The guesser waits; the owner, who comes through the same proxy from elsewhere, signs in."""
    for status in [401] * ALLOWED + [429] * 2:
        assert (await sign_in(api, "wrong password", forwarded="203.0.113.1")).status_code == status
    assert (await sign_in(api, ann.password, forwarded="203.0.113.2")).status_code == 200


@pytest.mark.parametrize("through_proxy", [False, True])
async def test_a_spoofed_header_helps_no_guesser(ann, api, api_from, through_proxy):
    """Another address in the header with each guess changes nothing, without the proxy or through it."""
    client, seen_by_proxy = (api, ", 203.0.113.1") if through_proxy else (await api_from("203.0.113.1"), "")
    for number, status in enumerate([401] * ALLOWED + [429] * 2):
        forwarded = f"198.51.100.{number}{seen_by_proxy}"
        assert (await sign_in(client, "wrong password", forwarded=forwarded)).status_code == status


async def test_failures_of_an_address_refuse_no_right_password(ann, api):
    """Wherever hundreds of others failed before, the right password signs in."""
    for number in range(120):
        answer = await sign_in(api, "Winter2026!", email=f"nobody{number}@example.com")
        assert answer.status_code == 401
    assert (await sign_in(api, ann.password)).status_code == 200


async def test_a_stranger_who_knows_the_password_begins_no_pause(besieged, api_from, database):
    """When the pause that guessers caused is over, the owner signs in on new devices one after the other."""
    connection = await asyncpg.connect(database.owner_url)
    await connection.execute("UPDATE login_attempts SET blocked_until = now() WHERE blocked_until IS NOT NULL")
    await connection.close()
    for address in ("203.0.113.1", "203.0.113.2"):
        assert (await sign_in(await api_from(address), besieged.password)).status_code == 200


@pytest.mark.parametrize("kind", ["json", "data"])
async def test_a_device_that_signed_in_before_signs_in(besieged, api_from, kind):
    """While strangers must wait wherever they are, the device does not, in either form of the request."""
    client = await api_from("203.0.113.1")
    assert (await sign_in(client, besieged.password)).status_code == 429
    given = {"username": EMAIL, "password": besieged.password, "device_token": besieged.device_token}
    answer = await client.post("/v1/auth/login", **{kind: given})
    assert answer.status_code == 200
    assert answer.json()["device_token"] != besieged.device_token


async def test_failures_of_a_device_count_against_it_alone(ann, api, api_from):
    """Guesses with a device token make that device wait, and neither strangers nor another device."""
    other = (await sign_in(api, ann.password)).json()["device_token"]
    for _ in range(ALLOWED):
        assert (await sign_in(api, "wrong password", device_token=ann.device_token)).status_code == 401
    assert (await sign_in(api, ann.password, device_token=ann.device_token)).status_code == 429
    client = await api_from("203.0.113.1")
    assert (await sign_in(client, ann.password, device_token=ann.device_token)).status_code == 429
    assert (await sign_in(api, ann.password, device_token=other)).status_code == 200
    assert (await sign_in(api, ann.password)).status_code == 200


async def test_other_tokens_are_as_good_as_none(besieged, api, sign_up):
    """A token of another account, of another type, forged or malformed lifts nothing, and is no error."""
    bob = await sign_up(email="bob@example.com")
    head, body, signature = besieged.device_token.split(".")
    forged = f"{head}.{bob.device_token.split('.')[1]}.{signature}"
    for token in (bob.device_token, besieged.access_token, besieged.refresh_token, forged, f"{head}.{body}.", "x"):
        answer = await sign_in(api, besieged.password, device_token=token)
        assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
        assert (await sign_in(api, bob.password, email=bob.email, device_token=token)).status_code == 200


async def test_device_tokens_grant_nothing(ann, api):
    """They are refused as access tokens and as refresh tokens."""
    headers = {"Authorization": f"Bearer {ann.device_token}"}
    assert (await api.get("/v1/me", headers=headers)).status_code == 401
    assert (await api.post("/v1/auth/refresh", json={"refresh_token": ann.device_token})).status_code == 401


async def test_a_new_password_ends_device_tokens(besieged, api):
    """Those of before the change are as good as none; the session that goes on gets a new one by refreshing."""
    body = {"current_password": besieged.password, "new_password": "a new passphrase"}
    assert (await api.post("/v1/me/password", json=body, headers=besieged.headers)).status_code == 204
    assert (await sign_in(api, "a new passphrase", device_token=besieged.device_token)).status_code == 429
    refreshed = await api.post("/v1/auth/refresh", json={"refresh_token": besieged.refresh_token})
    renewed = refreshed.json()["device_token"]
    assert (await sign_in(api, "a new passphrase", device_token=renewed)).status_code == 200


async def test_changing_the_password_is_not_throttled_by_others(besieged, api, sign_up):
    """Neither strangers nor another session of the account make it wait."""
    other = (await sign_in(api, besieged.password, device_token=besieged.device_token)).json()
    wrong = {"current_password": "wrong", "new_password": "a new passphrase"}
    for status in [422] * ALLOWED + [429]:
        headers = {"Authorization": f"Bearer {other['access_token']}"}
        assert (await api.post("/v1/me/password", json=wrong, headers=headers)).status_code == status
    right = {**wrong, "current_password": besieged.password}
    assert (await api.post("/v1/me/password", json=right, headers=besieged.headers)).status_code == 204


async def test_the_throttle_tells_nothing_of_accounts(ann, api, api_from):
    """Guesses at an account and at none get the same answers, from one address and then from others."""
    seen = {EMAIL: [], "nobody@example.com": []}
    for address in ["203.0.113.1", *GUESSERS]:
        client = await api_from(address)
        for email, answers in seen.items():
            for _ in range(ALLOWED + 1):
                answer = await sign_in(client, "wrong password", email=email, device_token=None)
                answers.append((answer.status_code, answer.json()["title"], answer.headers.keys()))
    assert seen[EMAIL] == seen["nobody@example.com"]
    assert {status for status, *_ in seen[EMAIL]} == {401, 429}


async def test_a_password_that_is_changed_meanwhile_signs_nobody_in(app, ann, api, monkeypatch):
    """A sign-in with the former password, verified before the change, begins no session after it."""
    passwords, verified, go_on = app.state.services.accounts._passwords, asyncio.Event(), asyncio.Event()
    verify = passwords.verify

    async def slow(password, **arguments):
        right = await verify(password, **arguments)
        verified.set()
        await go_on.wait()
        return right

    monkeypatch.setattr(passwords, "verify", slow)
    late = asyncio.create_task(sign_in(api, ann.password))
    await verified.wait()
    monkeypatch.setattr(passwords, "verify", verify)
    body = {"current_password": ann.password, "new_password": "a new passphrase"}
    assert (await api.post("/v1/me/password", json=body, headers=ann.headers)).status_code == 204
    go_on.set()
    assert (await late).status_code == 401


async def test_a_flood_leaves_few_rows_and_few_statements(ann, api, database, monkeypatch):
    """Expired counts go as new ones come, and who must wait is refused without asking the database each time."""
    monkeypatch.setattr(throttle, "_REMEMBERED", 3600.0)
    for number in range(20):
        await sign_in(api, "wrong password", email=f"nobody{number}@example.com")
    connection = await asyncpg.connect(database.owner_url)
    await connection.execute("UPDATE login_attempts SET window_started_at = window_started_at - interval '2 hours'")
    for number in range(16):
        await sign_in(api, "wrong password", email=f"somebody{number}@example.com")
    assert await connection.fetchval("SELECT count(*) FROM login_attempts") == 32
    for _ in range(ALLOWED + 1):
        await sign_in(api, "wrong password")
    await connection.execute("DELETE FROM login_attempts")
    await connection.close()
    assert (await sign_in(api, ann.password)).status_code == 429
