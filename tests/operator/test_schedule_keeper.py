"""Single passes over a ReminderSchedule, with an admission webhook, a quota, or another program that interferes."""

import pytest

from kubernetes_emulator.proxy import Fault
from taskbell.operator.cluster import RequestRefused

BATCH = "batch/v1"


@pytest.fixture
def clock(still_clock):
    """Time that a test sets."""
    return still_clock


@pytest.fixture
async def place(place):
    """A ReminderSchedule `due`."""
    await place.make()
    return place


async def settle(keep, proxy, clock):
    """Make two passes and forget their requests."""
    for _ in range(2):
        await keep()
        clock.pass_by(1)
    proxy.calls.clear()


def recorded(proxy):
    """The reasons of the events that were created; a repeated event creates none."""
    return [call.body["reason"] for call in proxy.writes(path_part="/events") if call.method == "POST"]


def mirrored(body):
    """Use an image mirror and add a container, as admission webhooks of policies and meshes do."""
    if body["kind"] == "CronJob":
        pod = body["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        pod["containers"][0]["image"] = "mirror.example/api:1"
        pod["containers"].append({"name": "sidecar", "image": "mesh:1"})
    return body


async def test_changes_of_a_webhook_are_not_drift(place, proxy, clock, due):
    """A CronJob stays as an admission webhook changes it; a restart applies it once more and reports nothing."""
    proxy.admit = mirrored
    keep = due()
    await settle(keep, proxy, clock)
    for _ in range(5):
        await keep()
    assert proxy.writes() == []
    again = due()
    for _ in range(5):
        await again()
    assert [(call.method, call.path) for call in proxy.writes()] == [
        ("PATCH", place.kubectl.at("cronjobs", "due", group=BATCH))
    ]
    containers = (await place.cron_job())["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert [container["image"] for container in containers] == ["mirror.example/api:1", "mesh:1"]
    assert await place.condition("Progressing") == ("False", "Settled")


async def test_a_refused_cron_job_is_reported(place, proxy, clock, due):
    """A CronJob that the API server refuses, as for a quota, is a condition and one event; tries continue."""
    proxy.faults.append(Fault(method="PATCH", path_ends="/cronjobs/due", status=403, times=3))
    keep = due()
    for _ in range(3):
        with pytest.raises(RequestRefused):
            await keep()
    assert await place.condition("Ready") == ("False", "CronJobRefused")
    assert len(proxy.writes(path_part="/cronjobs/due")) == 3
    assert await place.events() == recorded(proxy) == ["CronJobRefused"]
    assert len(proxy.writes(path_part="/events")) == len(proxy.writes(path_part="/due/status")) == 1
    await settle(keep, proxy, clock)
    assert await place.condition("Degraded") == ("False", "Healthy")


async def test_two_programs_do_not_overwrite_each_other_without_end(place, proxy, clock, due):
    """Corrections of a CronJob that is changed after each come more and more slowly, and at once again later."""
    keep, path = due(), place.kubectl.at("cronjobs", "due", group=BATCH)

    async def meddle():
        await place.kubectl.must_merge(path, {"spec": {"schedule": "0 0 1 1 *"}})

    await settle(keep, proxy, clock)
    for _ in range(60):
        await meddle()
        await keep()
        clock.pass_by(10)
    assert 6 <= len(proxy.writes(path_part="/cronjobs/")) <= 20
    assert recorded(proxy) == ["DriftCorrected", "Contested"], "repeated events raise a count"
    for pause in (1000, 3):
        clock.pass_by(pause)
        await meddle()
        await keep()
        assert (await place.cron_job())["spec"]["schedule"] == "* * * * *"


async def test_a_schedule_that_is_being_deleted_creates_nothing(place, proxy, due, being_deleted):
    """While a schedule is deleted in the foreground, its CronJob, which is deleted first, is not created again."""
    async with being_deleted(place.kubectl.at("reminderschedules", "due")):
        outcome = await due()()
        assert (proxy.writes(), outcome.gone, outcome.again_in) == ([], False, None)
    assert (await due()()).gone


async def test_a_cron_job_without_an_owner_is_not_written(place, proxy, due):
    """A CronJob of that name without an owner stays as it is."""
    pod = {"restartPolicy": "Never", "containers": [{"name": "backup", "image": "backup:1"}]}
    spec = {"schedule": "0 0 * * *", "jobTemplate": {"spec": {"template": {"spec": pod}}}}
    body = {"apiVersion": BATCH, "kind": "CronJob", "metadata": {"name": "due"}, "spec": spec}
    await place.kubectl.must("POST", place.kubectl.at("cronjobs", group=BATCH), body)
    await due()()
    assert await place.condition("Ready") == ("False", "NameTaken")
    assert proxy.writes(path_part="/cronjobs") == []


async def test_the_cron_job_of_a_former_schedule_is_not_written(place, proxy, clock, due, being_deleted):
    """The CronJob of a former schedule of that name stays until it is deleted; then a new one is created."""
    keep = due()
    await settle(keep, proxy, clock)
    async with being_deleted(place.kubectl.at("cronjobs", "due", group=BATCH)):
        await place.delete("reminderschedules", "due")
        await place.make()
        await keep()
        assert await place.condition("Ready") == ("False", "NameTaken")
        assert proxy.writes(path_part="/cronjobs") == []
    await keep()
    assert await place.condition("Ready") == ("True", "CronJobKept")


async def test_the_next_look_is_when_the_status_may_change(place, clock, due):
    """The next pass comes soon after a write, then shortly after the next run; a suspended one waits for an event."""
    clock.time = clock.began // 60 * 60 + 10
    keep = due()
    assert [(await keep()).again_in for _ in range(2)] == [1.0, 70.0]
    await place.respecify(suspend=True)
    assert [(await keep()).again_in for _ in range(2)] == [1.0, None]
    assert await place.condition("Ready") == ("True", "Suspended")
