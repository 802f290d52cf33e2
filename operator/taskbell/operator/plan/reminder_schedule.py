"""The status of a ReminderSchedule, from its CronJob and the time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from taskbell.contract.reminder_schedules import ReminderScheduleSpec
from taskbell.operator.plan.conditions import condition, conditions, instant, parse_instant, refusal
from taskbell.operator.plan.cron import YEARS_AHEAD, Schedule
from taskbell.operator.plan.sweep_reports import SweepReport

Json = dict[str, Any]
_START_GRACE = timedelta(minutes=2)
"""Time that the CronJob controller and the scheduler may take after the starting deadline."""
_PERIODS_WITHOUT_SUCCESS = 3


def describe(
    owner: Json,
    spec: ReminderScheduleSpec,
    schedule: Schedule,
    cron_job: Json,
    *,
    applied: bool,
    now: datetime,
    report: SweepReport | None = None,
) -> Json:
    """The status; `applied` tells that this pass wrote a new declaration, so that earlier runs do not count."""
    runs, name = cron_job.get("status", {}), cron_job["metadata"]["name"]
    ready = condition("Ready", "CronJobKept", f"CronJob {name} is as declared", holds=True)
    if spec.suspend:
        ready = condition("Ready", "Suspended", f"CronJob {name} is suspended", holds=True)
    progressing = condition("Progressing", "Settled", "there is nothing to do", holds=False)
    if applied:
        progressing = condition("Progressing", "CronJobWritten", "the CronJob was written", holds=True)
    since = now if applied else _last_change(owner, cron_job)
    degraded = _degraded(spec, schedule, runs, since=since, now=now)
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


def _degraded(spec: ReminderScheduleSpec, schedule: Schedule, runs: Json, *, since: datetime, now: datetime) -> Json:
    """The condition Degraded: whether sweeps that were due since a time started and succeeded."""
    healthy = condition("Degraded", "Healthy", "sweeps start and succeed", holds=False)
    if spec.suspend:
        return healthy
    last = parse_instant(runs.get("lastScheduleTime"))
    due = schedule.after(max(last, since) if last else since)
    if due is None:
        message = f"{spec.schedule!r} has no time within the next {YEARS_AHEAD} years"
        return condition("Degraded", "NeverDue", message, holds=True)
    waits = spec.concurrency_policy == "Forbid" and bool(runs.get("active"))
    if now > due + timedelta(seconds=spec.deadline_seconds) + _START_GRACE and not waits:
        return condition("Degraded", "SweepsDoNotStart", f"the sweep of {instant(due)} has not started", holds=True)
    succeeded = max(parse_instant(runs.get("lastSuccessfulTime")) or since, since)
    following = succeeded
    for _ in range(_PERIODS_WITHOUT_SUCCESS):
        following = schedule.after(following) or following
    if last and last > following + timedelta(seconds=spec.timeout_seconds):
        return condition("Degraded", "SweepsFail", f"no sweep has succeeded since {instant(succeeded)}", holds=True)
    return healthy


def _last_change(owner: Json, cron_job: Json) -> datetime:
    """From when on sweeps are due: the creation of the CronJob, or its last change by this operator."""
    times = [parse_instant(cron_job["metadata"].get("creationTimestamp"))]
    times += [
        parse_instant(known["lastTransitionTime"])
        for known in owner.get("status", {}).get("conditions", [])
        if known["type"] in {"Ready", "Progressing"}
    ]
    return max(time for time in times if time)
