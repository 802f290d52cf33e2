"""`/v1/devices`: registration, renewal, the list, and what an app may do with its entry."""

import hashlib

import asyncpg
import pytest

from taskbell.kit.ids import new_id

FCM = {"kind": "fcm", "token": "dXV4Q2h1Y2s:APA91bHPRgkF3JUikC4ENAHEeMrd41Zxv3hVZjC9KtT8OvPVGJ"}
APNS = {"kind": "apns", "token": "740F4707BEBCF74F9B7C25D48E3358945F6AA01DA5DDB387462C7EAF61BB78AD"}
POINT = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
"""The public key of the example in RFC 8291, appendix A."""
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
ENDPOINT = "https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV"


def webpush(*, endpoint=ENDPOINT, p256dh=POINT, auth=AUTH, **fields):
    """A registration of a browser."""
    subscription = {"endpoint": endpoint, "expirationTime": None, "keys": {"p256dh": p256dh, "auth": auth}}
    return {"kind": "webpush", "subscription": subscription, **fields}


@pytest.mark.feature("T11")
@pytest.mark.parametrize(
    ("body", "address", "told"),
    [
        (FCM | {"name": "Pixel"}, FCM["token"], {"kind": "fcm", "name": "Pixel"}),
        (
            APNS | {"environment": "sandbox"},
            APNS["token"].lower(),
            {"kind": "apns", "name": "", "environment": "sandbox"},
        ),
        (webpush(), ENDPOINT, {"kind": "webpush", "push_service": "push.example.net"}),
    ],
)
async def test_a_device_is_registered_once_and_renewed(api, sign_up, database, body, address, told):
    """A new address is 201, the same again is 200 under the same id; what was sent is stored and never shown."""
    ann = await sign_up()
    answer = await api.post("/v1/devices", json=body, headers=ann.headers)
    assert answer.status_code == 201, answer.text
    device = answer.json()
    assert {name: device[name] for name in told} == told
    assert device["fingerprint"] == hashlib.sha256(address.encode()).hexdigest()[:16]
    again = await api.post("/v1/devices", json=body, headers=ann.headers)
    assert (again.status_code, again.json()["id"]) == (200, device["id"])
    assert again.json()["registered_at"] > device["registered_at"]
    assert again.json()["created_at"] == device["created_at"]
    listed = await api.get("/v1/devices", headers=ann.headers)
    assert listed.json()["items"] == [again.json()]
    assert address not in listed.text + answer.text
    connection = await asyncpg.connect(database.superuser_url)
    row = await connection.fetchrow("SELECT * FROM alert_endpoints")
    await connection.close()
    assert (row["address"], str(row["user_id"])) == (address, ann.user_id)
    assert (row["p256dh"], row["auth"]) == ((POINT, AUTH) if body["kind"] == "webpush" else (None, None))


@pytest.mark.feature("T11", "M35")
async def test_a_name_stays_until_another_is_given(api, sign_up):
    """A renewal without a name keeps the one that its owner gave; a longer one than 255 characters is refused."""
    ann = await sign_up()
    path = f"/v1/devices/{(await api.post('/v1/devices', json=FCM, headers=ann.headers)).json()['id']}"
    renamed = await api.patch(path, json={"name": "Work"}, headers=ann.headers)
    assert (renamed.status_code, renamed.json()["name"]) == (200, "Work")
    assert (await api.post("/v1/devices", json=FCM, headers=ann.headers)).json()["name"] == "Work"
    again = await api.post("/v1/devices", json=FCM | {"name": "Home"}, headers=ann.headers)
    assert again.json()["name"] == "Home"
    refused = await api.patch(path, json={"name": "x" * 256}, headers=ann.headers)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/name")


@pytest.mark.feature("T11")
async def test_a_removed_device_is_gone(api, sign_up):
    """It leaves the list, a second removal is 404, and registering it again is a new device."""
    ann = await sign_up()
    device = (await api.post("/v1/devices", json=FCM, headers=ann.headers)).json()
    path = f"/v1/devices/{device['id']}"
    assert (await api.delete(path, headers=ann.headers)).status_code == 204
    assert (await api.delete(path, headers=ann.headers)).status_code == 404
    assert (await api.get("/v1/devices", headers=ann.headers)).json()["items"] == []
    again = await api.post("/v1/devices", json=FCM, headers=ann.headers)
    assert (again.status_code, again.json()["id"] != device["id"]) == (201, True)


@pytest.mark.feature("M33", "M35")
async def test_devices_of_others_do_not_exist(api, sign_up):
    """Another user neither sees, renames nor removes a device; the answer is that of an unknown id."""
    ann, ben = await sign_up(), await sign_up()
    device = (await api.post("/v1/devices", json=FCM, headers=ann.headers)).json()
    assert (await api.get("/v1/devices", headers=ben.headers)).json()["items"] == []
    for identifier in (device["id"], str(new_id())):
        path = f"/v1/devices/{identifier}"
        assert (await api.patch(path, json={"name": "x"}, headers=ben.headers)).status_code == 404
        assert (await api.delete(path, headers=ben.headers)).status_code == 404
    assert (await api.get("/v1/devices", headers=ann.headers)).json()["items"] == [device]


