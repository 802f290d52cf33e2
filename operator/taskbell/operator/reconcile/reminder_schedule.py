"""One pass over a ReminderSchedule: apply its CronJob if that differs, report what was found in the status."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from taskbell.contract.reminder_schedules import ReminderScheduleSpec
from taskbell.kit.clock import Clock
from taskbell.operator.cluster import CRON_JOBS, REMINDER_SCHEDULES, Cluster, RequestRefused
from taskbell.operator.events import Events
from taskbell.operator.plan.conditions import is_reported
from taskbell.operator.plan.cron import Schedule, ScheduleNotUnderstood, parse
from taskbell.operator.plan.drift import Corrections
from taskbell.operator.plan.reminder_schedule import describe, describe_refusal
from taskbell.operator.queue import Key, Outcome
from taskbell.operator.specs.cron_job import SweepDefaults, build_cron_job, is_owned
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
        self._reports = SweepReports(cluster)

    async def keep(self, key: Key) -> Outcome:
        """Make one pass.

        Raises:
            ClusterRefused: The API server failed or refused a request.
        """
        owner = await self._cluster.get(REMINDER_SCHEDULES, key.namespace, key.name)
        if owner is None or owner["metadata"].get("deletionTimestamp"):
            self._corrections.pop(key, None)
            self._reports.forget(key)
            return Outcome(gone=owner is None)
        try:
            spec = ReminderScheduleSpec.model_validate(owner["spec"])
            schedule = parse(spec.schedule, spec.time_zone)
        except (ValidationError, ScheduleNotUnderstood) as wrong:
            return await self._refuse(owner, "ScheduleNotUnderstood", str(wrong))
        declared = build_cron_job(owner, spec, self._sweeps)
        name = declared["metadata"]["name"]
        live = await self._cluster.get(CRON_JOBS, key.namespace, name)
        if live is not None and not is_owned(live, owner):
            message = f"CronJob {name} exists and does not belong to this ReminderSchedule"
            return await self._refuse(owner, "NameTaken", message)
        corrections = self._corrections.setdefault(key, Corrections())
        applied = False
        pausing = corrections.was_applied(declared, live) and corrections.pause(self._clock.monotonic()) > 0
        if live is None or (corrections.has_drifted(declared, live) and not pausing):
            try:
                live, applied = await self._apply(corrections, owner, declared, live)
            except RequestRefused as refused:
                if not is_reported(owner, "CronJobRefused"):  # a message that differs each time would wake the watch
                    await self._refuse(owner, "CronJobRefused", str(refused))
                raise
        if wait := corrections.pause(self._clock.monotonic()):
            # Said also while the CronJob is as declared, or the condition would change with each correction.
            message = f"another program keeps changing CronJob {name} after each correction"
            await self._refuse(owner, "Contested", message)
            return Outcome(again_in=wait)
        report = await self._reports.read(key, owner, declared, live) if spec.kind == "due" else None
        now = self._now()
        status = describe(owner, spec, schedule, live, applied=applied, now=now, report=report)
        if status != owner.get("status"):
            await self._cluster.apply_status(REMINDER_SCHEDULES, owner, status)
        return Outcome(again_in=_next_look(spec, schedule, now=now, applied=applied))

    async def _apply(
        self, corrections: Corrections, owner: Json, declared: Json, live: Json | None
    ) -> tuple[Json, bool]:
        """The CronJob as it is now, and whether its declaration is new; a correction is not."""
        is_correction = corrections.was_applied(declared, live)
        written = await self._cluster.apply(CRON_JOBS, declared)
        metadata, spec = written["metadata"], declared["spec"]
        corrections.applied(declared, metadata["generation"])
        if live is not None and live["metadata"]["resourceVersion"] == metadata["resourceVersion"]:
            return written, False
        facts = f"CronJob {metadata['name']}: {spec['schedule']} {spec['timeZone']}, suspend={spec['suspend']}"
        if is_correction:
            corrections.count, corrections.last = corrections.count + 1, self._clock.monotonic()
            await self._events.record(owner, "DriftCorrected", facts)
            return written, False
        corrections.count = 0
        await self._events.record(owner, "CronJobChanged" if live else "CronJobCreated", facts)
        return written, True

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now(), UTC)

    async def _refuse(self, owner: Json, reason: str, message: str) -> Outcome:
        status = describe_refusal(owner, reason, message, now=self._now())
        if status != owner.get("status"):
            await self._cluster.apply_status(REMINDER_SCHEDULES, owner, status)
            await self._events.record(owner, reason, message, warning=True)
        return Outcome()


def _next_look(spec: ReminderScheduleSpec, schedule: Schedule, *, now: datetime, applied: bool) -> float | None:
    """Seconds until the status changes by itself; None if only an event can change it."""
    if applied:
        return 1.0
    upcoming = None if spec.suspend else schedule.after(now)
    return (upcoming - now).total_seconds() + _AFTER_RUN if upcoming else None
