from datetime import UTC, datetime, timedelta

import pytest

from taskbell.contract.reminder_schedules import ReminderScheduleSpec
from taskbell.operator.plan.cron import parse
from taskbell.operator.plan.reminder_schedule import describe

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
OWNER = {"metadata": {"generation": 3}, "spec": {}}
SPEC = ReminderScheduleSpec.model_validate({"kind": "due", "schedule": "*/10 * * * *"})


def degraded(*, last, success, now, spec=SPEC, applied=False, active=()):
    """The condition Degraded of a schedule whose CronJob was created at 10:00."""
    times = {"lastScheduleTime": last, "lastSuccessfulTime": success}
    status = {name: f"2026-11-20T{text}:00Z" for name, text in times.items() if text}
    status["active"] = [*active]
    cron_job = {"metadata": {"name": "due", "creationTimestamp": "2026-11-20T10:00:00Z"}, "status": status}
    moment = datetime.fromisoformat(f"2026-11-20T{now}:00Z").astimezone(UTC)
    found = describe(OWNER, spec, parse(spec.schedule, "Etc/UTC"), cron_job, applied=applied, now=moment)
    (condition,) = (c for c in found["conditions"] if c["type"] == "Degraded")
    return condition["status"] == "True", condition["reason"]


@pytest.mark.parametrize(
    ("last", "success", "now", "expected"),
    [
        (None, None, "10:09", (False, "Healthy")),
        (None, None, "10:16", (False, "Healthy")),
        (None, None, "10:18", (True, "SweepsDoNotStart")),
        ("10:10", None, "10:12", (False, "Healthy")),
        ("10:10", "10:11", "10:26", (False, "Healthy")),
        ("10:10", "10:11", "10:28", (True, "SweepsDoNotStart")),
        ("10:10", "10:01", "10:21", (False, "Healthy")),
        ("10:10", "10:11", "10:29", (True, "SweepsDoNotStart")),
        ("10:20", "10:11", "10:21", (False, "Healthy")),
        ("10:30", "10:11", "10:31", (True, "SweepsFail")),
        ("11:00", "10:11", "11:01", (True, "SweepsFail")),
        ("11:00", None, "11:01", (True, "SweepsFail")),
    ],
)
def test_late_and_failing_sweeps_degrade(last, success, now, expected):
    """A sweep that is later than its deadline and a grace, or two sweeps without a success, degrade a schedule."""
    assert degraded(last=last, success=success, now=now) == expected


def test_earlier_sweeps_do_not_count_after_a_change():
    """After a change, as after a suspension, sweeps from before it do not count as missing."""
    assert degraded(last="10:10", success="10:11", now="15:00", applied=True) == (False, "Healthy")
    suspended = SPEC.model_copy(update={"suspend": True})
    assert degraded(last="10:10", success="10:11", now="15:00", spec=suspended) == (False, "Healthy")


def test_a_schedule_that_is_never_due_degrades():
    """February 30 is a schedule that Kubernetes accepts and never runs."""
    spec = SPEC.model_copy(update={"schedule": "0 0 30 2 *"})
    assert degraded(last=None, success=None, now="10:01", spec=spec) == (True, "NeverDue")


def test_a_sweep_that_waits_for_a_running_one_is_not_late():
    """Under `Forbid` a sweep that waits for a running one is not late; without a running one it is."""
    forbids = SPEC.model_copy(update={"concurrency_policy": "Forbid"})
    late = {"last": "10:10", "success": "10:01", "now": "11:00"}
    assert degraded(**late, spec=forbids, active=[{"name": "due-1"}]) == (False, "Healthy")
    assert degraded(**late, spec=forbids) == (True, "SweepsDoNotStart")
    assert degraded(**late, active=[{"name": "due-1"}]) == (True, "SweepsDoNotStart")


def test_the_message_stays_the_same_while_a_sweep_is_late():
    """The message has no count of seconds, which would change the status with every pass and wake the watch."""
    messages = set()
    for now in (NOON, NOON + timedelta(seconds=1)):
        cron_job = {"metadata": {"name": "due", "creationTimestamp": "2026-11-20T10:00:00Z"}}
        found = describe(OWNER, SPEC, parse(SPEC.schedule, "Etc/UTC"), cron_job, applied=False, now=now)
        (condition,) = (c for c in found["conditions"] if c["type"] == "Degraded")
        assert condition["reason"] == "SweepsDoNotStart"
        messages.add(condition["message"])
    missing = "the sweeps due at 2026-11-20T10:10:00Z and 2026-11-20T10:20:00Z have not been started"
    assert messages == {f"{missing}: Kubernetes made no Job for them"}
