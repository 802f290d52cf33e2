"""Personal access tokens of people who are signed in."""

import pytest


@pytest.fixture
def make_token(api):
    """Makes a token of somebody and returns the answer's document."""

    async def make(person, *scopes, **fields):
        body = {"name": "Program", "scopes": list(scopes) or ["tasks:write"]} | fields
        answer = await api.post("/v1/tokens", json=body, headers=person.headers)
        assert answer.status_code == 201, answer.text
        assert answer.headers["cache-control"] == "no-store"
        return answer.json()

    return make


@pytest.fixture
async def ann(sign_up):
    """Somebody with an account."""
    return await sign_up()


@pytest.fixture
def bearer():
    """Makes the header of a token."""
    return lambda token: {"Authorization": f"Bearer {token['token'] if isinstance(token, dict) else token}"}
