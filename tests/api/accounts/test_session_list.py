"""A user sees where they are signed in, and ends what they do not know; ended sessions open nothing, anywhere, soon."""

import asyncpg
import pytest

from taskbell.api import metrics
from taskbell.api.accounts.sessions import shortened
from taskbell.api.app import create_app
from taskbell.kit.ids import new_id
from taskbell.testing.waiting import eventually

SESSIONS = "/v1/me/sessions"


@pytest.fixture
def sign_in(api):
    """Signs in as a client of some name; returns the answer."""

    async def enter(account, client):
        body = {"email": account.email, "password": account.password}
        return (await api.post("/v1/auth/login", json=body, headers={"User-Agent": client})).json()

    return enter


@pytest.fixture
def sessions_of(api):
    """The sessions that a user sees."""

    async def read(headers, **query):
        answer = await api.get(SESSIONS, headers=headers, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()["items"]

    return read


@pytest.fixture
async def second_api(settings, api_client_of):
    """A client of another process: an application of its own on the same database."""
    application = create_app(settings)
    async with application.router.lifespan_context(application), api_client_of(application) as client:
        yield client


def _headers(pair):
    return {"Authorization": f"Bearer {pair['access_token']}"}


async def _status(client, headers):
    return (await client.get("/v1/me", headers=headers)).status_code


async def test_sessions_are_listed_newest_first(api, sign_up, sign_in, sessions_of):
    """Each with its client, its times, and whether it is the present one; those of others are not there."""
    ann, bob = await sign_up(), await sign_up()
    phone = await sign_in(ann, "Taskbell/3.1 (Android 16)")
    mine = await sessions_of(_headers(phone))
    assert [(each["client"], each["current"]) for each in mine] == [
        ("Taskbell/3.1 (Android 16)", True),
        (mine[1]["client"], False),
    ]
    assert mine[1]["client"].startswith("python-httpx/")
    refreshed = await api.post("/v1/auth/refresh", json={"refresh_token": phone["refresh_token"]})
    after = await sessions_of(_headers(refreshed.json()))
    assert after[0]["last_used_at"] > mine[0]["last_used_at"] >= mine[0]["created_at"] == after[0]["created_at"]
    assert after[0]["expires_at"] > mine[0]["expires_at"]
    assert after[1] == mine[1]
    assert len(await sessions_of(bob.headers)) == 1
    page = (await api.get(SESSIONS, headers=ann.headers, params={"limit": 1})).json()
    following = await sessions_of(ann.headers, cursor=page["meta"]["next_cursor"])
    assert [each["id"] for each in (*page["items"], *following)] == [each["id"] for each in mine]


async def test_ended_and_expired_sessions_are_not_listed(api, sign_up, sign_in, sessions_of, database):
    """Neither signed out, nor past their time."""
    ann = await sign_up()
    out, old = await sign_in(ann, "out"), await sign_in(ann, "old")
    await api.post("/v1/auth/logout", json={"refresh_token": out["refresh_token"]})
    connection = await asyncpg.connect(database.superuser_url)
    await connection.execute("UPDATE sessions SET expires_at = now() WHERE client = 'old'")
    await connection.close()
    assert [each["current"] for each in await sessions_of(ann.headers)] == [True]
    assert old["access_token"]


async def test_an_ended_session_opens_nothing_in_any_process(api, second_api, sign_up, sign_in, sessions_of):
    """Its refresh token is refused at once, its access token soon by each process; others go on."""
    ann = await sign_up()
    phone = await sign_in(ann, "phone")
    refused = metrics.REVOKED_TOKENS._value.get()
    assert [await _status(client, _headers(phone)) for client in (api, second_api)] == [200, 200]
    (found,) = [each["id"] for each in await sessions_of(ann.headers) if each["client"] == "phone"]
    assert (await api.delete(f"{SESSIONS}/{found}", headers=ann.headers)).status_code == 204
    answer = await api.post("/v1/auth/refresh", json={"refresh_token": phone["refresh_token"]})
    assert answer.json()["code"] == "invalid_refresh_token"
    for client in (api, second_api):
        assert await eventually(lambda client=client: _status(client, _headers(phone)), wanted=lambda got: got == 401)
        assert await _status(client, ann.headers) == 200
    answer = await api.get("/v1/me", headers=_headers(phone))
    assert (answer.json()["code"], answer.headers["www-authenticate"]) == (
        "unauthenticated",
        'Bearer error="invalid_token"',
    )
    assert metrics.REVOKED_TOKENS._value.get() >= refused + 3
    again = await api.delete(f"{SESSIONS}/{found}", headers=ann.headers)
    assert (again.status_code, again.json()["code"]) == (404, "not_found")


async def test_all_others_end_at_once(api, sign_up, sign_in, sessions_of):
    """The present session stays, and so do those of other users."""
    ann, bob = await sign_up(), await sign_up()
    others = [await sign_in(ann, "other") for _ in range(3)]
    assert (await api.delete(SESSIONS, headers=ann.headers)).status_code == 204
    assert [each["current"] for each in await sessions_of(ann.headers)] == [True]
    for pair in others:
        await eventually(lambda pair=pair: _status(api, _headers(pair)), wanted=lambda got: got == 401)
    assert [await _status(api, headers) for headers in (ann.headers, bob.headers)] == [200, 200]


@pytest.mark.parametrize("by", ["sign-out", "new password", "reuse", "itself"])
async def test_however_a_session_ends_its_access_token_does_too(api, sign_up, sign_in, sessions_of, by):
    """By a sign-out, a new password elsewhere, a refresh token used twice, or from the list."""
    ann = await sign_up()
    phone = await sign_in(ann, "phone")
    match by:
        case "sign-out":
            await api.post("/v1/auth/logout", headers=_headers(phone))
        case "new password":
            body = {"current_password": ann.password, "new_password": "a new passphrase"}
            await api.post("/v1/me/password", json=body, headers=ann.headers)
        case "reuse":
            for _ in range(2):
                await api.post("/v1/auth/refresh", json={"refresh_token": phone["refresh_token"]})
        case "itself":
            (own,) = [each["id"] for each in await sessions_of(_headers(phone)) if each["current"]]
            await api.delete(f"{SESSIONS}/{own}", headers=_headers(phone))
    await eventually(lambda: _status(api, _headers(phone)), wanted=lambda got: got == 401)
    assert await _status(api, ann.headers) == 200


async def test_a_session_of_another_is_as_unknown_as_none(api, sign_up, sessions_of):
    """Both are 404, in the same words, and the other session goes on."""
    ann, bob = await sign_up(), await sign_up()
    (foreign,) = await sessions_of(bob.headers)
    answers = [await api.delete(f"{SESSIONS}/{each}", headers=ann.headers) for each in (foreign["id"], new_id())]
    assert [(answer.status_code, answer.json()["detail"]) for answer in answers] == [
        (404, answers[0].json()["detail"])
    ] * 2
    assert len(await sessions_of(bob.headers)) == 1


@pytest.mark.parametrize(
    ("client", "kept"),
    [
        (None, None),
        ("", None),
        (" \t ", None),
        ("curl/8.16.0", "curl/8.16.0"),
        ("a\x00b\x1b[31m\u202ec", "a b [31m c"),
        ("x" * 500, "x" * 200),
        ("ä" * 300, "ä" * 200),
    ],
)
def test_what_a_client_calls_itself_is_one_short_line(client, kept):
    """Without control characters, and not longer than the list shows."""
    assert shortened(client) == kept
