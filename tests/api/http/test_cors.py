"""Browsers of the named origins may call the API; others may not."""

import pytest

from taskbell.api.settings import ApiSettings

ORIGIN = "https://app.example.com"


@pytest.fixture
def overrides():
    """One origin is allowed."""
    return {"cors_origins": f"{ORIGIN}, https://other.example.com"}


@pytest.mark.feature("F8", "M28")
@pytest.mark.parametrize(("origin", "allowed"), [(ORIGIN, True), ("https://evil.example.com", False), ("null", False)])
async def test_preflight(api, origin, allowed):
    """A preflight is granted to a named origin, for the methods and headers that the API uses."""
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "authorization, content-type, if-match",
    }
    answer = await api.options("/v1/me", headers=asked)
    assert (answer.status_code == 200) is allowed
    assert answer.headers.get("access-control-allow-origin") == (origin if allowed else None)
    if allowed:
        assert "PATCH" in answer.headers["access-control-allow-methods"]


@pytest.mark.feature("F8")
async def test_answers_and_problems_can_be_read(api):
    """Errors too are readable for a named origin, with their headers; nothing is ever granted to everybody."""
    for path in ("/livez", "/v1/me"):
        answer = await api.get(path, headers={"Origin": ORIGIN})
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "X-Request-ID" in answer.headers["access-control-expose-headers"]
        answer = await api.get(path, headers={"Origin": "https://evil.example.com"})
        assert "access-control-allow-origin" not in answer.headers


def test_everybody_is_no_origin(settings):
    """`*` stops the process at its start."""
    with pytest.raises(ValueError, match="name the origins"):
        ApiSettings(**(settings.model_dump() | {"cors_origins": "*"}))
