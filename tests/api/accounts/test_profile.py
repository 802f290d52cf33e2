"""One's own account: read, change, set a new password."""

import datetime as dt
import re

import asyncpg
import pytest

from taskbell.kit.ids import new_id

_PUBLIC = {
    ("POST", "/v1/auth/register"),
    ("POST", "/v1/auth/login"),
    ("POST", "/v1/auth/refresh"),
    ("POST", "/v1/auth/logout"),
    ("POST", "/v1/auth/second-factor"),
    ("POST", "/v1/auth/password-reset"),
    ("POST", "/v1/auth/password-reset/confirm"),
    ("GET", "/v1/auth/oidc"),
    ("POST", "/v1/auth/oidc/{provider}/start"),
    ("POST", "/v1/auth/oidc/{provider}/finish"),
    ("GET", "/v1/unsubscribe"),
    ("POST", "/v1/unsubscribe"),
}


@pytest.mark.feature("H4", "M2")
async def test_everything_but_signing_in_needs_a_token(api):
    """Every operation under `/v1` of the OpenAPI document gives 401 without a token, whatever the body."""
    document = (await api.get("/openapi.json")).json()
    asked = 0
    for path, operations in document["paths"].items():
        for method in operations:
            if path.startswith("/v1") and (method.upper(), path) not in _PUBLIC:
                asked += 1
                answer = await api.request(method, re.sub(r"{\w+}", str(new_id()), path))
                assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), (method, path)
                assert answer.headers["www-authenticate"] == "Bearer", (method, path)
    assert asked > 30


async def test_changing_what_is_given(api, sign_up):
    """A change answers the whole account, leaves what is not given, and stays."""
    ann = await sign_up(name="Ann")
    answer = await api.patch("/v1/me", json={"time_zone": "Europe/Berlin"}, headers=ann.headers)
    assert answer.status_code == 200
    assert (answer.json()["name"], answer.json()["time_zone"]) == ("Ann", "Europe/Berlin")
    await api.patch("/v1/me", json={"name": "Anna"}, headers=ann.headers)
    answer = await api.patch("/v1/me", json={}, headers=ann.headers)
    assert (answer.json()["name"], answer.json()["time_zone"]) == ("Anna", "Europe/Berlin")
    assert (await api.get("/v1/me", headers=ann.headers)).json() == answer.json()


@pytest.mark.feature("T15")
async def test_quiet_hours_and_the_digest(api, sign_up, database):
    """At first there are none. Both are set, also over midnight and at it, kept by other changes, and taken away."""
    ann = await sign_up()
    found = (await api.get("/v1/me", headers=ann.headers)).json()
    assert (found["quiet_hours"], found["digest_at"]) == (None, None)
    hours = {"from": "22:00", "until": "00:00"}
    body = {"quiet_hours": hours, "digest_at": "00:00", "time_zone": "Asia/Kathmandu"}
    answer = await api.patch("/v1/me", json=body, headers=ann.headers)
    assert {name: answer.json()[name] for name in body} == body
    connection = await asyncpg.connect(database.superuser_url)
    row = await connection.fetchrow("SELECT quiet_from, quiet_until, digest_at FROM users WHERE email = $1", ann.email)
    await connection.close()
    assert tuple(row) == (dt.time(22), dt.time(0), dt.time(0))
    await api.patch("/v1/me", json={"name": "Ann", "quiet_hours": hours | {"until": "07:30"}}, headers=ann.headers)
    found = (await api.get("/v1/me", headers=ann.headers)).json()
    assert (found["quiet_hours"], found["digest_at"]) == ({"from": "22:00", "until": "07:30"}, "00:00")
    answer = await api.patch("/v1/me", json={"quiet_hours": None, "digest_at": None}, headers=ann.headers)
    assert (answer.json()["quiet_hours"], answer.json()["digest_at"]) == (None, None)


@pytest.mark.feature("M35")
@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": None},
        {"name": "x" * 256},
        {"time_zone": "Mars/Olympus"},
        {"time_zone": "../etc/passwd"},
        {"time_zone": "localtime"},
        {"time_zone": ""},
        {"time_zone": None},
        {"quiet_hours": {"from": "22:00", "until": "22:00"}},
        {"quiet_hours": {"until": "07:00"}},
        {"quiet_hours": {"from": "22:00"}},
        {"quiet_hours": {"begin": "22:00", "until": "07:00"}},
        {"quiet_hours": {"from": "24:00", "until": "07:00"}},
        {"quiet_hours": {"from": "9:00", "until": "07:00"}},
        {"quiet_hours": {"from": "22:00:00", "until": "07:00"}},
        {"quiet_hours": {"from": None, "until": None}},
        {"quiet_hours": []},
        {"digest_at": "08:60"},
        {"digest_at": "08:00Z"},
        {"digest_at": 8},
        {"email": "new@example.com"},
        {"personal_workspace_id": "00000000-0000-0000-0000-000000000000"},
    ],
)
async def test_a_bad_change_is_refused(api, sign_up, change):
    """Wrong values, and fields that are not the user's to change, are 422 and change nothing."""
    ann = await sign_up()
    before = (await api.get("/v1/me", headers=ann.headers)).json()
    answer = await api.patch("/v1/me", json=change, headers=ann.headers)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"].startswith(f"/{next(iter(change))}")
    assert (await api.get("/v1/me", headers=ann.headers)).json() == before


async def test_a_new_password_ends_the_other_sessions(api, sign_up):
    """After the change only the new password signs in, other sessions end, and the present one continues."""
    ann = await sign_up()
    other = (await api.post("/v1/auth/login", json={"email": ann.email, "password": ann.password})).json()
    body = {"current_password": ann.password, "new_password": "a new passphrase"}
    assert (await api.post("/v1/me/password", json=body, headers=ann.headers)).status_code == 204
    for password, status in ((ann.password, 401), ("a new passphrase", 200)):
        answer = await api.post("/v1/auth/login", json={"email": ann.email, "password": password})
        assert answer.status_code == status
    for token, status in ((other["refresh_token"], 401), (ann.refresh_token, 200)):
        assert (await api.post("/v1/auth/refresh", json={"refresh_token": token})).status_code == status


async def test_the_current_password_is_needed_and_guarded(api, sign_up):
    """A wrong current password points at the field, and guesses with a stolen token are throttled like sign-ins."""
    ann = await sign_up()
    body = {"current_password": "wrong", "new_password": "a new passphrase"}
    for _ in range(10):
        answer = await api.post("/v1/me/password", json=body, headers=ann.headers)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/current_password")
    assert (await api.post("/v1/me/password", json=body, headers=ann.headers)).status_code == 429


async def test_a_weak_new_password_is_refused(api, sign_up):
    """The rules of registration hold."""
    ann = await sign_up()
    body = {"current_password": ann.password, "new_password": "short"}
    answer = await api.post("/v1/me/password", json=body, headers=ann.headers)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/new_password")
