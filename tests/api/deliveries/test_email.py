"""`/v1/me/channels/email`: what a person wants by e-mail."""

import asyncpg
import pytest


@pytest.mark.feature("P17")
async def test_off_until_switched_on(api, sign_up, database):
    """Nobody gets e-mail unasked, nor before the address is confirmed; a change is kept and is the person's own."""
    ann, ben = await sign_up(), await sign_up()
    path = "/v1/me/channels/email"
    assert (await api.get(path, headers=ann.headers)).json() == {
        "enabled": False,
        "kinds": ["*"],
        "address": ann.email,
        "confirmed": False,
    }
    refused = await api.put(path, json={"enabled": True}, headers=ann.headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "email_not_confirmed")
    connection = await asyncpg.connect(database.superuser_url)
    await connection.execute("UPDATE users SET email_confirmed_at = now() WHERE email = $1", ann.email)
    await connection.close()
    wanted = {"enabled": True, "kinds": ["assigned", "due_soon"]}
    answer = await api.put(path, json=wanted, headers=ann.headers)
    assert answer.status_code == 200
    assert answer.json() == {**wanted, "address": ann.email, "confirmed": True}
    assert (await api.get(path, headers=ann.headers)).json() == answer.json()
    assert (await api.get(path, headers=ben.headers)).json()["enabled"] is False


@pytest.mark.parametrize("body", [{}, {"enabled": "yes"}, {"enabled": True, "kinds": ["shouting"]}, {"enabled": None}])
async def test_bad_input(api, sign_up, body):
    """Another shape is refused."""
    ann = await sign_up()
    assert (await api.put("/v1/me/channels/email", json=body, headers=ann.headers)).status_code == 422
