"""ReminderSchedules on an API server, with Kopf's real runtime in this process."""

import asyncio

import kubernetes_validate
import pytest

from kubernetes_emulator.proxy import Fault
from taskbell.testing.waiting import eventually

BATCH = "batch/v1"


@pytest.mark.feature("K5")
async def test_a_schedule_becomes_a_cron_job(place, operate, clock):
    """A new schedule gets a CronJob with owner, schedule and command, a status and an event."""
    await place.make(timeZone="Europe/Berlin")
    async with operate():
        await place.settled()
    cron_job = await place.cron_job()
    (owner,) = cron_job["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("ReminderSchedule", "due", True)
    assert (cron_job["spec"]["schedule"], cron_job["spec"]["timeZone"]) == ("* * * * *", "Europe/Berlin")
    (container,) = cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert [*container["command"], *container["args"]] == [
        "env",
        "--block-signal=TERM",
        "python",
        "-m",
        "taskbell.sweeper",
        "--kind",
        "due",
        "--until",
        "+60s",
        "--report",
        "/dev/termination-log",
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
    """A changed schedule, more shards and removed optional fields reach the CronJob, which stays the same object."""
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
    """`suspend` reaches the CronJob and removes the next run from the status; it can be reversed."""
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


async def test_deletion_takes_the_cron_job_along(place, operate, proxy):
    """The CronJob of a deleted schedule is deleted, and the operator creates nothing again."""
    await place.make()
    async with operate() as queue:
        await place.settled()
        await place.delete("reminderschedules", "due")
        read = place.kubectl.at("reminderschedules", "due")
        await eventually(lambda: (read, 404) in [(call.path, call.status) for call in proxy.calls[-8:]], "seen")
        await eventually(lambda: queue.idle, "nothing is left to do")
        before = len(proxy.writes())
        await place.collected("due")
        await asyncio.sleep(0.3)
        assert len(proxy.writes()) == before


@pytest.mark.feature("K5")
async def test_drift_is_corrected(place, operate):
    """A changed field of the CronJob is corrected, an added annotation stays, a deleted CronJob is created again."""
    await place.make()
    async with operate():
        await place.settled()

        def by_hand(body):
            body["spec"]["schedule"] = "0 0 1 1 *"
            body["metadata"]["annotations"]["note"] = "mine"

        await place.change(place.kubectl.at("cronjobs", "due", group=BATCH), by_hand)

        async def corrected():
            return (await place.cron_job())["spec"]["schedule"] == "* * * * *"

        async def recorded():
            return "DriftCorrected" in await place.events()

        await eventually(corrected, "the schedule is back")
        assert (await place.cron_job())["metadata"]["annotations"]["note"] == "mine"
        await eventually(recorded, "an event is recorded")
        uid = (await place.cron_job())["metadata"]["uid"]
        await place.delete("cronjobs", "due", group=BATCH)

        async def back():
            return (found := await place.cron_job()) and found["metadata"]["uid"] != uid

        await eventually(back, "it is back")


async def test_nothing_is_written_when_nothing_changed(place, operate, proxy):
    """A restart of the operator and repeated passes over settled objects write nothing."""
    for number in range(5):
        await place.make(f"due-{number}", shards=number + 1)
    async with operate():
        for number in range(5):
            await place.settled(f"due-{number}")
    assert len(await place.cron_jobs()) == 5
    before, seen = len(proxy.writes()), len(proxy.calls)
    async with operate(resync=0.02):
        await eventually(lambda: len(proxy.calls) > seen + 200, "many passes")
    assert proxy.writes()[before:] == []


async def test_another_form_of_a_value_is_not_drift(place, operate, proxy):
    """A value that the API server stores in another form (1000m as 1) is applied only once."""
    await place.make(pod={"resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}, "limits": {}}})
    async with operate():
        await place.settled()
    pod = (await place.cron_job())["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["resources"]["requests"] == {"cpu": "1", "memory": "1Gi"}
    calls = len(proxy.calls)
    async with operate(resync=0.02):
        await eventually(lambda: len(proxy.calls) > calls + 20, "it is seen")
        before, seen = len(proxy.writes(path_part="cronjobs")), len(proxy.calls)
        await eventually(lambda: len(proxy.calls) > seen + 20, "many passes")
        assert len(proxy.writes(path_part="cronjobs")) == before


async def test_changes_while_the_operator_was_away(place, operate):
    """Objects created, changed and deleted while the operator is away are as declared after its next start."""
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
async def test_a_lost_watch_loses_nothing(place, operate, proxy, forget):
    """After a watch breaks, also for so long that its history is gone (410), the operator sees what happened."""
    await place.make()
    async with operate():
        await place.settled()
        await proxy.cut_watches(forget=forget)
        await place.respecify(schedule="*/7 * * * *")
        await proxy.cut_watches(forget=forget)

        async def arrived():
            return (await place.cron_job())["spec"]["schedule"] == "*/7 * * * *"

        await eventually(arrived, "the change arrived")
        await place.settled()
    assert len(await place.cron_jobs()) == 1


async def test_kopf_giving_up_is_not_the_end(place, operate, proxy, monkeypatch):
    """If the API server fails for so long that Kopf gives up, Kopf is started again and sees all changes."""
    monkeypatch.setattr("taskbell.operator.watches._ERROR_BACKOFFS", (0.01,) * 5)
    await place.make()
    async with operate():
        await place.settled()
        fault = Fault(method="GET", path_ends="/reminderschedules", status=500, times=6)
        proxy.faults.append(fault)
        await proxy.cut_watches(forget=True)
        await eventually(lambda: not fault.times, "Kopf gave up")
        await place.respecify(schedule="*/7 * * * *")

        async def seen():
            return (await place.cron_job())["spec"]["schedule"] == "*/7 * * * *"

        await eventually(seen, "it is seen again")


@pytest.mark.parametrize("path", ["/cronjobs/due", "/due/status"])
@pytest.mark.parametrize("status", [409, 500])
async def test_failing_writes_are_repeated(place, operate, proxy, status, path):
    """Conflicts and server errors on the CronJob or the status only delay the result."""
    proxy.faults.append(Fault(method="PATCH", path_ends=path, status=status, times=4))
    await place.make()
    async with operate():
        await place.settled()
        await place.respecify(schedule="*/9 * * * *")
        await place.settled()
    assert {name: job["spec"]["schedule"] for name, job in (await place.cron_jobs()).items()} == {"due": "*/9 * * * *"}
    assert proxy.faults[0].times == 0


async def test_a_foreign_cron_job_is_not_changed(place, operate):
    """A CronJob of the same name that belongs to somebody else is reported and not changed."""
    pod = {"restartPolicy": "Never", "containers": [{"name": "mine", "image": "mine:1"}]}
    spec = {"schedule": "0 0 * * *", "jobTemplate": {"spec": {"template": {"spec": pod}}}}
    foreign = {"apiVersion": BATCH, "kind": "CronJob", "metadata": {"name": "due"}, "spec": spec}
    made = await place.kubectl.must("POST", place.kubectl.at("cronjobs", group=BATCH), foreign)
    await place.make()
    async with operate():
        await place.becomes("Ready", "False", "NameTaken")
        assert await place.condition("Degraded") == ("True", "NameTaken")
    assert (await place.cron_job())["spec"] == made["spec"]


async def test_a_malformed_schedule_is_reported(place, operate):
    """A malformed schedule that the API server accepts is reported; a correction is applied."""
    await place.make(schedule="61 * * * *")
    async with operate():
        await place.becomes("Ready", "False", "ScheduleNotUnderstood")
        assert await place.cron_job() is None
        await place.respecify(schedule="* * * * *")
        await place.settled()
    assert await place.condition("Degraded") == ("False", "Healthy")


async def test_runs_show_in_the_status(place, operate, clock):
    """Run times of the CronJob reach the status, and a sweep that does not start degrades the schedule."""
    await place.make()
    async with operate():
        await place.settled()
        clock.time = clock.began + 125
        ran = {"lastScheduleTime": clock.minute(1), "lastSuccessfulTime": clock.minute(2)}
        await place.report(**ran)

        async def passed_on():
            return (await place.status()).get("lastSuccessTime") == clock.minute(2)

        await eventually(passed_on, "passed on")
        status = await place.status()
        assert status["lastScheduleTime"] == clock.minute(1)
        assert status["nextRunTime"] in {clock.minute(3), clock.minute(4)}
        assert await place.condition("Degraded") == ("False", "Healthy")
        clock.time += 3600
        path = place.kubectl.at("reminderschedules", "due")
        await place.change(path, lambda body: body["metadata"].update(labels={"a": "b"}))
        await place.becomes("Degraded", "True", "SweepsDoNotStart")
