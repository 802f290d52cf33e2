"""Registration makes an account with a personal workspace, once per e-mail address."""

import pytest


@pytest.mark.feature("H1", "P1")
async def test_registering_makes_a_signed_in_account(api, sign_up):
    """A new account can at once read itself with the token it got."""
    account = await sign_up(email="Ann@Example.com", name="Ann")
    answer = await api.get("/v1/me", headers=account.headers)
    assert answer.status_code == 200
    found = answer.json()
    assert found["email"] == "ann@example.com"
    assert found["name"] == "Ann"
    assert found["time_zone"] == "UTC"
    assert found["personal_workspace_id"] == account.workspace_id
