"""Access tokens: what is accepted, what is refused, and how keys are published and rotated."""

import base64
import json
import time
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from taskbell.api.accounts.tokens import access_token_verifier, issue
from taskbell.api.app import create_app
from taskbell.contract.tokens import AUDIENCE, ISSUER, TokenType
from taskbell.kit import jwt
from taskbell.kit.jwt import TokenRefused, generate_keys, parse_keys


def claims(**changes):
    """The claims of a good token, with changes; None leaves one out."""
    now = int(time.time())
    made = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(uuid4()),
        "ws": str(uuid4()),
        "sid": str(uuid4()),
        "jti": "1",
        "iat": now,
        "exp": now + 60,
    }
    return {name: value for name, value in (made | changes).items() if value is not None}


def unsigned(header, body):
    """A token with no signature."""
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, body))
    return ".".join((*parts, ""))


@pytest.mark.feature("H3", "H4")
async def test_forged_and_worn_out_tokens_are_refused(api, signing_keys):
    """No algorithm, another key, another type, issuer or audience, an old or claimless token: each is 401."""
    keys, foreign = parse_keys(signing_keys), parse_keys(generate_keys())
    kid = keys.keys[0].kid

    def signed(body, *, token_type=TokenType.ACCESS, by=keys):
        return jwt.sign(body, token_type=token_type, keys=by)

    header, body, signature = signed(claims()).split(".")
    refused = {
        "alg none": unsigned({"alg": "none", "typ": "at+jwt"}, claims()),
        "alg none with kid": unsigned({"alg": "none", "kid": kid, "typ": "at+jwt"}, claims()),
        "foreign key": signed(claims(), by=foreign),
        "ticket": signed(claims(), token_type=TokenType.TICKET),
        "issuer": signed(claims(iss="somebody")),
        "audience": signed(claims(aud="somebody")),
        "expired": signed(claims(exp=int(time.time()) - 1)),
        "endless": signed(claims(exp=None)),
        "nobody": signed(claims(sub=None)),
        "no uuid": signed(claims(ws="mine")),
        "signature": f"{header}.{body}.{'A' * len(signature)}",
        "other body": f"{header}.{signed(claims()).split('.')[1]}.{signature}",
        "two parts": f"{header}.{body}",
        "empty": "",
        "long": "a" * 20_000,
    }
    for reason, token in refused.items():
        answer = await api.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), reason
    for header in ("Basic YTpi", "Bearer", signed(claims())):
        assert (await api.get("/v1/me", headers={"Authorization": header})).status_code == 401


async def test_the_token_of_a_gone_account_opens_nothing(api, signing_keys):
    """A rightly signed token for a user that does not exist is 401 at the account's own page."""
    token = jwt.sign(claims(), token_type=TokenType.ACCESS, keys=parse_keys(signing_keys))
    answer = await api.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


@pytest.fixture(scope="module")
def verify(signing_keys):
    """The verification of access tokens."""
    return access_token_verifier(parse_keys(signing_keys))


@profile(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.text(max_size=200))
def test_any_text_is_refused_in_one_way(verify, text):
    """Whatever stands in place of a token is refused with the one error."""
    with pytest.raises(TokenRefused):
        verify(text)
    with pytest.raises(TokenRefused):
        verify(f"{text}.{text}.{text}")


async def test_public_keys_verify_and_tell_no_secret(api, sign_up, signing_keys):
    """The published set verifies an access token, may be cached for five minutes, and holds no private part."""
    ann = await sign_up()
    answer = await api.get("/.well-known/jwks.json")
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert all("d" not in key for key in answer.json()["keys"])
    published = parse_keys(answer.text, private=False)
    found = jwt.verify(
        ann.access_token,
        token_type=TokenType.ACCESS,
        keys=published,
        issuer=ISSUER,
        audience=AUDIENCE,
        now=time.time(),
    )
    assert found["sub"] == ann.user_id
    assert found["ws"] == ann.workspace_id


async def test_keys_rotate_without_downtime(sign_up, settings):
    """After a rotation the new key signs, tokens of the old one are accepted, and both are published."""
    old = await sign_up()
    rotated = generate_keys(settings.signing_keys.get_secret_value())
    application = create_app(settings.model_copy(update={"signing_keys": type(settings.signing_keys)(rotated)}))
    async with (
        application.router.lifespan_context(application),
        httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://api.test") as client,
    ):
        assert (await client.get("/v1/me", headers=old.headers)).status_code == 200
        fresh = (await client.post("/v1/auth/refresh", json={"refresh_token": old.refresh_token})).json()
        kids = [key["kid"] for key in (await client.get("/.well-known/jwks.json")).json()["keys"]]
    assert len(kids) == 2
    assert [jwt.key_id(token) for token in (fresh["access_token"], old.access_token)] == kids


def test_a_token_is_valid_for_as_long_as_asked(signing_keys):
    """The lifetime that is asked for is what the token carries."""
    keys = parse_keys(signing_keys)
    ids = {"user_id": uuid4(), "workspace_id": uuid4(), "session_id": uuid4()}
    token = issue(token_type=TokenType.ACCESS, ttl=timedelta(minutes=5), keys=keys, **ids)
    found, expires = access_token_verifier(keys)(token)
    assert (found.user_id, found.workspace_id, found.session_id) == tuple(ids.values())
    assert 295 < expires - time.time() <= 300
