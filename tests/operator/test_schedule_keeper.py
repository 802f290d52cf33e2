"""Single passes over a ReminderSchedule: what an admission webhook, a quota or a rival program does."""

import pytest

from kubernetes_emulator.proxy import Fault
from taskbell.operator.cluster import RequestRefused
from taskbell.operator.events import Events
from taskbell.operator.queue import Key
from taskbell.operator.reconcile.reminder_schedule import ScheduleKeeper
from taskbell.operator.specs.cron_job import SweepDefaults

BATCH = "batch/v1"


@pytest.fixture
def clock(still_clock):
    """Time as the test sets it."""
    return still_clock


@pytest.fixture
async def place(place):
    """A ReminderSchedule `due`."""
    await place.make()
    return place


@pytest.fixture
def key(kubectl):
    """The schedule as the queue names it."""
    return Key("ReminderSchedule", kubectl.namespace, "due")


@pytest.fixture
def keeping(cluster, clock):
    """Make a keeper of schedules, as a restart does."""

    def make():
        events = Events(cluster, clock=clock, reporter="test")
        return ScheduleKeeper(cluster, events, sweeps=SweepDefaults(image="api:1"), clock=clock)

    return make


async def settle(keeper, key, proxy, clock):
    """Two passes; then note requests from here."""
    for _ in range(2):
        await keeper.keep(key)
        clock.pass_by(1)
    proxy.calls.clear()


def told(proxy):
    """The reasons of the events that were made since; counting one again makes none."""
    return [call.body["reason"] for call in proxy.writes(path_part="/events") if call.method == "POST"]


def mirrored(body):
    """An admission webhook that takes images from a mirror and adds a container, as policies and meshes do."""
    if body["kind"] == "CronJob":
        pod = body["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        pod["containers"][0]["image"] = "mirror.example/api:1"
        pod["containers"].append({"name": "sidecar", "image": "mesh:1"})
    return body


async def test_what_a_webhook_changes_is_no_drift(place, key, proxy, clock, keeping):
    """A CronJob that an admission webhook rewrites is left so; a restart asks once more and reports nothing."""
    proxy.admit = mirrored
    keeper = keeping()
    await settle(keeper, key, proxy, clock)
    for _ in range(5):
        await keeper.keep(key)
    assert proxy.writes() == []
    again = keeping()
    for _ in range(5):
        await again.keep(key)
    assert [(call.method, call.path) for call in proxy.writes()] == [
        ("PATCH", place.kubectl.at("cronjobs", "due", group=BATCH))
    ]
    containers = (await place.cron_job())["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert [container["image"] for container in containers] == ["mirror.example/api:1", "mesh:1"]
    assert await place.condition("Progressing") == ("False", "Settled")


async def test_a_refused_cron_job_is_said(place, key, proxy, clock, keeping):
    """What the API server will not take, as for a quota, is a condition and one event; trying goes on."""
    proxy.faults.append(Fault(method="PATCH", path_ends="/cronjobs/due", status=403, times=3))
    keeper = keeping()
    for _ in range(3):
        with pytest.raises(RequestRefused):
            await keeper.keep(key)
    assert await place.condition("Ready") == ("False", "CronJobRefused")
    assert len(proxy.writes(path_part="/cronjobs/due")) == 3
    assert await place.events() == told(proxy) == ["CronJobRefused"]
    assert len(proxy.writes(path_part="/events")) == len(proxy.writes(path_part="/due/status")) == 1
    await settle(keeper, key, proxy, clock)
    assert await place.condition("Degraded") == ("False", "Healthy")


async def test_two_programs_do_not_fight_without_end(place, key, proxy, clock, keeping):
    """Somebody who changes the CronJob whenever it is set right is met ever more slowly, and later at once again."""
    keeper, path = keeping(), place.kubectl.at("cronjobs", "due", group=BATCH)

    async def meddle():
        assert (await place.kubectl.merge(path, {"spec": {"schedule": "0 0 1 1 *"}}))[0] == 200

    await settle(keeper, key, proxy, clock)
    for _ in range(60):
        await meddle()
        await keeper.keep(key)
        clock.pass_by(10)
    assert 6 <= len(proxy.writes(path_part="/cronjobs/")) <= 20
    assert told(proxy) == ["DriftCorrected", "Contested"], "the others are counted"
    for pause in (1000, 3):
        clock.pass_by(pause)
        await meddle()
        await keeper.keep(key)
        assert (await place.cron_job())["spec"]["schedule"] == "* * * * *"


async def test_a_schedule_that_is_being_deleted_makes_nothing(place, key, proxy, keeping, being_deleted):
    """While a schedule is deleted in the foreground, its CronJob, which goes first, is not made anew."""
    async with being_deleted(place.kubectl.at("reminderschedules", "due")):
        outcome = await keeping().keep(key)
        assert (proxy.writes(), outcome.gone, outcome.again_in) == ([], False, None)
    assert (await keeping().keep(key)).gone


async def test_a_cron_job_of_nobody_is_not_written(place, key, proxy, keeping):
    """A CronJob of that name that belongs to nobody is left as it is."""
    pod = {"restartPolicy": "Never", "containers": [{"name": "backup", "image": "backup:1"}]}
    spec = {"schedule": "0 0 * * *", "jobTemplate": {"spec": {"template": {"spec": pod}}}}
    body = {"apiVersion": BATCH, "kind": "CronJob", "metadata": {"name": "due"}, "spec": spec}
    await place.kubectl.must("POST", place.kubectl.at("cronjobs", group=BATCH), body)
    await keeping().keep(key)
    assert await place.condition("Ready") == ("False", "NameTaken")
    assert proxy.writes(path_part="/cronjobs") == []


async def test_a_former_schedules_cron_job_is_not_written(place, key, proxy, clock, keeping, being_deleted):
    """While the CronJob of a former schedule of that name is still there it is left as it is; then comes a new one."""
    keeper = keeping()
    await settle(keeper, key, proxy, clock)
    async with being_deleted(place.kubectl.at("cronjobs", "due", group=BATCH)):
        await place.delete("reminderschedules", "due")
        await place.make()
        await keeper.keep(key)
        assert await place.condition("Ready") == ("False", "NameTaken")
        assert proxy.writes(path_part="/cronjobs") == []
    await keeper.keep(key)
    assert await place.condition("Ready") == ("True", "CronJobKept")


async def test_the_next_look_is_when_something_may_have_happened(place, key, clock, keeping):
    """Soon after a write, then a little after the next run; a suspended schedule waits to be told."""
    clock.time = clock.began // 60 * 60 + 10
    keeper = keeping()
    assert [(await keeper.keep(key)).again_in for _ in range(2)] == [1.0, 70.0]
    await place.respecify(suspend=True)
    assert [(await keeper.keep(key)).again_in for _ in range(2)] == [1.0, None]
    assert await place.condition("Ready") == ("True", "Suspended")
