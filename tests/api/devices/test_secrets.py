"""Tokens, addresses of chats and of browsers, and the token of an e-mail's link are in no log."""

import pytest

POINT = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
KEYS = {"p256dh": POINT, "auth": "BTBZMqHH6r4Tts7J_aSIgg"}
LINK = "9b2f5a0c-57d1-4c43-9f0e-6d3a1f6c0b11"


@pytest.fixture
def overrides():
    """Every request counts as slow, and so is logged."""
    return {"slow_request": "PT0S"}


@pytest.mark.feature("M69", "M70")
async def test_no_log_holds_a_secret(api, sign_up, capfd):
    """Each request is logged by its path, whether it is accepted or refused, without what it brought."""
    ann = await sign_up()
    slack = "https://hooks.slack.com/services/T/B/verysecret"
    endpoint = "https://push.example.net/verysecret"
    for method, path, body in (
        ("POST", "/v1/devices", {"kind": "fcm", "token": "verysecret-token-of-a-phone"}),
        ("POST", "/v1/devices", {"kind": "apns", "token": "verysecret", "environment": "sandbox"}),
        ("POST", "/v1/devices", {"kind": "webpush", "subscription": {"endpoint": endpoint, "keys": KEYS}}),
        ("POST", "/v1/devices", {"kind": "webpush", "subscription": {"endpoint": f"{endpoint}#x", "keys": KEYS}}),
        ("PUT", "/v1/me/channels/slack", {"url": slack}),
        ("PUT", "/v1/me/channels/teams", {"url": slack}),
    ):
        answer = await api.request(method, path, json=body, headers=ann.headers)
        assert answer.status_code in {201, 422}
        assert not any(secret in answer.text for secret in ("verysecret", KEYS["auth"], POINT))
    click = {"List-Unsubscribe": "One-Click"}
    assert (await api.post("/v1/unsubscribe", params={"token": LINK}, data=click)).status_code == 200
    logged = "".join(capfd.readouterr())
    assert "path=/v1/me/channels/teams" in logged
    assert "path=/v1/unsubscribe" in logged
    assert not any(secret in logged for secret in ("verysecret", KEYS["auth"], POINT, LINK))
