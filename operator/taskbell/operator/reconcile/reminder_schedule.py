"""One pass over a ReminderSchedule: its CronJob as declared, its status as found."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from taskbell.contract.reminder_schedules import ReminderScheduleSpec
from taskbell.kit.clock import Clock
from taskbell.operator.cluster import CRON_JOBS, REMINDER_SCHEDULES, Cluster
from taskbell.operator.events import Events
from taskbell.operator.plan.cron import Schedule, ScheduleNotUnderstood, parse
from taskbell.operator.plan.difference import differs
from taskbell.operator.plan.reminder_schedule import describe, describe_refusal
from taskbell.operator.queue import Key, Outcome
from taskbell.operator.specs.cron_job import SweepSurroundings, build_cron_job, cron_job_name
from taskbell.operator.specs.identity import DECLARED, is_owned

Json = dict[str, Any]
_AFTER_RUN = 20.0
"""Seconds after a run's time at which its start should show in the CronJob's status."""


class ScheduleKeeper:
    """Keeps the CronJob of every ReminderSchedule."""

    def __init__(self, cluster: Cluster, events: Events, *, around: SweepSurroundings, clock: Clock) -> None:
        """Take the API server, where decisions are told, and what all sweeps share."""
        self._cluster = cluster
        self._events = events
        self._around = around
        self._clock = clock
        self._settled: dict[Key, tuple[str, int]] = {}
        """By owner: fingerprint of what was applied, and the generation that the API server made of it."""

    async def keep(self, key: Key) -> Outcome:
        """Make one pass. Raises `ClusterRefused` when the API server does not do as asked."""
        owner = await self._cluster.get(REMINDER_SCHEDULES, key.namespace, key.name)
        if owner is None or owner["metadata"].get("deletionTimestamp"):
            self._settled.pop(key, None)
            return Outcome(gone=owner is None)
        try:
            spec = ReminderScheduleSpec.model_validate(owner["spec"])
            schedule = parse(spec.schedule, spec.time_zone)
        except (ValidationError, ScheduleNotUnderstood) as wrong:
            return await self._refuse(owner, "ScheduleNotUnderstood", str(wrong))
        live = await self._cluster.get(CRON_JOBS, key.namespace, cron_job_name(key.name))
        if live is not None and not is_owned(live, owner):
            name = live["metadata"]["name"]
            return await self._refuse(owner, "NameTaken", f"CronJob {name} exists and is not of this object")
        declared = build_cron_job(owner, spec, self._around)
        applied = live is None or self._has_drifted(key, declared, live)
        if applied:
            live = await self._apply(key, owner, declared, live)
        now = self._now()
        status = describe(owner, spec, schedule, live or declared, applied=applied, now=now)
        if status != owner.get("status"):
            await self._cluster.apply_status(REMINDER_SCHEDULES, owner, status)
        return Outcome(again_in=_next_look(spec, schedule, now=now, applied=applied))

    def _has_drifted(self, key: Key, declared: Json, live: Json) -> bool:
        """Whether the live CronJob is not as declared, other than by how the API server spells what we sent."""
        if not differs(declared, live):
            return False
        settled = (declared["metadata"]["annotations"][DECLARED], live["metadata"]["generation"])
        metadata = {"metadata": declared["metadata"]}
        return differs(metadata, live) or self._settled.get(key) != settled

    async def _apply(self, key: Key, owner: Json, declared: Json, live: Json | None) -> Json:
        written = await self._cluster.apply(CRON_JOBS, declared)
        metadata = written["metadata"]
        self._settled[key] = (
            declared["metadata"]["annotations"][DECLARED],
            metadata["generation"],
        )
        spec = declared["spec"]
        facts = f"CronJob {metadata['name']}: {spec['schedule']} {spec['timeZone']}, suspend={spec['suspend']}"
        if live is None:
            await self._events.tell(owner, "CronJobCreated", facts)
        elif live["metadata"]["resourceVersion"] != metadata["resourceVersion"]:
            drifted = (
                live["metadata"].get("annotations", {}).get(DECLARED) == declared["metadata"]["annotations"][DECLARED]
            )
            await self._events.tell(owner, "DriftCorrected" if drifted else "CronJobChanged", facts)
        return written

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now(), UTC)

    async def _refuse(self, owner: Json, reason: str, message: str) -> Outcome:
        status = describe_refusal(owner, reason, message, now=self._now())
        if status != owner.get("status"):
            await self._cluster.apply_status(REMINDER_SCHEDULES, owner, status)
            await self._events.tell(owner, reason, message, warning=True)
        return Outcome()


def _next_look(spec: ReminderScheduleSpec, schedule: Schedule, *, now: datetime, applied: bool) -> float | None:
    """When the status will say something else by itself."""
    if applied:
        return 1.0
    upcoming = None if spec.suspend else schedule.after(now)
    return (upcoming - now).total_seconds() + _AFTER_RUN if upcoming else None
