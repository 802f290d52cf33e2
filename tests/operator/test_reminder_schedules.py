"""ReminderSchedules on the emulated API server, with Kopf's real runtime in this process."""

import asyncio

import kubernetes_validate
import pytest

from taskbell.testing.kubernetes import Fault


@pytest.mark.feature("K5")
async def test_a_schedule_becomes_a_cron_job(place, operate):
    """Creation makes the CronJob with owner, schedule and command, a status that says so, and an event."""
    await place.make(timeZone="Europe/Berlin")
    async with operate():
        await place.settled()
    cron_job = place.cron_job()
    (owner,) = cron_job["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("ReminderSchedule", "due", True)
    assert (cron_job["spec"]["schedule"], cron_job["spec"]["timeZone"]) == ("* * * * *", "Europe/Berlin")
    (container,) = cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert [*container["command"], *container["args"]] == [
        "python",
        "-m",
        "taskbell.api.reminders",
        "--kind",
        "due",
        "--until",
        "+60s",
    ]
    kubernetes_validate.validate(_bare(cron_job), "1.36", strict=True)
    status = place.status()
    assert (status["observedGeneration"], status["cronJob"]) == (1, "due")
    assert status["nextRunTime"] == "2026-11-20T10:01:00Z"
    assert place.condition("Ready") == ("True", "CronJobKept")
    assert place.condition("Degraded") == ("False", "Healthy")
    assert place.events() == ["CronJobCreated"]


def _bare(body):
    metadata = {name: value for name, value in body["metadata"].items() if name != "managedFields"}
    return body | {"metadata": metadata}


async def test_a_change_reaches_the_cron_job(place, operate):
    """A new schedule, more shards and fewer of the optional fields all arrive; the CronJob stays the same object."""
    await place.make(pod={"nodeSelector": {"disk": "fast"}})
    async with operate():
        await place.settled()
        uid = place.cron_job()["metadata"]["uid"]
        await place.respecify(schedule="*/5 * * * *", shards=4, pod={})
        await place.settled()
    cron_job = place.cron_job()
    job = cron_job["spec"]["jobTemplate"]["spec"]
    assert cron_job["metadata"]["uid"] == uid
    assert cron_job["spec"]["schedule"] == "*/5 * * * *"
    assert (job["completionMode"], job["completions"], job["parallelism"]) == ("Indexed", 4, 4)
    assert job["template"]["spec"]["containers"][0]["args"][-2:] == ["--shard", "$(JOB_COMPLETION_INDEX)/4"]
    assert "nodeSelector" not in job["template"]["spec"]
    assert sorted(place.events()) == ["CronJobChanged", "CronJobCreated"]


async def test_suspension_stops_and_resumes(place, operate):
    """`suspend` is passed on, no next run is promised meanwhile, and it can be taken back."""
    await place.make()
    async with operate():
        await place.settled()
        await place.respecify(suspend=True)
        await place.settled()
        assert place.cron_job()["spec"]["suspend"] is True
        assert place.condition("Ready") == ("True", "Suspended")
        assert "nextRunTime" not in place.status()
        await place.respecify(suspend=False)
        await place.settled()
    assert place.cron_job()["spec"]["suspend"] is False
    assert place.status()["nextRunTime"] == "2026-11-20T10:01:00Z"


async def test_deletion_takes_the_cron_job_along(place, operate, until):
    """A deleted schedule leaves nothing behind, and the operator makes nothing anew."""
    await place.make()
    async with operate() as operator:
        await place.settled()
        place.server.store.delete(place.schedules, "default", "due")
        await place.server.wake()
        read = "/reminderschedules/due"
        await until(
            lambda: (place.server.calls[-1].path[-len(read) :], place.server.calls[-1].status) == (read, 404),
            what="seen",
        )
        await until(lambda: place.cron_job() is None and operator.queue.idle, what="it is gone")
        before = len(place.server.writes())
        await asyncio.sleep(0.3)
        assert len(place.server.writes()) == before


@pytest.mark.feature("K5")
async def test_drift_is_corrected(place, operate, until):
    """What a hand changed in the CronJob is set right; what a hand added beside it stays; a deleted one comes back."""
    await place.make()
    async with operate():
        await place.settled()

        def by_hand(body):
            body["spec"]["schedule"] = "0 0 1 1 *"
            body["metadata"]["annotations"]["note"] = "mine"

        await place.change(place.cron_jobs, "due", by_hand)
        await until(lambda: place.cron_job()["spec"]["schedule"] == "* * * * *", what="the schedule is back")
        assert place.cron_job()["metadata"]["annotations"]["note"] == "mine"
        await until(lambda: "DriftCorrected" in place.events(), what="it is told")
        uid = place.cron_job()["metadata"]["uid"]
        place.server.store.delete(place.cron_jobs, "default", "due")
        await place.server.wake()
        await until(lambda: (found := place.cron_job()) and found["metadata"]["uid"] != uid, what="it is back")


async def test_nothing_is_written_when_nothing_changed(place, operate, until):
    """A restart of the operator and repeated passes over settled objects read, and write nothing at all."""
    for number in range(5):
        await place.make(f"due-{number}", shards=number + 1)
    async with operate():
        for number in range(5):
            await place.settled(f"due-{number}")
    assert len([*place.server.store.all(place.cron_jobs)]) == 5
    before = len(place.server.writes())
    async with operate(resync=0.05) as operator:
        await until(lambda: operator.queue.idle, what="seen")
        seen = len(place.server.calls)
        await until(lambda: len(place.server.calls) > seen + 100, what="many passes")
    assert place.server.writes()[before:] == []


async def test_the_api_servers_spelling_is_no_drift(place, operate, until):
    """A value that the API server writes in another way (1000m as 1) is applied once, not for ever."""
    await place.make()
    async with operate():
        await place.settled()

    async with operate(resync=0.05):
        store, update = place.server.store, place.server.store.apply

        def spelled(kind, namespace, name, body, **how):
            written = update(kind, namespace, name, body, **how)
            if kind.plural == "cronjobs":
                stored = store._stored(kind, namespace, name)
                pod = stored.body["spec"]["jobTemplate"]["spec"]["template"]["spec"]
                pod["containers"][0]["resources"]["requests"]["cpu"] = "0.05"
                written = store.get(kind, namespace, name)
            return written

        store.apply = spelled
        await place.respecify(batchSize=700)
        await place.settled()
        before = len(place.server.writes(path_part="cronjobs"))
        seen = len(place.server.calls)
        await until(lambda: len(place.server.calls) > seen + 40, what="many passes")
        assert len(place.server.writes(path_part="cronjobs")) == before


async def test_changes_while_the_operator_was_away(place, operate):
    """Made, changed and deleted between two lives of the operator: all is as declared after the second starts."""
    for name in ("kept", "changed", "deleted"):
        await place.make(name)
    async with operate():
        for name in ("kept", "changed", "deleted"):
            await place.settled(name)
    place.server.store.delete(place.schedules, "default", "deleted")
    await place.respecify("changed", schedule="0 3 * * *")
    await place.make("new")
    async with operate():
        for name in ("kept", "changed", "new"):
            await place.settled(name)
    assert place.cron_job("changed")["spec"]["schedule"] == "0 3 * * *"
    assert sorted(job["metadata"]["name"] for job in place.server.store.all(place.cron_jobs)) == [
        "changed",
        "kept",
        "new",
    ]


@pytest.mark.parametrize("forget", [False, True])
async def test_a_lost_watch_loses_nothing(place, operate, until, forget):
    """Watches that break, also for so long that history is gone (410), are begun anew and see what happened."""
    await place.make()
    async with operate():
        await place.settled()
        await place.server.cut_watches(forget=forget)
        body = place.server.store.get(place.schedules, "default", "due")
        body["spec"]["schedule"] = "*/7 * * * *"
        place.server.store.update(place.schedules, "default", "due", body, manager="kubectl-edit")
        await place.server.cut_watches(forget=forget)
        await until(lambda: place.cron_job()["spec"]["schedule"] == "*/7 * * * *", what="the change arrived")
        await place.settled()
    assert len([*place.server.store.all(place.cron_jobs)]) == 1


async def test_kopf_giving_up_is_not_the_end(place, operate, until):
    """An API server that fails for longer than Kopf's patience ends Kopf, which is started again and sees all."""
    await place.make()
    async with operate() as operator:
        await place.settled()
        fault = Fault(method="GET", path_ends="/v1alpha1/reminderschedules", status=500, times=6)
        place.server.faults.append(fault)
        await place.server.cut_watches(forget=True)
        await until(lambda: not fault.times, what="Kopf gave up")
        await place.respecify(schedule="*/7 * * * *")
        await until(lambda: place.cron_job()["spec"]["schedule"] == "*/7 * * * *", what="it is seen again")
        assert operator.watching.is_set()


@pytest.mark.parametrize("path", ["/cronjobs/due", "/due/status"])
@pytest.mark.parametrize("status", [409, 500])
async def test_failing_writes_are_repeated(place, operate, status, path):
    """Conflicts and server errors on the CronJob or the status delay, but end as declared with one CronJob."""
    place.server.faults.append(Fault(method="PATCH", path_ends=path, status=status, times=4))
    await place.make()
    async with operate():
        await place.settled()
        await place.respecify(schedule="*/9 * * * *")
        await place.settled()
    assert place.cron_job()["spec"]["schedule"] == "*/9 * * * *"
    assert len([*place.server.store.all(place.cron_jobs)]) == 1
    assert place.server.faults[0].times == 0


async def test_a_foreign_cron_job_is_left_alone(place, operate, until):
    """A CronJob of that name that belongs to somebody else is a condition, not taken over."""
    foreign = {"metadata": {"name": "due"}, "spec": {"schedule": "0 0 * * *"}}
    place.server.store.create(place.cron_jobs, "default", foreign, manager="kubectl")
    await place.make()
    async with operate():
        await until(lambda: place.condition("Ready") == ("False", "NameTaken"), what="it is said")
        assert place.condition("Degraded") == ("True", "NameTaken")
    assert place.cron_job()["spec"] == {"schedule": "0 0 * * *"}


async def test_a_schedule_that_is_none_is_said(place, operate, until):
    """What the API server's pattern lets through, but means nothing, is a condition; a correction is taken."""
    await place.make(schedule="61 * * * *")
    async with operate():
        await until(lambda: place.condition("Ready") == ("False", "ScheduleNotUnderstood"), what="it is said")
        assert place.cron_job() is None
        await place.respecify(schedule="* * * * *")
        await place.settled()
    assert place.condition("Degraded") == ("False", "Healthy")


async def test_runs_show_in_the_status(place, operate, until, clock):
    """What the CronJob's controller reports is passed on, and a sweep that does not start is told by its lateness."""
    await place.make()
    async with operate():
        await place.settled()
        clock.time += 95
        ran = {"lastScheduleTime": "2026-11-20T10:01:00Z", "lastSuccessfulTime": "2026-11-20T10:02:01Z"}
        await place.report(place.cron_jobs, "due", **ran)
        await until(lambda: place.status().get("lastSuccessTime") == "2026-11-20T10:02:01Z", what="passed on")
        assert place.status()["lastScheduleTime"] == "2026-11-20T10:01:00Z"
        assert place.status()["nextRunTime"] == "2026-11-20T10:03:00Z"
        assert place.condition("Degraded") == ("False", "Healthy")
        clock.time += 3600
        await place.change(place.schedules, "due", lambda body: body["metadata"].update(labels={"a": "b"}))
        await until(lambda: place.condition("Degraded") == ("True", "SweepsDoNotStart"), what="lateness is said")
