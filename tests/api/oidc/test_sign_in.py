"""Sign-in through a provider: the authorization code flow with PKCE, against a real provider in its own process."""

import asyncio
from urllib.parse import parse_qs, urlsplit

import pytest

pytestmark = pytest.mark.feature("T4", "T5", "M37")


async def test_a_person_signs_in_and_is_registered(api, browser):
    """The first sign-in makes an account with a confirmed address and a personal workspace; the next one finds it."""
    first = await browser.sign_in()
    assert first.status_code == 200, first.text
    assert first.headers["cache-control"] == "no-store"
    me = (await api.get("/v1/me", headers={"Authorization": f"Bearer {first.json()['access_token']}"})).json()
    assert (me["email"], me["name"]) == ("ann@example.com", "Ann")
    assert me["email_confirmed_at"] is not None
    again = (await browser.sign_in()).json()
    found = (await api.get("/v1/me", headers={"Authorization": f"Bearer {again['access_token']}"})).json()
    assert found == me
    refreshed = await api.post("/v1/auth/refresh", json={"refresh_token": again["refresh_token"]})
    assert refreshed.status_code == 200


async def test_the_browser_is_sent_with_pkce_state_and_nonce(browser, provider):
    """The authorization address carries all that the flow needs, and no secret of it."""
    started = await browser.start()
    address = urlsplit(started["authorization_url"])
    sent = {name: values[0] for name, values in parse_qs(address.query).items()}
    assert f"{address.scheme}://{address.netloc}{address.path}" == f"{provider.issuer}/authorize"
    assert sent["code_challenge_method"] == "S256"
    assert (sent["response_type"], sent["scope"]) == ("code", "openid email profile")
    assert sent["state"] == started["state"]
    assert len({sent["state"], sent["nonce"], sent["code_challenge"], started["sign_in_token"]}) == 4
    assert started["expires_in"] == 600


async def test_a_command_line_listens_on_any_port_of_its_machine(browser):
    """A listed address of 127.0.0.1 without a port stands for all ports (RFC 8252)."""
    answer = await browser.finish(await browser.go("http://127.0.0.1:49152/callback"))
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "address",
    [
        "https://app.example.com/signed-in/",
        "https://app.example.com/signed-in?x=1",
        "https://app.example.com.evil.example/signed-in",
        "https://app.example.com@evil.example/signed-in",
        "http://app.example.com/signed-in",
        "http://127.0.0.1:49152/elsewhere",
        "http://127.0.0.1:49152@evil.example/callback",
        "http://evil.example#@127.0.0.1/callback",
        "http://localhost:49152/callback",
        "http://127.0.0.1:99999/callback",
        "javascript:alert(1)",
    ],
)
async def test_an_address_that_is_not_listed_is_refused(api, browser, address):
    """Codes go only to addresses of the list, compared character by character."""
    answer = await api.post("/v1/auth/oidc/test/start", json={"redirect_uri": address})
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert answer.json()["errors"][0]["pointer"] == "/redirect_uri"


async def test_providers_are_listed(api, browser):
    """What a client offers next to its form; nothing of the settings beyond name and id."""
    assert (await api.get("/v1/auth/oidc")).json() == {"items": [{"id": "test", "name": "Test provider"}]}
    answer = await api.post("/v1/auth/oidc/other/start", json={"redirect_uri": "https://app.example.com/signed-in"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_first_sign_ins_at_once_make_one_account(browser, database):
    """Ten first sign-ins of one person meet: all succeed, in one account."""
    bodies = [await browser.go() for _ in range(10)]
    answers = await asyncio.gather(*(browser.finish(body) for body in bodies))
    assert {answer.status_code for answer in answers} == {200}


async def test_a_sign_in_is_finished_once_however_many_try(browser):
    """Of twenty simultaneous tries with one code one succeeds; the others are told why."""
    body = await browser.go()
    answers = await asyncio.gather(*(browser.finish(body) for _ in range(20)))
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [200, *[400] * 19]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 400} == {"invalid_sign_in"}
