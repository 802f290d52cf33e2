"""Schedules whose CronJob another program keeps changing: what is said meanwhile, and afterwards."""

import pytest

from taskbell.operator.events import Events
from taskbell.operator.plan.drift import Corrections
from taskbell.operator.queue import Key
from taskbell.operator.reconcile.reminder_schedule import ScheduleKeeper
from taskbell.operator.specs.cron_job import DECLARED, SweepDefaults

SUSPENDED = {"spec": {"suspend": True}}
BARE = {"metadata": {"annotations": {DECLARED: None}}, "spec": {"suspend": True}}


@pytest.fixture
def clock(still_clock):
    """Time as the test sets it."""
    return still_clock


@pytest.fixture
async def look(cluster, clock, kubectl, place):
    """One pass over the schedule `due`, some time later."""
    await place.make()
    events = Events(cluster, clock=clock, reporter="test")
    keeper = ScheduleKeeper(cluster, events, sweeps=SweepDefaults(image="api:1"), clock=clock)

    async def later(seconds=1.0):
        clock.pass_by(seconds)
        return await keeper.keep(Key("ReminderSchedule", kubectl.namespace, "due"))

    await later()
    await later()
    return later


@pytest.fixture
def meddle(kubectl):
    """What the other program does."""

    async def change(change=SUSPENDED):
        path = kubectl.at("cronjobs", "due", group="batch/v1")
        assert (await kubectl.merge(path, change))[0] == 200

    return change


async def said(place):
    """Status and reason of both conditions."""
    return await place.condition("Ready"), await place.condition("Degraded")


KEPT = (("True", "CronJobKept"), ("False", "Healthy"))
CONTESTED = (("False", "Contested"), ("True", "Contested"))


@pytest.mark.parametrize("change", [SUSPENDED, BARE], ids=["field", "annotation-too"])
async def test_a_contested_cron_job_is_said_without_a_pause(place, look, meddle, proxy, change):
    """From the second time on the schedule is Degraded, also while its CronJob was just set right; then it recovers."""
    await meddle(change)
    await look()
    assert await said(place) == KEPT, "one hand that was put right is nothing to report"
    proxy.calls.clear()
    for _ in range(20):
        await meddle(change)
        outcome = await look(10)
        assert 0 < outcome.again_in <= 64
        assert await said(place) == CONTESTED
    assert len(proxy.writes(path_part="/due/status")) == 1
    assert len(proxy.writes(path_part="/cronjobs/")) < 10
    for _ in range(2):
        await look(65)
    assert await said(place) == KEPT
    assert not (await place.cron_job())["spec"]["suspend"]


@pytest.mark.parametrize(("corrections", "wait"), [(0, 0.0), (1, 0.0), (2, 3.0), (6, 63.0), (5000, 63.0)])
def test_a_truce_grows_to_a_minute_and_no_longer(corrections, wait):
    """A second after a correction: the first ones cost no wait, and those of a fight of days a bounded one."""
    assert Corrections(count=corrections, last=100.0).pause(101.0) == wait


async def test_sweeps_that_do_not_start_are_noticed_beside_corrections(place, look, meddle):
    """Setting a CronJob right, now and then, does not excuse sweeps that did not start before."""
    for _ in range(3):
        await meddle()
        await look(700)
    assert await place.condition("Degraded") == ("True", "SweepsDoNotStart")


async def test_a_new_declaration_is_no_part_of_a_fight(place, look, meddle):
    """A schedule that its owner changes during a truce is applied and said to be kept at once."""
    for _ in range(3):
        await meddle()
        await look()
    assert await said(place) == CONTESTED
    await place.respecify(schedule="0 * * * *")
    await look()
    assert await said(place) == KEPT
    assert (await place.cron_job())["spec"]["schedule"] == "0 * * * *"
