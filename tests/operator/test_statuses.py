"""The statuses, and which objects count as rivals."""

from datetime import UTC, datetime, timedelta

import pytest

from taskbell.contract.reminder_schedules import ReminderScheduleSpec
from taskbell.contract.worker_pools import WorkerPoolStatus
from taskbell.operator.plan import reminder_schedule, worker_pool
from taskbell.operator.plan.conditions import condition, conditions
from taskbell.operator.plan.cron import parse
from taskbell.operator.plan.need import Reading
from taskbell.operator.plan.rivals import Neighbours, autoscaler_of, leftovers, orphans, rival
from taskbell.operator.plan.scaling import Decision

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
POOL = {"metadata": {"name": "b", "uid": "b-uid", "generation": 2, "creationTimestamp": "2026-11-20T10:00:00Z"}}


def test_a_transition_is_a_change_of_the_status():
    """The time changes only when True becomes False, not with reason or message; long messages are cut."""
    status, found = {}, []
    for reason, message, holds, now in (
        ("A", "a", True, NOW),
        ("B", "b" * 5000, True, LATER),
        ("B", "b", False, LATER),
    ):
        owner = {"metadata": {"generation": len(found) + 1}, "status": status}
        status = conditions(owner, [condition("Ready", reason, message, holds=holds)], now=now)
        found += status["conditions"]
    times = [one["lastTransitionTime"] for one in found]
    assert times == ["2026-11-20T10:00:00Z", "2026-11-20T10:00:00Z", "2026-11-20T10:05:00Z"]
    assert (found[1]["reason"], len(found[1]["message"]), found[1]["observedGeneration"]) == ("B", 1024, 2)


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ({"kind": "Deployment", "name": "x"}, True),
        ({"kind": "StatefulSet", "name": "x"}, False),
        ({"kind": "Deployment", "name": "y"}, False),
        ({"name": "x"}, None),
    ],
)
def test_an_autoscaler_of_the_same_deployment_is_a_rival(reference, expected):
    """Kind and name must match; a ScaledObject without a kind means a Deployment, an autoscaler must name one."""
    other = [{"metadata": {"name": "o"}, "spec": {"scaleTargetRef": reference}}]
    other[0]["metadata"]["uid"] = "another"
    by_autoscaler = rival("x", POOL, Neighbours(autoscalers=other))
    by_scaled_object = rival("x", POOL, Neighbours(scaled_objects=other))
    assert bool(by_autoscaler) is (expected is True)
    assert bool(by_scaled_object) is (expected is not False)


@pytest.mark.parametrize(
    ("name", "made", "expected"),
    [
        ("a", "2026-11-20T10:00:00Z", "WorkerPool a"),
        ("b", "2026-11-20T10:00:00Z", None),
        ("c", "2026-11-20T10:00:00Z", None),
        ("c", "2026-11-20T09:59:59Z", "WorkerPool c"),
        ("a", "2026-11-20T10:00:01Z", None),
    ],
)
def test_of_two_pools_the_older_keeps_the_size(name, made, expected):
    """The older pool keeps the size; of two from the same second, the first by name."""
    other = {"metadata": {"name": name, "creationTimestamp": made}, "spec": {"targetRef": {"name": "x"}}}
    assert rival("x", POOL, Neighbours(pools=[other])) == expected


def test_a_pools_own_autoscalers_are_no_rivals():
    """Neither its own objects nor what KEDA makes for its ScaledObject; those of another engine are left over."""

    def body(uid, owner, kind="WorkerPool", name="b"):
        reference = {"uid": owner, "kind": kind, "name": name}
        spec = {"scaleTargetRef": {"kind": "Deployment", "name": "x"}}
        return {"metadata": {"name": uid, "uid": uid, "ownerReferences": [reference]}, "spec": spec}

    mine = POOL["metadata"]["uid"]
    near = Neighbours(autoscalers=[body("by-keda", "b", "ScaledObject")], scaled_objects=[body("b", mine)])
    assert rival("x", POOL, near) is None
    assert autoscaler_of(near.scaled_objects[0], near) is near.autoscalers[0]
    assert (list(leftovers(POOL, "KEDA", near)), orphans(POOL, "KEDA", near)) == ([], [])
    assert list(leftovers(POOL, "HPA", near)) == [("ScaledObject", "b")]
    assert orphans(POOL, "HPA", near) == ["HorizontalPodAutoscaler by-keda"]
    foreign = Neighbours(autoscalers=[body("by-keda", "c", "ScaledObject", "c")])
    assert rival("x", POOL, foreign) == "HorizontalPodAutoscaler by-keda"
    assert orphans(POOL, "HPA", foreign) == []
    own = Neighbours(autoscalers=[body("own", mine)])
    assert rival("x", POOL, own) is None
    assert [list(leftovers(POOL, engine, own)) for engine in ("HPA", "Native")] == [
        [],
        [("HorizontalPodAutoscaler", "own")],
    ]


