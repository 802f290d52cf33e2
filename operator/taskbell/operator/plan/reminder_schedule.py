"""The status of a ReminderSchedule, from its CronJob, the pods of its sweeps and the time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from taskbell.contract.reminder_schedules import ReminderScheduleSpec
from taskbell.operator.plan.conditions import condition, conditions, find, instant, parse_instant, refusal
from taskbell.operator.plan.cron import Schedule
from taskbell.operator.plan.sweep_reports import SweepReport
from taskbell.operator.plan.sweeps import TROUBLES, find_trouble

Json = dict[str, Any]


def describe(
    owner: Json,
    spec: ReminderScheduleSpec,
    schedule: Schedule,
    cron_job: Json,
    *,
    applied: bool,
    now: datetime,
    report: SweepReport | None = None,
    pods: Sequence[Json] | None = None,
) -> Json:
    """The status; `applied` tells that this pass wrote a new declaration, so that earlier runs do not count.

    `pods` are those of the sweeps, if the newest is suspicious. Whoever waits for Ready waits for sweeps that work.
    """
    runs, name = cron_job.get("status", {}), cron_job["metadata"]["name"]
    ready = condition("Ready", "CronJobKept", f"CronJob {name} is as declared", holds=True)
    if spec.suspend:
        ready = condition("Ready", "Suspended", f"CronJob {name} is suspended", holds=True)
    progressing = condition("Progressing", "Settled", "there is nothing to do", holds=False)
    if applied:
        progressing = condition("Progressing", "CronJobWritten", "the CronJob was written", holds=True)
    since = now if applied or _was_refused(owner) else _last_change(owner, cron_job)
    degraded = condition("Degraded", "Healthy", "sweeps start and succeed", holds=False)
    if trouble := find_trouble(spec, schedule, cron_job, pods, since=since, now=now):
        degraded = condition("Degraded", trouble.reason, trouble.message, holds=True)
        ready = condition("Ready", trouble.reason, trouble.message, holds=False)
    upcoming = None if spec.suspend else schedule.after(now)
    status = {
        **conditions(owner, (ready, progressing, degraded), now=now),
        "cronJob": name,
        "lastScheduleTime": runs.get("lastScheduleTime"),
        "lastSuccessTime": runs.get("lastSuccessfulTime"),
        "oldestDueSeconds": int(report.oldest_due) if report and report.counts(schedule, now) else None,
        "nextRunTime": instant(upcoming) if upcoming else None,
    }
    return {name: value for name, value in status.items() if value is not None}


def describe_refusal(owner: Json, reason: str, message: str, *, now: datetime) -> Json:
    """The status of a schedule that cannot be kept: it has no next run, and keeps the times of earlier ones."""
    status = refusal(owner, reason, message, now=now)
    for unknown in ("nextRunTime", "oldestDueSeconds"):
        status.pop(unknown, None)
    return status


def _was_refused(owner: Json) -> bool:
    """Whether the status until now tells that the CronJob was not kept, so that sweeps were not due."""
    ready = find(owner.get("status", {}), "Ready")
    return ready["status"] == "False" and ready["reason"] not in {"", *TROUBLES}


def _last_change(owner: Json, cron_job: Json) -> datetime:
    """From when on sweeps are due: the creation of the CronJob, or since it is kept as it is."""
    times = [parse_instant(cron_job["metadata"].get("creationTimestamp"))]
    times += [
        parse_instant(known["lastTransitionTime"])
        for known in owner.get("status", {}).get("conditions", [])
        if known["type"] == "Progressing" or (known["type"] == "Ready" and known["status"] == "True")
    ]
    return max(time for time in times if time)
