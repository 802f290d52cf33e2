"""The side for other processes: what it tells, what it changes, and what it refuses."""

import pytest

pytestmark = pytest.mark.feature("K4")


async def test_it_tells_what_came(sim, sender, client):
    """Pushes after a number, of a provider, of an address; refusals; counts."""
    phone, browser = sim.fcm.device(), sim.webpush.subscription()
    await sender.fcm(phone)
    await sender.webpush(browser)
    await sender.fcm(phone)
    await sender.fcm("x")
    summary = (await client.get("/control")).json()
    assert summary["accepted"] == {"fcm": 2, "webpush": 1}
    assert summary["statuses"] == {"oauth 200": 1, "fcm 200": 2, "webpush 201": 1, "fcm 400": 1}

    async def numbers(**query):
        answer = (await client.get("/control/pushes", params=query)).json()
        return answer["total"], [push["number"] for push in answer["pushes"]]

    assert await numbers() == (3, [1, 2, 3])
    assert await numbers(after=1, limit=1) == (3, [2])
    assert await numbers(provider="fcm") == (3, [1, 3])
    assert await numbers(address=browser.address) == (3, [2])
    assert [each["status"] for each in (await client.get("/control/refused")).json()["refused"]] == [400]
    await client.delete("/control/pushes")
    assert await numbers() == (0, [])


async def test_it_makes_devices_that_can_be_registered(sim, sender, client):
    """The answer has what `POST /v1/devices` needs, and pushes arrive there."""
    made = (await client.post("/control/devices", json={"provider": "webpush", "count": 3})).json()["devices"]
    assert len({each["address"] for each in made}) == 3
    device = sim.devices.at(made[0]["address"])
    assert (device.p256dh, device.auth) == (made[0]["p256dh"], made[0]["auth"])
    await sender.webpush(device)
    screen = (await client.get("/control/screens", params={"address": device.address})).json()
    assert (screen["alerted"], screen["alerts"][0]["title"]) == (1, "T")
    sandbox = {"provider": "apns", "environment": "sandbox"}
    assert (await client.post("/control/devices", json=sandbox)).json()["devices"][0]["environment"] == "sandbox"


async def test_it_changes_devices(sim, sender, client):
    """A device can be gone and come back, and be off and on."""
    device = sim.fcm.device()

    async def change(**more):
        answer = await client.post("/control/devices/change", json={"address": device.address, **more})
        assert answer.status_code == 200

    await change(gone_at=0)
    assert (await sender.fcm(device)).status_code == 404
    await change(gone_at=None, off=True)
    assert (await sender.fcm(device)).status_code == 200
    assert device.screen.alerts == []
    await change(off=False)
    assert len(device.screen.alerts) == 1


async def test_it_scripts_faults(sim, sender, client):
    """A fault from JSON fires, is listed with how often it is still to fire, and can be removed."""
    fault = {
        "kind": "status",
        "provider": "fcm",
        "status": 503,
        "headers": {"Retry-After": "1"},
        "body": "b",
        "times": 2,
    }
    assert (await client.post("/control/faults", json=fault)).status_code == 200
    answer = await sender.fcm(sim.fcm.device())
    assert (answer.status_code, answer.headers["retry-after"], answer.text) == (503, "1", "b")
    (listed,) = (await client.get("/control/faults")).json()["faults"]
    assert (listed["kind"], listed["left"]) == ("status", 1)
    await client.delete("/control/faults")
    assert (await sender.fcm(sim.fcm.device())).status_code == 200


async def test_it_gives_settings_and_the_certificate(sim, client):
    """Another process gets all that it needs to use the simulator."""
    settings = (await client.get("/control/settings")).json()
    assert settings["TASKBELL_FCM_URL"] == sim.url
    assert settings.items() <= sim.environment.items()
    assert (await client.get("/control/ca")).text == sim.ca_file.read_text()


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "nothing", None, 404),
        ("PUT", "faults", {}, 404),
        ("POST", "faults", {}, 400),
        ("POST", "faults", {"kind": "unknown"}, 400),
        ("POST", "faults", {"kind": "slow", "speed": 1}, 400),
        ("POST", "faults", {"kind": "slow", "seconds": "x"}, 400),
        ("POST", "faults", {"kind": "lost", "ending": "x"}, 400),
        ("POST", "faults", {"kind": "status", "headers": 7}, 400),
        ("POST", "faults", [], 400),
        ("POST", "devices", {"provider": "pager"}, 400),
        ("POST", "devices", {"count": 0}, 400),
        ("POST", "devices", {"count": "many"}, 400),
        ("POST", "devices", {"provider": "apns", "environment": "moon"}, 400),
        ("POST", "devices/change", {"address": "x"}, 400),
        ("GET", "screens", None, 400),
        ("GET", "pushes?after=x", None, 400),
    ],
)
async def test_it_refuses_in_a_sentence(client, method, path, body, status):
    """What there is not is 404, what is malformed 400, each with an `error`."""
    answer = await client.request(method, f"/control/{path}", json=body)
    assert (answer.status_code, [*answer.json()]) == (status, ["error"])
