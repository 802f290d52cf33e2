"""ReminderSchedules on an API server, with Kopf's real runtime in this process."""

import asyncio

import kubernetes_validate
import pytest

from kubernetes_emulator.proxy import Fault

BATCH = "batch/v1"


@pytest.mark.feature("K5")
async def test_a_schedule_becomes_a_cron_job(place, operate, clock):
    """Creation makes the CronJob with owner, schedule and command, a status that says so, and an event."""
    await place.make(timeZone="Europe/Berlin")
    async with operate():
        await place.settled()
    cron_job = await place.cron_job()
    (owner,) = cron_job["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("ReminderSchedule", "due", True)
    assert (cron_job["spec"]["schedule"], cron_job["spec"]["timeZone"]) == ("* * * * *", "Europe/Berlin")
    (container,) = cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert [*container["command"], *container["args"]] == [
        "python",
        "-m",
        "taskbell.sweeper",
        "--kind",
        "due",
        "--until",
        "+60s",
    ]
    kubernetes_validate.validate(_bare(cron_job), "1.36", strict=True)
    status = await place.status()
    assert (status["observedGeneration"], status["cronJob"]) == (1, "due")
    assert status["nextRunTime"] == clock.minute(1)
    assert await place.condition("Ready") == ("True", "CronJobKept")
    assert await place.condition("Degraded") == ("False", "Healthy")
    assert await place.events() == ["CronJobCreated"]


def _bare(body):
    metadata = {name: value for name, value in body["metadata"].items() if name != "managedFields"}
    return body | {"metadata": metadata}


async def test_a_change_reaches_the_cron_job(place, operate):
    """A new schedule, more shards and fewer of the optional fields all arrive; the CronJob stays the same object."""
    await place.make(pod={"nodeSelector": {"disk": "fast"}})
    async with operate():
        await place.settled()
        uid = (await place.cron_job())["metadata"]["uid"]
        await place.respecify(schedule="*/5 * * * *", shards=4, pod={})
        await place.settled()
    cron_job = await place.cron_job()
    job = cron_job["spec"]["jobTemplate"]["spec"]
    assert cron_job["metadata"]["uid"] == uid
    assert cron_job["spec"]["schedule"] == "*/5 * * * *"
    assert (job["completionMode"], job["completions"], job["parallelism"]) == ("Indexed", 4, 4)
    assert job["template"]["spec"]["containers"][0]["args"][-2:] == ["--shard", "$(JOB_COMPLETION_INDEX)/4"]
    assert "nodeSelector" not in job["template"]["spec"]
    assert await place.events() == ["CronJobCreated", "CronJobChanged"]


async def test_suspension_stops_and_resumes(place, operate, clock):
    """`suspend` is passed on, no next run is promised meanwhile, and it can be taken back."""
    await place.make()
    async with operate():
        await place.settled()
        await place.respecify(suspend=True)
        await place.settled()
        assert (await place.cron_job())["spec"]["suspend"] is True
        assert await place.condition("Ready") == ("True", "Suspended")
        assert "nextRunTime" not in await place.status()
        await place.respecify(suspend=False)
        await place.settled()
    assert (await place.cron_job())["spec"]["suspend"] is False
    assert (await place.status())["nextRunTime"] == clock.minute(1)


async def test_deletion_takes_the_cron_job_along(place, operate, proxy, until):
    """A deleted schedule leaves nothing behind, and the operator makes nothing anew."""
    await place.make()
    async with operate() as queue:
        await place.settled()
        await place.delete("reminderschedules", "due")
        read = place.kubectl.at("reminderschedules", "due")
        await until(lambda: (read, 404) in [(call.path, call.status) for call in proxy.calls[-8:]], what="seen")
        await until(lambda: queue.idle, what="nothing is left to do")
        before = len(proxy.writes())
        await place.collected("due")
        await asyncio.sleep(0.3)
        assert len(proxy.writes()) == before


@pytest.mark.feature("K5")
async def test_drift_is_corrected(place, operate, until):
    """What a hand changed in the CronJob is set right; what a hand added beside it stays; a deleted one comes back."""
    await place.make()
    async with operate():
        await place.settled()

        def by_hand(body):
            body["spec"]["schedule"] = "0 0 1 1 *"
            body["metadata"]["annotations"]["note"] = "mine"

        await place.change(place.kubectl.at("cronjobs", "due", group=BATCH), by_hand)

        async def corrected():
            return (await place.cron_job())["spec"]["schedule"] == "* * * * *"

        async def told():
            return "DriftCorrected" in await place.events()

        await until(corrected, what="the schedule is back")
        assert (await place.cron_job())["metadata"]["annotations"]["note"] == "mine"
        await until(told, what="it is told")
        uid = (await place.cron_job())["metadata"]["uid"]
        await place.delete("cronjobs", "due", group=BATCH)

        async def back():
            return (found := await place.cron_job()) and found["metadata"]["uid"] != uid

        await until(back, what="it is back")


async def test_nothing_is_written_when_nothing_changed(place, operate, proxy, until):
    """A restart of the operator and repeated passes over settled objects read, and write nothing at all."""
    for number in range(5):
        await place.make(f"due-{number}", shards=number + 1)
    async with operate():
        for number in range(5):
            await place.settled(f"due-{number}")
    assert len(await place.cron_jobs()) == 5
    before = len(proxy.writes())
    async with operate(resync=0.05) as queue:
        await until(lambda: queue.idle, what="seen")
        seen = len(proxy.calls)
        await until(lambda: len(proxy.calls) > seen + 100, what="many passes")
    assert proxy.writes()[before:] == []


async def test_the_api_servers_spelling_is_no_drift(place, operate, proxy, until):
    """A value that the API server writes in another way (1000m as 1) is applied once, not for ever."""
    await place.make(pod={"resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}, "limits": {}}})
    async with operate():
        await place.settled()
    pod = (await place.cron_job())["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["resources"]["requests"] == {"cpu": "1", "memory": "1Gi"}
    async with operate(resync=0.05):
        await until(lambda: len(proxy.calls) > 40, what="it is seen")
        before, seen = len(proxy.writes(path_part="cronjobs")), len(proxy.calls)
        await until(lambda: len(proxy.calls) > seen + 60, what="many passes")
        assert len(proxy.writes(path_part="cronjobs")) == before


async def test_changes_while_the_operator_was_away(place, operate):
    """Made, changed and deleted between two lives of the operator: all is as declared after the second starts."""
    for name in ("kept", "changed", "deleted"):
        await place.make(name)
    async with operate():
        for name in ("kept", "changed", "deleted"):
            await place.settled(name)
    await place.delete("reminderschedules", "deleted")
    await place.respecify("changed", schedule="0 3 * * *")
    await place.make("new")
    async with operate():
        for name in ("kept", "changed", "new"):
            await place.settled(name)
    await place.collected("deleted")
    found = await place.cron_jobs()
    assert sorted(found.keys() - {"deleted"}) == ["changed", "kept", "new"]
    assert found["changed"]["spec"]["schedule"] == "0 3 * * *"


@pytest.mark.parametrize("forget", [False, True])
async def test_a_lost_watch_loses_nothing(place, operate, proxy, until, forget):
    """Watches that break, also for so long that history is gone (410), are begun anew and see what happened."""
    await place.make()
    async with operate():
        await place.settled()
        await proxy.cut_watches(forget=forget)
        await place.respecify(schedule="*/7 * * * *")
        await proxy.cut_watches(forget=forget)

        async def arrived():
            return (await place.cron_job())["spec"]["schedule"] == "*/7 * * * *"

        await until(arrived, what="the change arrived")
        await place.settled()
    assert len(await place.cron_jobs()) == 1


async def test_kopf_giving_up_is_not_the_end(place, operate, proxy, until):
    """An API server that fails for longer than Kopf's patience ends Kopf, which is started again and sees all."""
    await place.make()
    async with operate():
        await place.settled()
        fault = Fault(method="GET", path_ends="/reminderschedules", status=500, times=6)
        proxy.faults.append(fault)
        await proxy.cut_watches(forget=True)
        await until(lambda: not fault.times, what="Kopf gave up")
        await place.respecify(schedule="*/7 * * * *")

        async def seen():
            return (await place.cron_job())["spec"]["schedule"] == "*/7 * * * *"

        await until(seen, what="it is seen again")


@pytest.mark.parametrize("path", ["/cronjobs/due", "/due/status"])
@pytest.mark.parametrize("status", [409, 500])
async def test_failing_writes_are_repeated(place, operate, proxy, status, path):
    """Conflicts and server errors on the CronJob or the status delay, but end as declared with one CronJob."""
    proxy.faults.append(Fault(method="PATCH", path_ends=path, status=status, times=4))
    await place.make()
    async with operate():
        await place.settled()
        await place.respecify(schedule="*/9 * * * *")
        await place.settled()
    assert {name: job["spec"]["schedule"] for name, job in (await place.cron_jobs()).items()} == {"due": "*/9 * * * *"}
    assert proxy.faults[0].times == 0


async def test_a_foreign_cron_job_is_left_alone(place, operate, until):
    """A CronJob of that name that belongs to somebody else is a condition, not taken over."""
    pod = {"restartPolicy": "Never", "containers": [{"name": "mine", "image": "mine:1"}]}
    spec = {"schedule": "0 0 * * *", "jobTemplate": {"spec": {"template": {"spec": pod}}}}
    foreign = {"apiVersion": BATCH, "kind": "CronJob", "metadata": {"name": "due"}, "spec": spec}
    made = await place.kubectl.must("POST", place.kubectl.at("cronjobs", group=BATCH), foreign)
    await place.make()
    async with operate():

        async def said():
            return await place.condition("Ready") == ("False", "NameTaken")

        await until(said, what="it is said")
        assert await place.condition("Degraded") == ("True", "NameTaken")
    assert (await place.cron_job())["spec"] == made["spec"]


async def test_a_schedule_that_is_none_is_said(place, operate, until):
    """What the API server's pattern lets through, but means nothing, is a condition; a correction is taken."""
    await place.make(schedule="61 * * * *")
    async with operate():

        async def said():
            return await place.condition("Ready") == ("False", "ScheduleNotUnderstood")

        await until(said, what="it is said")
        assert await place.cron_job() is None
        await place.respecify(schedule="* * * * *")
        await place.settled()
    assert await place.condition("Degraded") == ("False", "Healthy")


async def test_runs_show_in_the_status(place, operate, until, clock):
    """What the CronJob's controller reports is passed on, and a sweep that does not start is told by its lateness."""
    await place.make()
    async with operate():
        await place.settled()
        clock.time = clock.began + 125
        ran = {"lastScheduleTime": clock.minute(1), "lastSuccessfulTime": clock.minute(2)}
        await place.report(**ran)

        async def passed_on():
            return (await place.status()).get("lastSuccessTime") == clock.minute(2)

        await until(passed_on, what="passed on")
        status = await place.status()
        assert status["lastScheduleTime"] == clock.minute(1)
        assert status["nextRunTime"] in {clock.minute(3), clock.minute(4)}
        assert await place.condition("Degraded") == ("False", "Healthy")
        clock.time += 3600
        path = place.kubectl.at("reminderschedules", "due")
        await place.change(path, lambda body: body["metadata"].update(labels={"a": "b"}))

        async def late():
            return await place.condition("Degraded") == ("True", "SweepsDoNotStart")

        await until(late, what="lateness is said")
