"""One pass over a ReminderSchedule: apply its CronJob if that differs, report what was found in the status."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from taskbell.contract.reminder_schedules import STAYING, ReminderScheduleSpec
from taskbell.kit.clock import Clock
from taskbell.operator.cluster import CRON_JOBS, PODS, REMINDER_SCHEDULES, Cluster, RequestRefused
from taskbell.operator.events import Events
from taskbell.operator.plan.conditions import find, parse_instant
from taskbell.operator.plan.cron import Schedule, ScheduleNotUnderstood, parse
from taskbell.operator.plan.drift import Corrections
from taskbell.operator.plan.reminder_schedule import describe, describe_refusal
from taskbell.operator.plan.spec_words import faults_in_words
from taskbell.operator.plan.sweeps import is_suspicious
from taskbell.operator.queue import Key, Outcome
from taskbell.operator.reconcile.refusals import Refusals
from taskbell.operator.specs.cron_job import (
    SweepDefaults,
    build_cron_job,
    cron_job_name,
    is_left_behind,
    is_owned,
    owner_in_words,
    pods_of,
)
from taskbell.operator.sweep_reports import SweepReports

Json = dict[str, Any]
_AFTER_RUN = 20.0
"""Seconds after the time of a run at which the CronJob's status should show its start."""


class ScheduleKeeper:
    """Keeps the CronJob of every ReminderSchedule."""

    def __init__(self, cluster: Cluster, events: Events, *, sweeps: SweepDefaults, clock: Clock) -> None:
        """Take the collaborators, and what the installation gives to all sweeps."""
        self._cluster = cluster
        self._events = events
        self._sweeps = sweeps
        self._clock = clock
        self._corrections: dict[Key, Corrections] = {}
        self._refusals = Refusals()
        self._reports = SweepReports(cluster)

    async def keep(self, key: Key) -> Outcome:
        """Make one pass.

        Raises:
            ClusterRefused: The API server failed or refused a request.
        """
        # The CronJob first: an orphaning deletion ends its schedule, then takes the CronJob's reference away for good.
        name = cron_job_name(key.name)
        live = await self._cluster.get(CRON_JOBS, key.namespace, name)
        owner = await self._cluster.get(REMINDER_SCHEDULES, key.namespace, key.name)
        if owner is None or owner["metadata"].get("deletionTimestamp"):
            self._corrections.pop(key, None)
            self._refusals.forget(key)
            self._reports.forget(key)
            return Outcome(gone=owner is None)
        try:
            spec = ReminderScheduleSpec.model_validate(owner["spec"])
            schedule = parse(spec.schedule, spec.time_zone)
        except ValidationError as wrong:
            return await self._refuse(owner, "SpecNotUnderstood", faults_in_words(wrong))
        except ScheduleNotUnderstood as wrong:
            return await self._refuse(owner, "ScheduleNotUnderstood", str(wrong))
        declared = build_cron_job(owner, spec, self._sweeps)
        if live is not None and not is_owned(live, owner) and not is_left_behind(live, owner):
            advice = "delete the CronJob, or give the ReminderSchedule another name"
            message = f"CronJob {name} exists and belongs to {owner_in_words(live)}: {advice}"
            return await self._refuse(owner, "NameTaken", message)
        corrections = self._corrections.setdefault(key, Corrections())
        applied = False
        pausing = corrections.was_applied(declared, live) and corrections.pause(self._clock.monotonic()) > 0
        if live is None or (corrections.has_drifted(declared, live) and not pausing):
            try:
                live, applied = await self._apply(corrections, owner, declared, live)
            except RequestRefused as refused:
                if self._refusals.may_tell(key, owner, "CronJobRefused", now=self._clock.monotonic()):
                    await self._refuse(owner, "CronJobRefused", str(refused))
                raise
        if wait := corrections.pause(self._clock.monotonic()):
            # Said also while the CronJob is as declared, or the condition would change with each correction.
            message = f"another program keeps changing CronJob {name} after each correction"
            await self._refuse(owner, "Contested", message)
            return Outcome(again_in=wait)
        report = await self._reports.read(key, owner, declared, live) if spec.kind in STAYING else None
        now = self._now()
        pods = None
        if not spec.suspend and is_suspicious(owner, live, now=now):
            pods = await self._cluster.all(PODS, key.namespace, labels=pods_of(owner))
        status = describe(owner, spec, schedule, live, applied=applied, now=now, report=report, pods=pods)
        await self._report(owner, status)
        return Outcome(again_in=_next_look(spec, schedule, live, now=now, applied=applied))

    async def _report(self, owner: Json, status: Json) -> None:
        """Write the status if it changed; then record an event if sweeps came into trouble, or out of it."""
        if status == owner.get("status"):
            return
        await self._cluster.apply_status(REMINDER_SCHEDULES, owner, status)
        before, now = find(owner.get("status", {}), "Degraded"), find(status, "Degraded")
        if now["status"] == "True" and (before["status"], before["reason"]) != ("True", now["reason"]):
            await self._events.record(owner, now["reason"], now["message"], warning=True)
        elif now["status"] == "False" and before["status"] == "True":
            known = status.get("lastSuccessTime")
            success = f"; the last success was at {known}" if known else ""
            message = f"{find(status, 'Ready')['message']}{success}; before: {before['reason']}"
            await self._events.record(owner, "Recovered", message)

    async def _apply(
        self, corrections: Corrections, owner: Json, declared: Json, live: Json | None
    ) -> tuple[Json, bool]:
        """The CronJob as it is now, and whether its declaration is new; a correction is not."""
        is_correction = corrections.was_applied(declared, live)
        written = await self._cluster.apply(CRON_JOBS, declared, unchanged_since=live)
        metadata, spec = written["metadata"], declared["spec"]
        corrections.applied(declared, metadata["generation"])
        if live is not None and live["metadata"]["resourceVersion"] == metadata["resourceVersion"]:
            return written, False
        suspended = ", suspended" if spec["suspend"] else ""
        facts = f"CronJob {metadata['name']}: {spec['schedule']} {spec['timeZone']}{suspended}"
        if is_correction:
            corrections.count, corrections.last = corrections.count + 1, self._clock.monotonic()
            await self._events.record(owner, "DriftCorrected", facts)
            return written, False
        corrections.count = 0
        reason = "CronJobCreated" if live is None else "CronJobChanged" if is_owned(live, owner) else "CronJobAdopted"
        await self._events.record(owner, reason, facts)
        return written, True

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now(), UTC)

    async def _refuse(self, owner: Json, reason: str, message: str) -> Outcome:
        status = describe_refusal(owner, reason, message, now=self._now())
        if status != owner.get("status"):
            await self._cluster.apply_status(REMINDER_SCHEDULES, owner, status)
            await self._events.record(owner, reason, message, warning=True)
        return Outcome()


def _next_look(
    spec: ReminderScheduleSpec, schedule: Schedule, live: Json, *, now: datetime, applied: bool
) -> float | None:
    """Seconds until the status changes by itself; None if only an event can change it."""
    if applied:
        return 1.0
    if spec.suspend:
        return None
    last = parse_instant(live.get("status", {}).get("lastScheduleTime"))
    began = (last - now).total_seconds() + _AFTER_RUN if last else 0.0
    if began > 0:  # the event of its start came first, and its pod is not to be judged yet
        return began
    upcoming = schedule.after(now)
    return (upcoming - now).total_seconds() + _AFTER_RUN if upcoming else None
