"""What the status of a ReminderSchedule says, from its CronJob and the time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from taskbell.contract.reminder_schedules import ReminderScheduleSpec
from taskbell.operator.plan.conditions import Verdict, conditions, instant, parse_instant
from taskbell.operator.plan.cron import Schedule

Json = dict[str, Any]

_START_GRACE = timedelta(minutes=2)
"""What a CronJob controller and a scheduler may take beyond the starting deadline before it is called late."""
_PERIODS_WITHOUT_SUCCESS = 3


def describe(
    owner: Json, spec: ReminderScheduleSpec, schedule: Schedule, cron_job: Json, *, applied: bool, now: datetime
) -> Json:
    """The status; `applied` tells that the CronJob was written in this pass and its numbers are old."""
    found = cron_job.get("status", {})
    name = cron_job["metadata"]["name"]
    ready = Verdict("Ready", "Suspended", f"CronJob {name} is suspended", holds=True) if spec.suspend else None
    ready = ready or Verdict("Ready", "CronJobKept", f"CronJob {name} is as declared", holds=True)
    generation = owner["metadata"]["generation"]
    verdicts = [
        ready,
        Verdict("Progressing", "CronJobWritten", "the CronJob was written", holds=True)
        if applied
        else Verdict("Progressing", "Settled", "there is nothing to do", holds=False),
        _degraded(spec, schedule, cron_job, since=now if applied else _began(owner, cron_job), now=now),
    ]
    upcoming = None if spec.suspend else schedule.after(now)
    before = owner.get("status", {}).get("conditions", [])
    return _present(
        {
            "observedGeneration": generation,
            "conditions": conditions(verdicts, before=before, generation=generation, now=now),
            "cronJob": name,
            "lastScheduleTime": found.get("lastScheduleTime"),
            "lastSuccessTime": found.get("lastSuccessfulTime"),
            "nextRunTime": instant(upcoming) if upcoming else None,
        }
    )


def describe_refusal(owner: Json, reason: str, message: str, *, now: datetime) -> Json:
    """The status of a schedule that cannot be kept; what is known of earlier runs stays."""
    generation = owner["metadata"]["generation"]
    status: Json = dict(owner.get("status", {}))
    verdicts = [
        Verdict("Ready", reason, message, holds=False),
        Verdict("Progressing", reason, message, holds=False),
        Verdict("Degraded", reason, message, holds=True),
    ]
    status.pop("nextRunTime", None)
    before = status.get("conditions", [])
    return status | {
        "observedGeneration": generation,
        "conditions": conditions(verdicts, before=before, generation=generation, now=now),
    }


def _degraded(
    spec: ReminderScheduleSpec, schedule: Schedule, cron_job: Json, *, since: datetime, now: datetime
) -> Verdict:
    well = Verdict("Degraded", "Healthy", "sweeps start and end as they should", holds=False)
    if spec.suspend:
        return well
    found = cron_job.get("status", {})
    last = parse_instant(found.get("lastScheduleTime"))
    due = schedule.after(max(last, since) if last else since)
    if due is None:
        return Verdict("Degraded", "NeverDue", f"{spec.schedule!r} names no time within years", holds=True)
    waits = spec.concurrency_policy == "Forbid" and bool(found.get("active"))
    if now > due + timedelta(seconds=spec.deadline_seconds) + _START_GRACE and not waits:
        return Verdict("Degraded", "SweepsDoNotStart", f"the sweep of {instant(due)} has not started", holds=True)
    succeeded = max(parse_instant(found.get("lastSuccessfulTime")) or since, since)
    following = succeeded
    for _ in range(_PERIODS_WITHOUT_SUCCESS):
        following = schedule.after(following) or following
    if last and last > following + timedelta(seconds=spec.timeout_seconds):
        return Verdict("Degraded", "SweepsFail", f"no sweep has ended well since {instant(succeeded)}", holds=True)
    return well


def _began(owner: Json, cron_job: Json) -> datetime:
    """From when on sweeps are owed: the CronJob's making, or its last change by this operator."""
    times = [parse_instant(cron_job["metadata"].get("creationTimestamp"))]
    times += [
        parse_instant(condition["lastTransitionTime"])
        for condition in owner.get("status", {}).get("conditions", [])
        if condition["type"] in {"Ready", "Progressing"}
    ]
    return max(time for time in times if time)


def _present(status: Json) -> Json:
    return {name: value for name, value in status.items() if value is not None}
