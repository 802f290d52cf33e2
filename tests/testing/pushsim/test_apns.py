"""APNs: what is in order arrives, and each check refuses with Apple's reason."""

import uuid

import pytest
from joserfc.jwk import ECKey

pytestmark = pytest.mark.feature("T11", "K4")


async def test_a_notification_in_order_arrives(sim, sender):
    """The answer is empty with the request's `apns-id`, and the device shows the alert."""
    device, apns_id = sim.apns.device(), str(uuid.uuid4())
    answer = await sender.apns(device, apns_id=apns_id, apns_collapse_id="n1", apns_expiration="0", apns_priority="10")
    assert (answer.status_code, answer.content, answer.headers["apns-id"]) == (200, b"", apns_id)
    (push,) = sim.journal.pushes
    assert (push.message_id, push.collapse_id, push.title) == (apns_id, "n1", "T")
    assert [shown.title for shown in device.screen.alerts] == ["T"]


@pytest.mark.parametrize(
    ("fields", "status", "reason"),
    [
        ({"token": ""}, 403, "MissingProviderToken"),
        ({"token": "a.b.c"}, 403, "InvalidProviderToken"),
        ({"apns_topic": None}, 400, "MissingTopic"),
        ({"apns_topic": "!"}, 400, "BadTopic"),
        ({"apns_topic": "com.example.other"}, 400, "TopicDisallowed"),
        ({"apns_id": "7"}, 400, "BadMessageId"),
        ({"apns_expiration": "soon"}, 400, "BadExpirationDate"),
        ({"apns_priority": "7"}, 400, "BadPriority"),
        ({"apns_push_type": "background", "apns_priority": "10"}, 400, "BadPriority"),
        ({"apns_push_type": "loud"}, 400, "InvalidPushType"),
        ({"apns_collapse_id": "x" * 65}, 400, "BadCollapseId"),
        ({"body": ""}, 400, "PayloadEmpty"),
        ({"body": "[]"}, 400, "PayloadEmpty"),
        ({"body": '{"aps":' + " " * 4090 + "{}}"}, 413, "PayloadTooLarge"),
        ({"path": "/3/device/"}, 400, "MissingDeviceToken"),
        ({"path": "/3/device/" + "0" * 64}, 400, "BadDeviceToken"),
        ({"path": "/3/device/xyz"}, 400, "BadDeviceToken"),
        ({"path": "/3/elsewhere"}, 404, "BadPath"),
        ({"method": "GET"}, 405, "MethodNotAllowed"),
        ({"sandbox": True}, 400, "BadDeviceToken"),
    ],
)
async def test_each_check_refuses(sim, sender, fields, status, reason):
    """A wrong header, size, path or environment has its status and its reason, and nothing is accepted."""
    answer = await sender.apns(sim.apns.device(), **fields)
    assert (answer.status_code, answer.json()) == (status, {"reason": reason})
    assert "apns-id" in answer.headers
    assert sim.journal.total == 0


@pytest.mark.parametrize(
    "wrong",
    [{"iss": "ANOTHERTEAM"}, {"header": {"kid": "OTHERKEY00"}}, {"iat": "now"}, {"iat": 9_000_000_000}, {"iat": True}],
)
async def test_a_provider_token_of_others_is_refused(sim, sender, wrong):
    """The wrong team, key or time is InvalidProviderToken."""
    answer = await sender.apns(sim.apns.device(), token=sender.apns_token(**wrong))
    assert (answer.status_code, answer.json()["reason"]) == (403, "InvalidProviderToken")


async def test_another_signature_is_refused(sim, sender):
    """A token that another key signed is InvalidProviderToken."""
    token = sender.apns_token(key=ECKey.generate_key("P-256"))
    assert (await sender.apns(sim.apns.device(), token=token)).json()["reason"] == "InvalidProviderToken"


