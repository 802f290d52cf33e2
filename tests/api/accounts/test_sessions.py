"""Refresh tokens rotate; a second use ends the session; a session can be ended and passes as nothing else."""

import asyncio

import asyncpg
import pytest

from taskbell.api import metrics


@pytest.fixture
def refresh(api):
    """Exchanges a refresh token."""

    async def exchange(token):
        return await api.post("/v1/auth/refresh", json={"refresh_token": token})

    return exchange


@pytest.mark.feature("H2", "H3")
async def test_tokens_rotate(api, sign_up, refresh):
    """Each refresh token yields the next pair, whose tokens work and differ."""
    ann = await sign_up()
    seen, token = {ann.refresh_token}, ann.refresh_token
    for _ in range(3):
        answer = await refresh(token)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        token = answer.json()["refresh_token"]
        mine = await api.get("/v1/me", headers={"Authorization": f"Bearer {answer.json()['access_token']}"})
        assert mine.json()["id"] == ann.user_id
        seen.add(token)
    assert len(seen) == 4


@pytest.mark.feature("H3")
async def test_a_second_use_ends_the_whole_session(api, sign_up, refresh):
    """A second use means theft: the token and all its successors stop working; other sessions continue."""
    ann = await sign_up()
    other = (await api.post("/v1/auth/login", json={"email": ann.email, "password": ann.password})).json()
    newest = (await refresh(ann.refresh_token)).json()["refresh_token"]
    reuses = metrics.REFRESH_REUSES._value.get()
    answer = await refresh(ann.refresh_token)
    assert (answer.status_code, answer.json()["code"]) == (401, "refresh_token_reused")
    assert metrics.REFRESH_REUSES._value.get() == reuses + 1
    answer = await refresh(newest)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_refresh_token")
    answer = await refresh(ann.refresh_token)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_refresh_token")
    assert (await refresh(other["refresh_token"])).status_code == 200


async def test_of_simultaneous_uses_one_wins_and_the_session_ends(sign_up, refresh):
    """Two uses at once are a reuse as well: exactly one gets a pair, and that pair cannot be renewed."""
    ann = await sign_up()
    answers = await asyncio.gather(*(refresh(ann.refresh_token) for _ in range(6)))
    won = [answer for answer in answers if answer.status_code == 200]
    assert len(won) == 1
    codes = sorted(answer.json()["code"] for answer in answers if answer.status_code == 401)
    assert codes == ["invalid_refresh_token"] * 4 + ["refresh_token_reused"]
    assert (await refresh(won[0].json()["refresh_token"])).status_code == 401


@pytest.mark.feature("H3")
async def test_a_token_is_refused_in_the_other_ones_place(api, sign_up, refresh):
    """An access token does not refresh, and a refresh token opens nothing."""
    ann = await sign_up()
    answer = await refresh(ann.access_token)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_refresh_token")
    answer = await api.get("/v1/me", headers={"Authorization": f"Bearer {ann.refresh_token}"})
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


async def test_an_unused_session_expires(sign_up, refresh, database):
    """A refresh token that was not used for too long is refused; using one in time prolongs the session."""
    ann, bob = await sign_up(), await sign_up()
    connection = await asyncpg.connect(database.superuser_url)
    await connection.execute("UPDATE sessions SET expires_at = now() + interval '1 hour'")
    renewed = (await refresh(bob.refresh_token)).json()["refresh_token"]
    await connection.execute("UPDATE sessions SET expires_at = expires_at - interval '2 hours'")
    await connection.close()
    assert (await refresh(ann.refresh_token)).json()["code"] == "invalid_refresh_token"
    assert (await refresh(renewed)).status_code == 200


@pytest.mark.parametrize("token", ["", "x" * 5000, "tbr_\x00", 7, None])
async def test_what_cannot_be_a_token_is_a_bad_field(refresh, token):
    """Empty, endless or strange values are 422."""
    assert (await refresh(token)).status_code == 422


async def test_an_unknown_token_is_refused(refresh):
    """A token that nobody was given is 401."""
    answer = await refresh("tbr_unknown-ü")
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_refresh_token")


async def test_signing_out_by_refresh_token(api, sign_up, refresh):
    """Signing out ends the session, needs no access token, and is the same when done twice or with unknown tokens."""
    ann = await sign_up()
    for token in (ann.refresh_token, ann.refresh_token, "tbr_unknown"):
        answer = await api.post("/v1/auth/logout", json={"refresh_token": token})
        assert (answer.status_code, answer.content) == (204, b"")
    assert (await refresh(ann.refresh_token)).json()["code"] == "invalid_refresh_token"


@pytest.mark.parametrize("body", [{}, {"json": {}}])
async def test_signing_out_by_access_token(api, sign_up, refresh, body):
    """Without a refresh token the session of the access token ends, and no other."""
    ann = await sign_up()
    other = (await api.post("/v1/auth/login", json={"email": ann.email, "password": ann.password})).json()
    for _ in range(2):
        assert (await api.post("/v1/auth/logout", headers=ann.headers, **body)).status_code == 204
    assert (await refresh(ann.refresh_token)).status_code == 401
    assert (await refresh(other["refresh_token"])).status_code == 200


async def test_signing_out_needs_a_session(api):
    """With neither token there is nothing to end."""
    assert (await api.post("/v1/auth/logout")).status_code == 401
