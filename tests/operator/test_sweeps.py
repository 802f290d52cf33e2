"""What is told of sweeps that fail or do not start, from pods as Kubernetes describes them."""

from datetime import UTC, datetime, timedelta

import pytest

from taskbell.contract.reminder_schedules import ReminderScheduleSpec
from taskbell.operator.plan.cron import parse
from taskbell.operator.plan.sweeps import find_trouble, is_suspicious

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SPEC = ReminderScheduleSpec.model_validate({"kind": "due", "schedule": "* * * * *"})


def at(minute, second=0):
    """A time after noon, as Kubernetes writes it."""
    return (NOON + timedelta(minutes=minute, seconds=second)).strftime("%Y-%m-%dT%H:%M:%SZ")


def job(minute):
    """The name of the Job that was due at a minute after noon."""
    return f"due-{int(NOON.timestamp()) // 60 + minute}"


def pod(minute, phase, *, suffix="a", **status):
    """A pod of the sweep that was due at a minute after noon."""
    metadata = {"name": f"{job(minute)}-{suffix}", "labels": {"batch.kubernetes.io/job-name": job(minute)}}
    return {"metadata": metadata | {"creationTimestamp": at(minute, 1)}, "status": {"phase": phase, **status}}


def failed(minute, code=1, message="", **how):
    """A pod whose sweeper ended with a status."""
    ended = {"exitCode": code, "reason": "Error", "message": message}
    return pod(minute, "Failed", containerStatuses=[{"name": "sweeper", "state": {"terminated": ended}}], **how)


def waiting(minute, reason, message=""):
    """A pod whose sweeper waits for something."""
    wait = {"reason": reason, "message": message}
    return pod(minute, "Pending", containerStatuses=[{"name": "sweeper", "state": {"waiting": wait}}])


def trouble(pods, *, last, now, success=None, active=(), spec=SPEC):
    """Reason and message of the trouble of a schedule that exists since 11:50."""
    status = {"lastScheduleTime": at(last), "active": [{"name": job(minute)} for minute in active]}
    status |= {"lastSuccessfulTime": at(*success)} if success else {}
    moment = NOON + timedelta(seconds=now)
    made = {"metadata": {"name": "due"}, "status": status}
    since = NOON - timedelta(minutes=10)
    found = find_trouble(spec, parse(spec.schedule, "Etc/UTC"), made, pods, since=since, now=moment)
    return found and (found.reason, found.message)


def test_two_failed_sweeps_are_told_with_the_cause():
    """Twenty seconds after the second sweep in a row that fails, the reason, the pod and its words are there."""
    pods = [pod(0, "Succeeded"), failed(1, 2), failed(2, 1, "the schema is older than this program")]
    reason, message = trouble(pods, last=2, now=140, success=(1, 3))
    assert reason == "SweepsFail"
    assert message == (
        f"the last 2 sweeps failed, the newest due at {at(2)}; the last success was at {at(1, 3)}; "
        f"pod {job(2)}-a ended with status 1: the schema is older than this program"
    )
    assert trouble(pods[:2], last=1, now=80, success=(1, 3)) is None, "one failure may pass"


def test_one_good_sweep_ends_the_trouble():
    """Failures before a success do not count, and neither do those that an attempt of the same Job made good."""
    assert trouble([failed(0), failed(1), pod(2, "Succeeded")], last=2, now=190, success=(3, 3)) is None
    retried = [failed(1), pod(1, "Running", suffix="b"), failed(2), pod(2, "Succeeded", suffix="b")]
    assert trouble(retried, last=2, now=170, success=(1, 3), active=[1]) is None


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (
            {"containerStatuses": [{"name": "s", "state": {"waiting": {"reason": "ErrImagePull", "message": "no"}}}]},
            "pod {name} waits: ErrImagePull: no",
        ),
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes: Insufficient cpu."}]},
            "pod {name} has no node: 0/3 nodes: Insufficient cpu.",
        ),
        ({}, "pod {name} is not running yet"),
    ],
)
def test_two_sweeps_that_do_not_start_are_told_with_what_they_wait_for(status, cause):
    """A pod that waits for its image or for a node is named with Kubernetes' own reason."""
    pods = [pod(1, "Pending", **status), pod(2, "Pending", **status)]
    reason, message = trouble(pods, last=2, now=140, success=(1, 3), active=[1, 2])
    assert reason == "SweepsDoNotStart"
    assert message.endswith(cause.format(name=f"{job(2)}-a"))


def test_a_job_without_pods_does_not_start():
    """A quota that refuses pods leaves Jobs without any."""
    reason, message = trouble([], last=2, now=140, active=[1, 2])
    assert reason == "SweepsDoNotStart"
    assert f"Job {job(2)} has no pod" in message


def test_sweeps_that_run_are_no_trouble():
    """Sweeps that are young or run are not judged, also if the sweep before failed."""
    assert trouble([waiting(1, "ErrImagePull"), pod(2, "Running")], last=2, now=140, active=[1, 2]) is None
    assert trouble([waiting(1, "ErrImagePull"), waiting(2, "ErrImagePull")], last=2, now=130, active=[1, 2]) is None


def test_only_suspicious_sweeps_cost_a_request():
    """Pods are asked only while no sweep has succeeded since the newest began, and not within its first seconds."""

    def asked(last, success, now):
        status = {"lastScheduleTime": at(last)} | ({"lastSuccessfulTime": at(*success)} if success else {})
        return is_suspicious(owner, {"status": status}, now=NOON + timedelta(seconds=now))

    owner = {}

    assert not asked(2, (1, 3), 125)
    assert asked(2, (1, 3), 140)
    assert not asked(2, (2, 3), 140)
    assert asked(2, None, 140)
    assert not is_suspicious(owner, {}, now=NOON)
    owner = {"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "SweepsFail"}]}}
    assert asked(2, (1, 3), 125), "a young sweep does not end the trouble"
    assert trouble(None, last=2, now=125, active=[1, 2]) is None, "nothing is told of pods that were not asked"


def test_every_shard_counts():
    """A sweep of two shards fails if one of them does."""
    spec = SPEC.model_copy(update={"shards": 2})
    pods = [p for minute in (1, 2) for p in (pod(minute, "Succeeded"), failed(minute, 1, "boom", suffix="b"))]
    assert trouble(pods, last=2, now=190, spec=spec, active=[1, 2])[0] == "SweepsFail"
