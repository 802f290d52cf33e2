"""A worker sends alerts to simulated devices, from an event in the stream to the screen."""

import pytest

from taskbell.testing.waiting import eventually

pytestmark = pytest.mark.feature("T11", "T16", "M69", "M70", "K4")

CHANNELS = ("fcm", "apns", "webpush", "slack", "teams")


@pytest.fixture
def environment(sim, monkeypatch):
    """The worker finds the simulator's settings in its environment."""
    for name, value in sim.environment.items():
        monkeypatch.setenv(name, value)


async def register(platform, user, device):
    """Register a device as the API does."""
    more = {"p256dh": device.p256dh, "auth": device.auth, "environment": device.environment}
    return await platform.endpoint(user, str(device.provider), address=device.address, **more)


async def tell(platform, user, workspace, *, event_type="notification.created", notification=None):
    """Publish that a user has a notification, or has read it; returns the notification's id."""
    notification = notification or await platform.notification(user, workspace)
    data = {
        "id": str(notification),
        "kind": "assigned",
        "title": "Ann assigned you: Water the plants",
        "body": "All of them.",
        "workspace_id": str(workspace),
        "task_id": None,
        "actor_id": None,
        "urgent": False,
        "read_at": None,
        "created_at": "2026-11-22T08:00:00Z",
    }
    await platform.event(workspace, event_type=event_type, audience=(user,), data=data)
    return notification


@pytest.mark.usefixtures("environment")
async def test_a_notification_reaches_all_devices_and_leaves_them_when_it_is_read(platform, run_worker, sim, device_of):
    """One alert on each of five; when the notification is read, the devices show nothing, and chats keep theirs."""
    user, workspace = await platform.person()
    devices = {channel: device_of(channel) for channel in CHANNELS}
    for device in devices.values():
        await register(platform, user, device)
    async with run_worker(delivery_lease="PT1M"):
        notification = await tell(platform, user, workspace)
        await sim.arrived(5)
        await eventually(platform.states, "all are delivered", wanted=lambda states: states == ["delivered"] * 5)
        assert [len(device.screen.alerts) for device in devices.values()] == [1] * 5
        await platform.read(notification)
        await tell(platform, user, workspace, event_type="notification.read", notification=notification)
        await sim.arrived(8)
    assert [len(device.screen.alerts) for device in devices.values()] == [0, 0, 0, 1, 1]
    assert {push.problem for push in sim.journal.pushes} == {None}


@pytest.mark.usefixtures("environment")
async def test_only_a_device_that_is_gone_is_removed(platform, run_worker, sim, device_of):
    """The provider's word removes one of two phones; an outage removes none, and its alert comes later."""
    user, workspace = await platform.person()
    here, gone = device_of("fcm"), device_of("fcm")
    for device in (here, gone):
        await register(platform, user, device)
    sim.unregister(gone)
    sim.fail("status", device=here, status=503, times=2)
    async with run_worker(delivery_lease="PT1M"):
        await tell(platform, user, workspace)
        await sim.arrived(1)

        async def left():
            return [row["address"] for row in await platform.connection.fetch("SELECT address FROM alert_endpoints")]

        await eventually(left, "one phone is left", wanted=lambda found: found == [here.address])
        await eventually(platform.states, "both ended", wanted=lambda found: sorted(found) == ["dead", "delivered"])
    assert len(here.screen.alerts) == 1


@pytest.mark.usefixtures("environment")
async def test_nothing_waits_for_a_provider_that_is_not_set_up(platform, run_worker, monkeypatch, device_of):
    """Without credentials of Apple an iPhone gets no row in the ledger."""
    for name in ("KEY", "KEY_ID", "TEAM_ID", "TOPIC"):
        monkeypatch.delenv(f"TASKBELL_APNS_{name}")
    user, workspace = await platform.person()
    for channel in ("apns", "webpush"):
        await register(platform, user, device_of(channel))
    async with run_worker(delivery_lease="PT1M"):
        await tell(platform, user, workspace)
        await eventually(platform.states, "the browser has it", wanted=lambda found: found == ["delivered"])
    assert [row["channel"] for row in await platform.deliveries()] == ["webpush"]
