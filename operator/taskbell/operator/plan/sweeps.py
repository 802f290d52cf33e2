"""Whether the sweeps of a ReminderSchedule start and succeed, from its CronJob and their pods."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from taskbell.contract.reminder_schedules import STAYING, ReminderScheduleSpec
from taskbell.operator.plan.conditions import find, instant, parse_instant
from taskbell.operator.plan.cron import YEARS_AHEAD, Schedule
from taskbell.operator.specs.cron_job import SWEEPER

Json = dict[str, Any]
TROUBLES = ("SweepsFail", "SweepsDoNotStart", "NeverDue")
"""The reasons of all troubles."""
STARTED = timedelta(seconds=15)
"""Time within which a sweep that is due should have started, and its pod should run."""
_START_GRACE = timedelta(minutes=2)
"""Time that the CronJob controller may take after the starting deadline."""
_MISSED = 2
"""How many sweeps in a row must have failed, or not have started."""
_JOB = "batch.kubernetes.io/job-name"
_LONGEST_CAUSE = 300


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why sweeps do not do their work: a CamelCase word and a sentence."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class _Run:
    """One sweep: when it was due, and what became of it; `reason` is empty if it runs, or ended well.

    Attributes:
        good: Whether it succeeded.
    """

    due: datetime
    good: bool = False
    reason: str = ""
    cause: str = ""


def is_suspicious(owner: Json, cron_job: Json, *, now: datetime) -> bool:
    """Whether the pods of the sweeps must be asked: none has succeeded since the newest began, and it is not young.

    While a schedule is in trouble its young sweeps count, too: else each new one would seem to end the trouble.
    """
    runs = cron_job.get("status", {})
    last, succeeded = parse_instant(runs.get("lastScheduleTime")), parse_instant(runs.get("lastSuccessfulTime"))
    in_trouble = find(owner.get("status", {}), "Ready")["reason"] in TROUBLES
    return last is not None and (in_trouble or now >= last + STARTED) and (succeeded is None or succeeded < last)


def find_trouble(
    spec: ReminderScheduleSpec,
    schedule: Schedule,
    cron_job: Json,
    pods: Sequence[Json] | None,
    *,
    since: datetime,
    now: datetime,
) -> Trouble | None:
    """What is wrong with the sweeps that were due since a time.

    `pods` are those of all sweeps; None if they were not asked, since nothing is suspicious. Two sweeps in a row count,
    or one that is later than its deadline. The words tell no time that passes, so that a status does not change with
    each pass.
    """
    if spec.suspend:
        return None
    runs = cron_job.get("status", {})
    last = parse_instant(runs.get("lastScheduleTime"))
    missing = schedule.after(max(last, since) if last else since)
    if missing is None:
        return Trouble("NeverDue", f"the schedule {spec.schedule} has no time within the next {YEARS_AHEAD} years")
    waits = spec.concurrency_policy == "Forbid" and bool(runs.get("active"))
    if not waits and (late := _late(spec, schedule, missing, now)):
        return late
    succeeded = parse_instant(runs.get("lastSuccessfulTime"))
    known = [] if pods is None else _runs(runs, pods, needed=spec.shards, now=now)
    bad: list[_Run] = []
    for run in known:
        if run.good or run.due < since - timedelta(minutes=1) or (succeeded and run.due < _before(succeeded, spec)):
            break
        if run.reason:
            bad.append(run)
    if len(bad) >= _MISSED:
        what = "failed" if bad[0].reason == "SweepsFail" else "did not start"
        success = f"the last success was at {instant(succeeded)}" if succeeded else "none has succeeded yet"
        message = (
            f"the last {len(bad)} sweeps {what}, the newest due at {instant(bad[0].due)}; {success}; {bad[0].cause}"
        )
        return Trouble(bad[0].reason, message)
    return _without_success(schedule, runs, since=max(succeeded or since, since), last=last, now=now)


def _late(spec: ReminderScheduleSpec, schedule: Schedule, missing: datetime, now: datetime) -> Trouble | None:
    """The trouble if a sweep was not started: two were due, or its deadline is over."""
    second = schedule.after(missing)
    if second is not None and now >= second + STARTED:
        message = f"the sweeps due at {instant(missing)} and {instant(second)} have not been started"
        return Trouble("SweepsDoNotStart", f"{message}: Kubernetes made no Job for them")
    if now > missing + timedelta(seconds=spec.deadline_seconds) + _START_GRACE:
        message = f"the sweep due at {instant(missing)} has not been started"
        return Trouble("SweepsDoNotStart", f"{message}: Kubernetes made no Job for it")
    return None


def _without_success(
    schedule: Schedule, runs: Json, *, since: datetime, last: datetime | None, now: datetime
) -> Trouble | None:
    """The trouble if sweeps ended without a success and without a trace, as with `history: 0`."""
    following = since
    for _ in range(_MISSED):
        following = schedule.after(following) or following
    if last is None or last < following or now < last + STARTED or runs.get("active"):
        return None
    return Trouble(
        "SweepsFail", f"no sweep has succeeded since {instant(since)}; the newest was due at {instant(last)}"
    )


def _before(succeeded: datetime, spec: ReminderScheduleSpec) -> datetime:
    """A sweep that was due before this is older than the one that succeeded then."""
    return succeeded - timedelta(seconds=60 if spec.kind in STAYING else 0) - STARTED


def _runs(runs: Json, pods: Iterable[Json], *, needed: int, now: datetime) -> list[_Run]:
    """The sweeps that are known by an active Job or by pods, newest first."""
    by_job: dict[str, list[Json]] = {active["name"]: [] for active in runs.get("active", ())}
    running = set(by_job)
    for pod in pods:
        by_job.setdefault(pod["metadata"].get("labels", {}).get(_JOB, ""), []).append(pod)
    found = [
        _judged(due, name, of_job, is_active=name in running, needed=needed, now=now)
        for name, of_job in by_job.items()
        if (due := _due(name)) is not None
    ]
    return sorted(found, key=lambda run: run.due, reverse=True)


def _due(job: str) -> datetime | None:
    """When the sweep of a Job was due: the CronJob controller ends its name with the minutes since 1970."""
    minutes = job.rpartition("-")[2]
    return datetime.fromtimestamp(int(minutes) * 60, UTC) if minutes.isdecimal() and len(minutes) < 10 else None


def _judged(due: datetime, job: str, pods: list[Json], *, is_active: bool, needed: int, now: datetime) -> _Run:
    phases = [pod.get("status", {}).get("phase", "Pending") for pod in pods]
    if phases.count("Succeeded") >= needed:
        return _Run(due, good=True)
    if "Running" in phases or now < due + STARTED:
        return _Run(due)
    if failed := [pod for pod, phase in zip(pods, phases, strict=True) if phase == "Failed"]:
        return _Run(due, reason="SweepsFail", cause=_end(max(failed, key=_created)))
    if waiting := [pod for pod, phase in zip(pods, phases, strict=True) if phase == "Pending"]:
        return _Run(due, reason="SweepsDoNotStart", cause=_wait(max(waiting, key=_created)))
    if is_active and not pods:
        cause = f"Job {job} has no pod: a quota or a policy may refuse it, which the events of the Job tell"
        return _Run(due, reason="SweepsDoNotStart", cause=cause)
    return _Run(due)


def _end(pod: Json) -> str:
    """How a pod failed."""
    name, status = pod["metadata"]["name"], pod["status"]
    for container in status.get("containerStatuses", ()):
        ended = container.get("state", {}).get("terminated")
        if container["name"] == SWEEPER and ended:
            told = ended.get("message", "").strip() or ended.get("reason", "Error")
            return f"pod {name} ended with status {ended.get('exitCode')}: {told}"[:_LONGEST_CAUSE]
    return f"pod {name}: {status.get('message') or status.get('reason') or 'failed'}"[:_LONGEST_CAUSE]


def _wait(pod: Json) -> str:
    """What a pod waits for."""
    name, status = pod["metadata"]["name"], pod.get("status", {})
    for container in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        waiting = container.get("state", {}).get("waiting", {})
        if waiting.get("reason", "ContainerCreating") not in {"ContainerCreating", "PodInitializing"}:
            return f"pod {name} waits: {waiting['reason']}: {waiting.get('message', '')}".rstrip(": ")[:_LONGEST_CAUSE]
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"pod {name} has no node: {condition.get('message', '')}".rstrip(": ")[:_LONGEST_CAUSE]
    return f"pod {name} is not running yet"


def _created(pod: Json) -> str:
    return str(pod["metadata"].get("creationTimestamp", ""))
