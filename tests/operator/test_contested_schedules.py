"""Schedules whose CronJob another program keeps changing: the status during the contest and after it."""

import pytest

from taskbell.operator.plan.drift import Corrections
from taskbell.operator.specs.cron_job import DECLARED

SUSPENDED = {"spec": {"suspend": True}}
BARE = {"metadata": {"annotations": {DECLARED: None}}, "spec": {"suspend": True}}


@pytest.fixture
async def look(still_clock, place, due):
    """Make one pass over the schedule `due`, some time later."""
    await place.make()
    keep = due()

    async def later(seconds=1.0):
        still_clock.pass_by(seconds)
        return await keep()

    await later()
    await later()
    return later


@pytest.fixture
def meddle(kubectl):
    """Change the CronJob, as the other program does."""

    async def change(change=SUSPENDED):
        path = kubectl.at("cronjobs", "due", group="batch/v1")
        await kubectl.must_merge(path, change)

    return change


async def conditions(place):
    """Status and reason of Ready and Degraded."""
    return await place.condition("Ready"), await place.condition("Degraded")


KEPT = (("True", "CronJobKept"), ("False", "Healthy"))
CONTESTED = (("False", "Contested"), ("True", "Contested"))


@pytest.mark.parametrize("change", [SUSPENDED, BARE], ids=["field", "annotation-too"])
async def test_a_contested_cron_job_is_reported_throughout(place, look, meddle, proxy, change):
    """From the second change on the schedule is Degraded, also right after a correction; later it recovers."""
    await meddle(change)
    await look()
    assert await conditions(place) == KEPT, "one change by hand is not a contest"
    proxy.calls.clear()
    for _ in range(20):
        await meddle(change)
        outcome = await look(10)
        assert 0 < outcome.again_in <= 64
        assert await conditions(place) == CONTESTED
    assert len(proxy.writes(path_part="/due/status")) == 1
    assert len(proxy.writes(path_part="/cronjobs/")) < 10
    for _ in range(2):
        await look(65)
    assert await conditions(place) == KEPT
    assert not (await place.cron_job())["spec"]["suspend"]


@pytest.mark.parametrize(("corrections", "wait"), [(0, 0.0), (1, 0.0), (2, 3.0), (6, 63.0), (5000, 63.0)])
def test_the_pause_grows_to_a_minute_and_no_longer(corrections, wait):
    """A second after a correction: the first corrections cause no wait, thousands cause a limited one."""
    assert Corrections(count=corrections, last=100.0).pause(101.0) == wait


async def test_sweeps_that_do_not_start_are_noticed_during_corrections(place, look, meddle):
    """A correction now and then does not hide that sweeps do not start."""
    for _ in range(3):
        await meddle()
        await look(700)
    assert await place.condition("Degraded") == ("True", "SweepsDoNotStart")


async def test_a_new_declaration_ends_a_contest(place, look, meddle):
    """A schedule that its owner changes during a pause is applied at once and reported as kept."""
    for _ in range(3):
        await meddle()
        await look()
    assert await conditions(place) == CONTESTED
    await place.respecify(schedule="0 * * * *")
    await look()
    assert await conditions(place) == KEPT
    assert (await place.cron_job())["spec"]["schedule"] == "0 * * * *"