async def test_the_list_has_pages(api, sign_up):
    """The pages hold each device once, the first registered first."""
    ann = await sign_up()
    made = [
        (await api.post("/v1/devices", json=FCM | {"token": f"token-number-{n:05}"}, headers=ann.headers)).json()["id"]
        for n in range(5)
    ]
    seen, cursor = [], {}
    while cursor is not None:
        page = (await api.get("/v1/devices", params={"limit": 2, **cursor}, headers=ann.headers)).json()
        seen += [item["id"] for item in page["items"]]
        cursor = {"cursor": page["meta"]["next_cursor"]} if page["meta"]["has_more"] else None
    assert seen == made


@pytest.mark.feature("M35")
@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/kind"),
        ({"kind": "pigeon", "token": "x" * 20}, "/kind"),
        ({"kind": "fcm"}, "/token"),
        ({"kind": "fcm", "token": "short"}, "/token"),
        ({"kind": "fcm", "token": "x" * 4097}, "/token"),
        ({"kind": "fcm", "token": "with a space in it!"}, "/token"),
        (FCM | {"environment": "sandbox"}, "/environment"),
        (APNS, "/environment"),
        (APNS | {"environment": "staging"}, "/environment"),
        (APNS | {"environment": "sandbox", "token": "not hexadecimal digits"}, "/token"),
        (APNS | {"environment": "sandbox", "token": APNS["token"][1:]}, "/token"),
        (FCM | {"name": "a\x00b"}, "/name"),
        ({"kind": "webpush", "token": "x" * 20}, "/subscription"),
        (webpush(p256dh=POINT[:-2]), "/subscription/keys/p256dh"),
        (webpush(p256dh=POINT[:-2] + "AA"), "/subscription/keys/p256dh"),
        (webpush(p256dh="A" + POINT[1:]), "/subscription/keys/p256dh"),
        (webpush(p256dh="BA" + "A" * 85), "/subscription/keys/p256dh"),
        (webpush(auth=AUTH[:-2]), "/subscription/keys/auth"),
        (webpush(auth=AUTH + "AAAA"), "/subscription/keys/auth"),
        (webpush(endpoint="http://push.example.net/x"), "/subscription/endpoint"),
        (webpush(endpoint="https://user:word@push.example.net/x"), "/subscription/endpoint"),
        (webpush(endpoint="https://push.example.net/x#there"), "/subscription/endpoint"),
        (webpush(endpoint="https://localhost/x"), "/subscription/endpoint"),
        (webpush(endpoint="https://db.internal/x"), "/subscription/endpoint"),
        (webpush(endpoint="https://db.internal./x"), "/subscription/endpoint"),
        (webpush(endpoint="https://nats:4222/x"), "/subscription/endpoint"),
        (webpush(endpoint="https://169.254.169.254/x"), "/subscription/endpoint"),
        (webpush(endpoint="https://8.8.8.8/x"), "/subscription/endpoint"),
        (webpush(endpoint="https://0x7f.1/x"), "/subscription/endpoint"),
        (webpush(endpoint="https://2130706433/x"), "/subscription/endpoint"),
        (webpush(endpoint="https://[::1]/x"), "/subscription/endpoint"),
        (webpush(endpoint="https://[::ffff:7f00:1]/x"), "/subscription/endpoint"),
        (webpush(endpoint="https://push.example.net:8443/x"), "/subscription/endpoint"),
        (webpush(endpoint="https:///x"), "/subscription/endpoint"),
        (webpush(endpoint="https://p.example.net/" + "x" * 2048), "/subscription/endpoint"),
    ],
)
async def test_a_bad_registration_is_refused(api, sign_up, body, pointer):
    """Each fault is a 422 at its place, and nothing is registered."""
    ann = await sign_up()
    answer = await api.post("/v1/devices", json=body, headers=ann.headers)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert (await api.get("/v1/devices", headers=ann.headers)).json()["items"] == []


async def test_another_media_type_is_refused(api, sign_up):
    """The body is JSON: 415 for a form, 400 for what is none."""
    ann = await sign_up()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await api.post("/v1/devices", content="kind=fcm", headers=ann.headers | form)).status_code == 415
    assert (await api.post("/v1/devices", content="kind=fcm", headers=ann.headers)).status_code == 400


async def test_without_a_key_web_push_is_not_set_up(api, sign_up):
    """The answer has a code of its own, and names the setting."""
    ann = await sign_up()
    answer = await api.get("/v1/devices/webpush-key", headers=ann.headers)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_set_up")
    assert "TASKBELL_VAPID_PUBLIC_KEY" in answer.json()["detail"]
    assert (await api.delete("/v1/devices/webpush-key", headers=ann.headers)).status_code == 405
