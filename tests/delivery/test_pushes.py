"""Pushes, from a notification in the stream to the devices of a simulated provider, with workers that are killed."""

import signal
import time
from collections import Counter
from uuid import UUID

import pytest

from taskbell.testing.pushsim.devices import Provider
from taskbell.testing.pushsim.simulator import simulator
from taskbell.testing.waiting import eventually

pytestmark = pytest.mark.feature("T11", "H14", "H15")


@pytest.fixture
async def providers():
    """All providers, simulated."""
    async with simulator() as running:
        yield running


def _named(environment):
    """Settings by field, for a worker in this process."""
    return {name.removeprefix("TASKBELL_").lower(): value for name, value in environment.items()} | {
        "push_allow_private": True
    }


def _bare(environment):
    """Settings without prefix, for a worker of its own."""
    return {name.removeprefix("TASKBELL_"): value for name, value in environment.items()}


async def phone(platform, providers, user, kind="fcm"):
    """A device of the user; returns the simulated one and the endpoint's id."""
    device = providers.devices.new(Provider(kind), environment="production" if kind == "apns" else None)
    fields = {"p256dh": device.p256dh, "auth": device.auth, "environment": device.environment}
    return device, await platform.endpoint(user, kind, address=device.address, **fields)


async def notify(platform, user, workspace, *, event_type="notification.created", notice=None):
    """A notification's event, as the relay publishes it; returns the notification's id."""
    found = notice or await platform.notification(user, workspace)
    data = {
        "id": str(found),
        "kind": "assigned",
        "title": "Ann assigned you: Water the plants",
        "body": "All of them",
        "workspace_id": str(workspace),
        "task_id": None,
        "urgent": False,
        "created_at": "2026-11-22T10:00:00Z",
    }
    await platform.event(workspace, event_type=event_type, audience=[user], data=data)
    return found


async def settled(platform, count):
    """Whether so many deliveries are in the ledger and none waits."""
    states = await platform.states()
    return len(states) == count and not {"pending", "retrying"} & set(states)


@pytest.mark.feature("T16")
async def test_every_device_shows_an_alert_until_it_is_read(platform, providers, run_worker):
    """Phones and browsers show it once, and take it back when it is read elsewhere; a chat keeps it."""
    user, workspace = await platform.person()
    kinds = ("fcm", "apns", "webpush", "slack", "teams")
    devices = [(await phone(platform, providers, user, kind))[0] for kind in kinds]
    async with run_worker(**_named(providers.environment)):
        notice = await notify(platform, user, workspace)
        await eventually(lambda: settled(platform, len(kinds)))
        await platform.read(notice)
        await notify(platform, user, workspace, event_type="notification.read", notice=notice)
        await eventually(lambda: settled(platform, len(kinds) + 3))
    assert {row["error"] for row in await platform.deliveries()} == {None}
    assert {push.address for push in providers.journal.pushes if push.withdrawn} == {
        device.address for device in devices[:3]
    }
    assert set(await platform.states()) == {"delivered"}


@pytest.mark.feature("T16")
async def test_a_device_that_is_gone_is_removed(platform, providers, run_worker):
    """The provider's word removes it and ends its alert with a reason; the user's other device hears it."""
    user, workspace = await platform.person()
    lost, lost_id = await phone(platform, providers, user)
    _, kept_id = await phone(platform, providers, user)
    providers.unregister(lost, at=time.time() - 60)
    async with run_worker(**_named(providers.environment)):
        await notify(platform, user, workspace)
        await eventually(lambda: settled(platform, 2))
    rows = {row["endpoint_id"]: (row["state"], row["error"]) for row in await platform.deliveries()}
    assert rows == {kept_id: ("delivered", None), lost_id: ("dead", "404 UNREGISTERED")}
    assert await platform.connection.fetch("SELECT id FROM alert_endpoints") == [(kept_id,)]


@pytest.mark.feature("P19")
async def test_a_provider_that_fails_gets_a_pause_and_then_everything(platform, providers, run_worker):
    """After failures in a row nothing is sent for some time; then every alert arrives, once."""
    user, workspace = await platform.person()
    await phone(platform, providers, user)
    providers.refuse("fcm", "UNAVAILABLE", times=6)
    async with run_worker(**_named(providers.environment), push_concurrency=2):
        notices = {await notify(platform, user, workspace) for _ in range(20)}
        await providers.arrived(len(notices))
        await eventually(lambda: settled(platform, len(notices)))
    assert {UUID(push.notification_id) for push in providers.journal.pushes} == notices
    assert providers.journal.total == len(notices)


@pytest.mark.feature("H16", "P19")
async def test_workers_killed_at_random_moments_lose_no_push(platform, providers, worker_process):
    """Two workers, of which one is killed again and again: each notification arrives, a copy replaces the first."""
    user, workspace = await platform.person()
    device, _ = await phone(platform, providers, user)
    brief = {
        **_bare(providers.environment),
        "DELIVERY_LEASE": "PT2S",
        "WEBHOOK_TIMEOUT": "PT1.5S",
        "SMTP_TIMEOUT": "PT1.5S",
        "PUSH_TIMEOUT": "PT1.5S",
        "PUSH_CONCURRENCY": "4",
    }
    notices = {await notify(platform, user, workspace) for _ in range(200)}
    for share in (10, 60, 120):
        victim = await worker_process(**brief)
        await eventually(lambda share=share: providers.journal.total >= share)
        victim.process.send_signal(signal.SIGKILL)
        await victim.ended()
    await worker_process(**brief)
    await worker_process(**brief)

    async def all_delivered():
        return await platform.states() == ["delivered"] * len(notices)

    await eventually(all_delivered)
    pushes = list(providers.journal.pushes)
    assert {UUID(push.notification_id) for push in pushes} == notices
    assert {push.address for push in pushes} == {device.address}
    # What was not recorded at a kill comes again, under the same collapse key.
    assert max(Counter(push.collapse_id for push in pushes).values()) <= 4


@pytest.mark.feature("P19")
async def test_what_waits_for_a_provider_that_is_not_set_up_any_more_is_given_up(platform, run_worker):
    """An alert of a channel whose provider was taken out of the settings ends with a reason."""
    user, workspace = await platform.person()
    await platform.connection.execute(
        "INSERT INTO deliveries (event_id, channel, endpoint_id, workspace_id, event_type, payload, give_up_at)"
        " VALUES (taskbell.new_id(), 'fcm', $1, $2, 'notification.created', '{}', now() + interval '1 second')",
        user,
        workspace,
    )
    async with run_worker():
        await eventually(lambda: settled(platform, 1))
    (row,) = await platform.deliveries()
    assert (row["state"], row["error"]) == ("dead", "no provider of fcm is set up")
