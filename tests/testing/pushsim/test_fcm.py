"""FCM and its token endpoint: what is in order arrives, and each check refuses in Google's words."""

import pytest
from joserfc.jwk import RSAKey

pytestmark = pytest.mark.feature("T11", "K4")

LONG = "x" * 5000


async def test_a_message_in_order_arrives(sim, sender):
    """The answer names the message, the journal has it, and the device shows it."""
    device = sim.fcm.device()
    answer = await sender.fcm(device, android={"priority": "HIGH", "ttl": "60s", "collapse_key": "n1"})
    assert (answer.status_code, answer.http_version) == (200, "HTTP/2")
    (push,) = sim.journal.pushes
    assert answer.json() == {"name": push.message_id}
    assert (push.provider, push.address, push.notification_id, push.title) == ("fcm", device.address, "n1", "T")
    assert [(shown.title, shown.body) for shown in device.screen.alerts] == [("T", "B")]


@pytest.mark.parametrize(
    ("claims", "error", "words"),
    [
        ({"iss": "somebody@else"}, "invalid_grant", "account not found"),
        ({"aud": "https://oauth2.googleapis.com/token"}, "invalid_grant", "audience"),
        ({"iat": 1, "exp": 3601}, "invalid_grant", "short-lived token"),
        ({"exp": 2_000_000_000_0}, "invalid_grant", "short-lived token"),
        ({"iat": "now"}, "invalid_grant", "short-lived token"),
        ({"scope": "https://www.googleapis.com/auth/drive"}, "invalid_scope", "scope"),
    ],
)
async def test_an_assertion_with_a_wrong_claim_gets_no_token(sender, claims, error, words):
    """The wrong account, audience, time or scope is 400 with Google's error and description."""
    answer = await sender.token(sender.assertion(**claims))
    assert answer.status_code == 400
    assert answer.json()["error"] == error
    assert words in answer.json()["error_description"]


@pytest.mark.parametrize("assertion", ["", "a.b.c", "eyJhbGciOiJSUzI1NiJ9.e30.AAAA", "x" * 10_000])
async def test_an_assertion_that_is_none_gets_no_token(sender, assertion):
    """Rubbish is `invalid_grant`."""
    answer = await sender.token(assertion)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


async def test_another_key_gets_no_token(sender):
    """An assertion that another key signed is `invalid_grant` with Google's words for it."""
    answer = await sender.token(sender.assertion(key=RSAKey.generate_key(2048)))
    assert answer.json() == {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}


async def test_another_grant_gets_no_token(sender):
    """Only the grant of RFC 7523 is served."""
    answer = await sender.token(grant="password")
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")


async def test_a_bearer_token_is_required_and_expires(sim, sender, clock):
    """No token, an unknown one, an expired one and a revoked one are 401 UNAUTHENTICATED."""
    device = sim.fcm.device()
    for bearer in ("", "unknown"):
        answer = await sender.fcm(device, bearer=bearer)
        assert (answer.status_code, answer.json()["error"]["status"]) == (401, "UNAUTHENTICATED")
    assert (await sender.fcm(device)).status_code == 200
    clock.ahead += 3600
    assert (await sender.fcm(device)).status_code == 401
    sender.bearer = ""
    assert (await sender.fcm(device)).status_code == 200
    sim.oauth.expire_all()
    assert (await sender.fcm(device)).status_code == 401


async def test_an_unregistered_token_is_404(sim, sender):
    """A device that is gone, and one that never was, are UNREGISTERED."""
    device = sim.fcm.device()
    sim.unregister(device)
    for address in (device.address, "a" * 22 + ":APA91b" + "b" * 86):
        answer = await sender.fcm(address)
        assert answer.status_code == 404
        assert answer.json()["error"]["details"][0]["errorCode"] == "UNREGISTERED"


async def test_a_malformed_token_is_blamed(sender):
    """A token that cannot be one is INVALID_ARGUMENT whose detail names `message.token`."""
    answer = await sender.fcm("not-a-token")
    assert answer.status_code == 400
    details = answer.json()["error"]["details"]
    assert details[0]["errorCode"] == "INVALID_ARGUMENT"
    assert details[1]["fieldViolations"][0]["field"] == "message.token"


async def test_the_token_of_another_project_is_403(sim, sender):
    """A device of another sender is SENDER_ID_MISMATCH."""
    answer = await sender.fcm(sim.fcm.device(sender="other"))
    assert answer.status_code == 403
    assert answer.json()["error"]["details"][0]["errorCode"] == "SENDER_ID_MISMATCH"


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"data": {"count": 1}}, "message.data[0].value"),
        ({"data": {"from": "x"}}, "message.data"),
        ({"android": {"ttl": "1h"}}, "message.android.ttl"),
        ({"android": {"ttl": "2419201s"}}, "message.android.ttl"),
        ({"android": {"priority": "urgent"}}, "message.android.priority"),
        ({"android": {"colour": "red"}}, "message.android"),
        ({"notification": {"title": 7}}, "message.notification.title"),
        ({"token": ""}, "message"),
        ({"topic": "all"}, "message"),
    ],
)
async def test_a_wrong_field_is_named(sim, sender, message, field):
    """A field of the wrong type, range or name is 400 with the field, and does not blame the token."""
    answer = await sender.fcm(sim.fcm.device(), **message)
    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["fieldViolations"][0]["field"] == field


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"message":3}', b'{"message":{},"x":1}', b"\xff"])
async def test_a_body_that_is_no_message_is_400(sender, content):
    """Rubbish is INVALID_ARGUMENT."""
    answer = await sender.fcm("a" * 20 + ":" + "b" * 30, content=content)
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


async def test_4096_bytes_are_the_most(sim, sender):
    """A payload of 4096 bytes arrives; one more is 400, and blames no token."""
    device = sim.fcm.device()
    assert (await sender.fcm(device, data={"k": "x" * 4095})).status_code == 200
    answer = await sender.fcm(device, data={"k": "x" * 4096})
    assert (answer.status_code, answer.json()["error"]["details"]) == (400, [])


async def test_another_project_and_another_path_are_refused(sender):
    """Another project is 403, another path 404."""
    assert (await sender.fcm("x", path="/v1/projects/other/messages:send")).status_code == 403
    assert (await sender.client.post("/v1/nothing")).status_code == 404


async def test_a_tag_replaces_and_a_withdrawal_removes(sim, sender):
    """Of one notification the later alert replaces the earlier, and data that withdraws it removes it."""
    device = sim.fcm.device()
    for title in ("one", "two"):
        await sender.fcm(
            device,
            data={"notification_id": "n1"},
            notification={"title": title},
            android={"notification": {"tag": "n1"}},
        )
    await sender.fcm(device, data={"notification_id": "n2", "title": "other"})
    assert [shown.title for shown in device.screen.alerts] == ["two", "other"]
    assert sim.journal.counts()[device.address, "n1"] == 2
    await sender.fcm(device, data={"notification_id": "n1", "type": "notification.read"})
    assert [shown.title for shown in device.screen.alerts] == ["other"]
    assert device.screen.alerted == 3
