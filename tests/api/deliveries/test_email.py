"""`/v1/me/channels/email`: what a person wants by e-mail."""

import pytest


@pytest.mark.feature("P17")
async def test_off_until_switched_on(api, sign_up):
    """Nobody gets e-mail unasked; the address is the account's; a change is kept and is the person's own."""
    ann, ben = await sign_up(), await sign_up()
    path = "/v1/me/channels/email"
    assert (await api.get(path, headers=ann.headers)).json() == {
        "enabled": False,
        "kinds": ["*"],
        "address": ann.email,
    }
    wanted = {"enabled": True, "kinds": ["assigned", "due_soon"]}
    answer = await api.put(path, json=wanted, headers=ann.headers)
    assert answer.status_code == 200
    assert answer.json() == {**wanted, "address": ann.email}
    assert (await api.get(path, headers=ann.headers)).json() == answer.json()
    assert (await api.get(path, headers=ben.headers)).json()["enabled"] is False


@pytest.mark.parametrize("body", [{}, {"enabled": "yes"}, {"enabled": True, "kinds": ["shouting"]}, {"enabled": None}])
async def test_bad_input(api, sign_up, body):
    """Another shape is refused."""
    ann = await sign_up()
    assert (await api.put("/v1/me/channels/email", json=body, headers=ann.headers)).status_code == 422