async def test_a_provider_token_serves_an_hour(sim, sender, clock):
    """After an hour it is ExpiredProviderToken, whether APNs knows it or not; a new one is taken."""
    device = sim.apns.device()
    assert (await sender.apns(device)).status_code == 200
    clock.ahead += 3601
    for token in (None, sender.apns_token(iat=int(clock()) - 3700)):
        answer = await sender.apns(device, token=token)
        assert (answer.status_code, answer.json()["reason"]) == (403, "ExpiredProviderToken")
    assert (await sender.apns(device, token=sender.apns_token())).status_code == 200


async def test_a_new_provider_token_within_20_minutes_is_too_many(sim, sender, clock):
    """A second token of the key is 429 before 20 minutes have passed, and taken after; the first goes on serving."""
    device = sim.apns.device()
    assert (await sender.apns(device)).status_code == 200
    clock.ahead += 1100
    answer = await sender.apns(device, token=sender.apns_token())
    assert (answer.status_code, answer.json()["reason"]) == (429, "TooManyProviderTokenUpdates")
    clock.ahead += 200
    assert (await sender.apns(device, token=sender.apns_token())).status_code == 200
    assert (await sender.apns(device)).status_code == 200
    assert sim.apns.tokens.seen == 2


async def test_a_revoked_key_is_refused(sim, sender):
    """After the key was revoked each token of it is InvalidProviderToken."""
    device = sim.apns.device()
    assert (await sender.apns(device)).status_code == 200
    sim.apns.tokens.revoked = True
    assert (await sender.apns(device)).json()["reason"] == "InvalidProviderToken"


async def test_a_device_that_is_gone_is_410_with_the_time(sim, sender, clock):
    """The body has the time in milliseconds; before that time the device is there."""
    device = sim.apns.device()
    at = clock() + 100
    sim.unregister(device, at=at)
    assert (await sender.apns(device)).status_code == 200
    clock.ahead += 200
    answer = await sender.apns(device)
    assert (answer.status_code, answer.json()) == (410, {"reason": "Unregistered", "timestamp": int(at * 1000)})


async def test_the_device_of_another_app_is_refused(sim, sender):
    """A token of another topic is DeviceTokenNotForTopic."""
    answer = await sender.apns(sim.apns.device(topic="com.example.other"))
    assert (answer.status_code, answer.json()["reason"]) == (400, "DeviceTokenNotForTopic")


async def test_the_sandbox_serves_its_own_devices(sim, sender):
    """A sandbox device is reached at the sandbox alone."""
    device = sim.apns.device(sandbox=True)
    answer = await sender.apns(device, sandbox=True)
    assert answer.status_code == 200
    assert uuid.UUID(answer.headers["apns-unique-id"])
    assert (await sender.apns(device)).json()["reason"] == "BadDeviceToken"


async def test_a_collapse_id_replaces_and_a_background_push_removes(sim, sender):
    """The later alert of a collapse id replaces the earlier; the app takes it back when a background push says so."""
    device = sim.apns.device()
    for _ in range(2):
        await sender.apns(device, apns_collapse_id="n1")
    assert (len(device.screen.alerts), device.screen.alerted) == (1, 2)
    body = '{"aps":{"content-available":1},"notification_id":"n1","type":"notification.read"}'
    answer = await sender.apns(device, body=body, apns_push_type="background", apns_priority="5")
    assert answer.status_code == 200
    assert device.screen.alerts == []
    assert [push.withdrawn for push in sim.journal.of("n1")] == [False, False, True]


async def test_two_provider_tokens_in_one_request_are_refused(sim, sender):
    """A header that comes twice is DuplicateHeaders."""
    twice = [("authorization", f"bearer {sender.apns_token()}")] * 2
    answer = await sender.client.post(f"/3/device/{sim.apns.device().address}", headers=twice, content=b"{}")
    assert (answer.status_code, answer.json()["reason"]) == (400, "DuplicateHeaders")
