"""How many devices a user has, whose a device is when two register it, and what the settings permit."""

import asyncio

import pytest
from pydantic import ValidationError

from taskbell.api.settings import ApiSettings

POINT = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
MOST = 3


@pytest.fixture
def overrides():
    """A user has three devices at most, and push services may be on this machine."""
    return {"devices_per_user": MOST, "push_allow_private": True, "vapid_public_key": POINT + "="}


def phone(number):
    """A registration of a phone."""
    return {"kind": "fcm", "token": f"the-token-of-phone-{number}"}


@pytest.mark.feature("T11", "M35")
async def test_one_more_is_refused_however_many_come_at_once(api, sign_up):
    """Of ten at once, three are registered; a renewal is still accepted, and after a removal so is another one."""
    ann = await sign_up()

    async def register(number):
        return await api.post("/v1/devices", json=phone(number), headers=ann.headers)

    answers = await asyncio.gather(*(register(number) for number in range(10)))
    assert sorted(answer.status_code for answer in answers) == [201] * MOST + [409] * (10 - MOST)
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"limit_reached"}
    kept = [number for number, answer in enumerate(answers) if answer.status_code == 201]
    assert (await register(kept[0])).status_code == 200
    first = answers[kept[0]].json()["id"]
    assert (await api.delete(f"/v1/devices/{first}", headers=ann.headers)).status_code == 204
    assert (await register(99)).status_code == 201


@pytest.mark.feature("T11", "M33")
async def test_a_device_moves_to_whoever_registers_it_last(api, sign_up):
    """The next user has it under another id, so that nothing that waits for the first one reaches it."""
    ann, ben = await sign_up(), await sign_up()
    hers = (await api.post("/v1/devices", json=phone(1) | {"name": "Ann's"}, headers=ann.headers)).json()
    answer = await api.post("/v1/devices", json=phone(1), headers=ben.headers)
    assert (answer.status_code, answer.json()["name"]) == (201, "")
    assert answer.json()["id"] != hers["id"]
    assert (await api.get("/v1/devices", headers=ann.headers)).json()["items"] == []
    assert (await api.get("/v1/devices", headers=ben.headers)).json()["items"] == [answer.json()]


@pytest.mark.feature("T11")
async def test_accounts_that_register_one_device_at_once(api, sign_up):
    """Every answer is a success or a conflict, and in the end one account has the device, once."""
    people = [await sign_up() for _ in range(6)]

    async def register(person):
        return await api.post("/v1/devices", json=phone(1), headers=person.headers)

    answers = await asyncio.gather(*(register(person) for person in people for _ in range(3)))
    assert {answer.status_code for answer in answers} <= {200, 201, 409}
    assert any(answer.status_code == 201 for answer in answers)
    found = [(await api.get("/v1/devices", headers=person.headers)).json()["items"] for person in people]
    assert sorted(len(items) for items in found) == [0] * 5 + [1]


async def test_where_it_is_permitted_a_push_service_may_be_private(api, sign_up):
    """The setting for tests accepts this machine, by https."""
    ann = await sign_up()
    keys = {"p256dh": POINT, "auth": "BTBZMqHH6r4Tts7J_aSIgg"}
    for endpoint, status in (("https://127.0.0.1:9443/x", 201), ("http://127.0.0.1:9443/x", 422)):
        body = {"kind": "webpush", "subscription": {"endpoint": endpoint, "keys": keys}}
        assert (await api.post("/v1/devices", json=body, headers=ann.headers)).status_code == status


async def test_browsers_get_the_key(api, sign_up):
    """The key of the settings, without padding, as browsers take it."""
    ann = await sign_up()
    answer = await api.get("/v1/devices/webpush-key", headers=ann.headers)
    assert (answer.status_code, answer.json()) == (200, {"public_key": POINT})


@pytest.mark.parametrize("key", ["x", POINT[:-4] + "AAAA", "A" * 87, POINT + POINT])
def test_a_key_that_is_no_point_stops_the_start(signing_keys, key):
    """The process says so in one line instead of giving browsers a key that none accepts."""
    needed = {"database_url": "postgresql://x", "nats_url": "nats://x", "signing_keys": signing_keys}
    with pytest.raises(ValidationError, match="uncompressed point of P-256"):
        ApiSettings(**needed, vapid_public_key=key)