def pool_status(readings, *, current=3, size=3, degraded=False, scaled=False, before=None):
    """The status of a pool."""
    owner = POOL | {"status": before or {}}
    scale = {"status": {"replicas": current, "selector": "app=x"}}
    decision = Decision(size, 5, degraded=degraded)
    found = worker_pool.describe(owner, scale, decision, readings, scaled=scaled, now=LATER)
    WorkerPoolStatus.model_validate(found)
    return found, {c["type"]: (c["status"], c["reason"]) for c in found["conditions"]}


def test_a_status_has_the_wanted_and_the_present_size():
    """Starting pods are progress; the status has the time of the last change of the size."""
    found, stated = pool_status([Reading(name="s", value=7, needed=2.2)], size=5, scaled=True)
    assert stated["Progressing"] == ("True", "PodsChange")
    assert (found["lastScaleTime"], found["replicas"], found["desiredReplicas"]) == ("2026-11-20T10:05:00Z", 3, 5)
    assert found["signals"] == [{"name": "s", "value": 7, "desired": 3}]
    found, stated = pool_status([], before={"lastScaleTime": "2026-11-20T09:00:00Z"})
    assert (found["lastScaleTime"], stated["Progressing"]) == ("2026-11-20T09:00:00Z", ("False", "Settled"))
    assert "lastScaleTime" not in pool_status([])[0]


@pytest.mark.parametrize(
    ("missing", "degraded", "expected"),
    [
        (False, False, {"Ready": ("True", "SizeHeld"), "Degraded": ("False", "SignalUnreadable")}),
        (False, True, {"Ready": ("False", "SizeHeld"), "Degraded": ("True", "SignalUnreadable")}),
        (True, True, {"Ready": ("False", "SizeHeld"), "Degraded": ("True", "SignalMissing")}),
    ],
)
def test_a_signal_that_cannot_be_read_is_reported(missing, degraded, expected):
    """A pool is Ready until readings fail too often or the source does not exist; long errors are cut."""
    found, stated = pool_status([Reading(name="s", error="e" * 2000, missing=missing)], degraded=degraded)
    assert {kind: stated[kind] for kind in expected} == expected
    assert found["signals"] == [{"name": "s", "error": "e" * 512}]


def schedule_status(*, statedbefore=(), last=None, success=None, now="10:00", active=(), **spec):
    """The status of a schedule of every ten minutes whose CronJob was created at 08:00."""
    declared = ReminderScheduleSpec.model_validate({"kind": "due", "schedule": "*/10 * * * *"} | spec)
    owner = {"metadata": {"generation": 1}, "status": {"conditions": [*statedbefore]}}
    times = {"lastScheduleTime": last, "lastSuccessfulTime": success}
    reported = {name: f"2026-11-20T{text}:00Z" for name, text in times.items() if text}
    cron_job = {"metadata": {"name": "due", "creationTimestamp": "2026-11-20T08:00:00Z"}, "status": reported}
    cron_job["status"]["active"] = [{"name": name} for name in active]
    moment = datetime.fromisoformat(f"2026-11-20T{now}:00Z")
    schedule = parse(declared.schedule, "Etc/UTC")
    found = reminder_schedule.describe(owner, declared, schedule, cron_job, applied=False, now=moment)
    return found, {c["type"]: (c["status"], c["reason"]) for c in found["conditions"]}


def test_a_suspended_schedule_has_no_next_run():
    """A suspended schedule is Ready and has no next run; a refused one has none, and keeps its earlier times."""
    found, stated = schedule_status(suspend=True)
    assert stated["Ready"] == ("True", "Suspended")
    assert "nextRunTime" not in found
    running, stated = schedule_status(last="10:00", success="10:00")
    assert (running["nextRunTime"], stated["Ready"]) == ("2026-11-20T10:10:00Z", ("True", "CronJobKept"))
    refused = reminder_schedule.describe_refusal(
        {"metadata": {"generation": 2}, "status": running}, "No", "no", now=NOW
    )
    assert "nextRunTime" not in refused
    assert (refused["observedGeneration"], refused["lastScheduleTime"]) == (2, "2026-11-20T10:00:00Z")


@pytest.mark.parametrize("kind", ["Ready", "Progressing"])
def test_sweeps_are_due_from_the_last_change_on(kind):
    """After a resumption, or any other change, earlier sweeps are not late."""
    changed = {"type": kind, "status": "True", "lastTransitionTime": "2026-11-20T09:55:00Z"}
    late = {"last": "08:30", "success": "08:30", "now": "10:01"}
    assert schedule_status(**late)[1]["Degraded"] == ("True", "SweepsDoNotStart")
    assert schedule_status(**late, statedbefore=[changed])[1]["Degraded"] == ("False", "Healthy")


@pytest.mark.parametrize(("active", "failing"), [((), True), (("due-29919480",), False)])
def test_a_long_sweep_may_still_succeed(active, failing):
    """Periods without a success count only once no sweep runs any more."""
    _, stated = schedule_status(last="10:00", success="09:10", now="10:01", active=active)
    assert stated["Degraded"] == (("True", "SweepsFail") if failing else ("False", "Healthy"))
