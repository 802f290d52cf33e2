"""Whatever a client sends: the answer is a status of the provider's, and no exception escapes."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskbell.testing.pushsim.message_encryption import MessageUndecipherable, decrypt
from taskbell.testing.pushsim.simulator import PushSimulator
from taskbell.testing.pushsim.tokens import TokenMalformed, public_point, read
from taskbell.testing.pushsim.wire import Request

pytestmark = [pytest.mark.feature("K4")]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
FIELDS = ("authorization", "ttl", "topic", "urgency", "content-type", "content-encoding", "apns-topic", "apns-id",
          "apns-priority", "apns-expiration", "apns-push-type", "apns-collapse-id")  # fmt: skip
HEADERS = st.dictionaries(st.sampled_from(FIELDS), st.text(st.characters(max_codepoint=255), max_size=60))
NAMES = ("message", "token", "data", "notification", "android", "ttl", "title", "aps", "alert", "text", "blocks",
         "attachments", "content", "type", "body", "notification_id", "collapse_key", "tag", "priority")  # fmt: skip
SHAPED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.sampled_from(["message", "1s", "high"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=15,
)
BODIES = (
    st.binary(max_size=300)
    | JSON.map(lambda found: json.dumps(found).encode())
    | SHAPED.map(lambda found: json.dumps(found).encode())
)


@pytest.fixture(scope="module")
def quiet(credentials):
    """A simulator that listens nowhere, with a device of each provider, and somebody who is signed in at each."""
    sim = PushSimulator(credentials)
    sim.devices.url = sim.webpush.vapid.origin = "https://127.0.0.1:8443"
    sim.oauth.url = "https://127.0.0.1:8443/token"
    sim.oauth._bearers.note("known", 1e12)
    sim.apns.tokens._issued.note("known", sim.world.clock())
    sim.webpush.vapid._known.note("known", 1e12)
    return sim


@pytest.fixture(scope="module")
def paths(quiet):
    """A path of each provider that exists, and some that do not."""
    token = quiet.apns.device().token
    hooks = [device.address for device in (quiet.webpush.subscription(), quiet.slack.hook(), quiet.teams.hook())]
    return [
        f"/3/device/{token}",
        f"/v1/projects/{quiet.credentials.project_id}/messages:send",
        *(address.removeprefix(quiet.devices.url) for address in hooks),
        *("/token", "/control", "/control/faults", "/control/devices", "/control/pushes", "/"),
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=400)
@given(data=st.data())
def test_every_request_has_an_answer(quiet, paths, data):
    """Any method, path, header and body gets a status between 200 and 499, signed in or not."""
    path = data.draw(st.sampled_from(paths) | st.text(st.characters(max_codepoint=255), max_size=40).map("/".__add__))
    headers = data.draw(HEADERS)
    if data.draw(st.booleans()):
        headers["authorization"] = "known" if "/wpush/" in path else "Bearer known"
    request = Request(
        method=data.draw(st.sampled_from(["POST", "POST", "POST", "GET", "DELETE", "X"])),
        path=path,
        headers=headers,
        repeated=frozenset(),
        body=data.draw(BODIES),
        port=8443,
    )
    quiet.faults.clear()
    answer = quiet._handle(request).answer
    assert 200 <= answer.status < 500
    assert all(name == name.lower() for name in answer.headers)


@settings(deadline=None)
@given(text=st.text(max_size=200) | st.lists(st.binary(max_size=40), min_size=3, max_size=3).map(repr))
def test_a_token_is_read_or_refused(text):
    """Any text is a token or TokenMalformed."""
    for reads in (read, public_point):
        try:
            reads(text)
        except TokenMalformed:
            continue


@settings(deadline=None)
@given(body=st.binary(min_size=0, max_size=300))
def test_a_message_is_decrypted_or_refused(quiet, body):
    """Any bytes are MessageUndecipherable, for nobody guesses a tag."""
    browser = quiet.devices.of("webpush")[0] if quiet.devices.of("webpush") else quiet.webpush.subscription()
    with pytest.raises(MessageUndecipherable):
        decrypt(body, key=browser.private_key, auth=b"\0" * 16)


@settings(deadline=None, max_examples=200)
@given(message=st.dictionaries(st.sampled_from(NAMES), SHAPED, max_size=5))
def test_a_message_to_a_real_device_never_breaks_fcm(quiet, message):
    """Any fields around a real registration token are accepted or 400."""
    device = next(iter(quiet.devices.of("fcm")), None) or quiet.fcm.device()
    request = Request(
        method="POST",
        path=f"/v1/projects/{quiet.credentials.project_id}/messages:send",
        headers={"authorization": "Bearer known"},
        repeated=frozenset(),
        body=json.dumps({"message": {**message, "token": device.token}}).encode(),
        port=8443,
    )
    assert quiet._handle(request).answer.status in {200, 400}
