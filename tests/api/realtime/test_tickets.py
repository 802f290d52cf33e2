"""Tickets admit to the gateway for half a minute, and nowhere else."""

import time
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskbell.api.realtime.endpoints import with_ticket
from taskbell.contract.tokens import AUDIENCE, ISSUER, TokenType
from taskbell.kit import jwt


@pytest.fixture
def overrides():
    """A public address of the gateway."""
    return {"gateway_url": "wss://taskbell.example.com/ws"}


async def test_a_ticket_is_ready_to_be_opened(api, sign_up):
    """The answer holds the ticket, the whole address and when it ends; the gateway can verify it by the public keys."""
    ann = await sign_up()
    asked = time.time()
    answer = await api.post("/v1/realtime/tickets", headers=ann.headers)
    answered = time.time()
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    found = answer.json()
    assert found["url"] == f"wss://taskbell.example.com/ws?ticket={found['ticket']}"
    keys = jwt.parse_keys((await api.get("/.well-known/jwks.json")).text, private=False)
    claims = jwt.verify(
        found["ticket"], token_type=TokenType.TICKET, keys=keys, issuer=ISSUER, audience=AUDIENCE, now=time.time()
    )
    assert (claims["sub"], claims["ws"]) == (ann.user_id, ann.workspace_id)
    assert abs(datetime.fromisoformat(found["expires_at"]).timestamp() - claims["exp"]) <= 1
    assert asked + 28 <= claims["exp"] <= answered + 31


async def test_each_ticket_is_another(api, sign_up):
    """Two tickets have two ids, so that the gateway can take each once."""
    ann = await sign_up()
    tickets = [(await api.post("/v1/realtime/tickets", headers=ann.headers)).json()["ticket"] for _ in range(2)]
    assert tickets[0] != tickets[1]


@pytest.mark.feature("H3")
async def test_a_ticket_is_no_access_token(api, sign_up):
    """A ticket that leaked from an address opens no endpoint and refreshes nothing."""
    ann = await sign_up()
    ticket = (await api.post("/v1/realtime/tickets", headers=ann.headers)).json()["ticket"]
    assert (await api.get("/v1/me", headers={"Authorization": f"Bearer {ticket}"})).status_code == 401
    assert (await api.post("/v1/auth/refresh", json={"refresh_token": ticket})).status_code == 401


@given(query=st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz")))
def test_a_query_of_the_address_stays(query):
    """Whatever query the configured address has, the ticket is added to it."""
    address = "wss://example.com/ws" + ("?" + "&".join("=".join(pair) for pair in query.items()) if query else "")
    found = parse_qs(urlsplit(with_ticket(address, "t-1_2.3")).query)
    assert found == {name: [value] for name, value in query.items()} | {"ticket": ["t-1_2.3"]}
