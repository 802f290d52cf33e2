"""What an operator sets takes effect: connections, lifetimes of tokens, sizes of pages."""

import asyncio
import contextlib
import json
from base64 import urlsafe_b64decode

import pytest

from taskbell.api.settings import ApiSettings
from taskbell.kit.settings import load


@pytest.fixture
def overrides():
    """Small values, each unlike its default."""
    return {
        "database_pool_size": 3,
        "access_token_ttl": "PT2M",
        "default_page_size": 2,
        "max_page_size": 4,
    }


@pytest.mark.feature("M24", "F9")
async def test_as_many_connections_as_were_set_and_no_thread_waits_for_one(app, api, sign_up):
    """Requests beyond the connections wait their turn while the process answers others; all are answered at last."""
    account = await sign_up()
    pool = app.state.services.database
    async with contextlib.AsyncExitStack() as taken:
        for _ in range(3):
            await taken.enter_async_context(pool.connection())
        waiting = [asyncio.create_task(api.get("/v1/tasks", headers=account.headers)) for _ in range(10)]
        for _ in range(20):
            assert (await api.get("/livez")).status_code == 200
        assert not any(request.done() for request in waiting)
        assert pool.size == (3, 0)
    answers = await asyncio.gather(*waiting)
    assert {answer.status_code for answer in answers} == {200}
    assert pool.size[0] == 3


@pytest.mark.feature("M26")
async def test_access_tokens_live_as_long_as_was_set(api, sign_up):
    """The answer says it, and the token itself."""
    account = await sign_up()
    answer = await api.post("/v1/auth/login", json={"email": account.email, "password": account.password})
    found = answer.json()
    assert found["expires_in"] == 120
    claims = json.loads(urlsafe_b64decode(found["access_token"].split(".")[1] + "=="))
    assert claims["exp"] - claims["iat"] == 120


@pytest.mark.feature("M27")
async def test_pages_are_as_long_as_was_set(api, sign_up):
    """Without a wish the default, with one at most the maximum; more is refused."""
    account = await sign_up()
    for number in range(6):
        made = await api.post("/v1/tasks", json={"title": f"t{number}"}, headers=account.headers)
        assert made.status_code == 201
    for wish, expected in (({}, 2), ({"limit": 4}, 4)):
        page = (await api.get("/v1/tasks", params=wish, headers=account.headers)).json()
        assert (len(page["items"]), page["meta"]["limit"], page["meta"]["has_more"]) == (expected, expected, True)
    refused = await api.get("/v1/tasks", params={"limit": 5}, headers=account.headers)
    assert refused.status_code == 422


@pytest.mark.parametrize("value", ["10.0.0.1/8", "proxy.internal", "0.0.0.0/0", "10.0.0.0/8,::/0"])
def test_trusted_proxies_are_networks(monkeypatch, signing_keys, capsys, value):
    """What is not a network, has host bits, or means everybody stops the process at start with a line that names it."""
    for name, text in {"DATABASE_URL": "x", "NATS_URL": "x", "SIGNING_KEYS": signing_keys}.items():
        monkeypatch.setenv(f"TASKBELL_{name}", text)
    monkeypatch.setenv("TASKBELL_TRUSTED_PROXIES", value)
    with pytest.raises(SystemExit):
        load(ApiSettings)
    assert all(line.startswith("taskbell: TASKBELL_TRUSTED_PROXIES") for line in capsys.readouterr().err.splitlines())
