"""One pass over a ReminderSchedule: its CronJob as declared, its status as found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from taskbell.contract.reminder_schedules import ReminderScheduleSpec
from taskbell.kit.clock import Clock
from taskbell.operator.cluster import CRON_JOBS, REMINDER_SCHEDULES, Cluster, RequestRefused
from taskbell.operator.events import Events
from taskbell.operator.plan.conditions import is_said
from taskbell.operator.plan.cron import Schedule, ScheduleNotUnderstood, parse
from taskbell.operator.plan.difference import differs
from taskbell.operator.plan.reminder_schedule import describe, describe_refusal
from taskbell.operator.queue import Key, Outcome
from taskbell.operator.specs.cron_job import SweepSurroundings, build_cron_job, cron_job_name
from taskbell.operator.specs.identity import DECLARED, is_owned

Json = dict[str, Any]
_AFTER_RUN = 20.0
"""Seconds after a run's time at which its start should show in the CronJob's status."""
_FORGIVEN = 600.0
"""Seconds after which a CronJob that was set right counts as never touched."""
_MOST_DOUBLINGS = 6
"""Of the seconds before a CronJob that somebody changes again and again is set right again: 64 at most."""


@dataclass(slots=True)
class _Memory:
    """What is remembered of a schedule between passes.

    Attributes:
        settled: Fingerprint of what was applied, and the generation that the API server made of it.
        corrections: How often the CronJob was set right lately.
        corrected: When that was last, by the monotonic clock.
    """

    settled: tuple[str, int] | None = None
    corrections: int = 0
    corrected: float = float("-inf")

    def truce(self, now: float) -> float:
        """Seconds to wait: none at first, then longer each time, so that two programs cannot fight without end."""
        if now - self.corrected > _FORGIVEN:
            self.corrections = 0
        pause = 2.0 ** min(self.corrections, _MOST_DOUBLINGS) if self.corrections > 1 else 0.0
        return max(0.0, self.corrected + pause - now)


class ScheduleKeeper:
    """Keeps the CronJob of every ReminderSchedule."""

    def __init__(self, cluster: Cluster, events: Events, *, around: SweepSurroundings, clock: Clock) -> None:
        """Take the API server, where decisions are told, and what all sweeps share."""
        self._cluster = cluster
        self._events = events
        self._around = around
        self._clock = clock
        self._memories: dict[Key, _Memory] = {}

    async def keep(self, key: Key) -> Outcome:
        """Make one pass. Raises `ClusterRefused` when the API server does not do as asked."""
        owner = await self._cluster.get(REMINDER_SCHEDULES, key.namespace, key.name)
        if owner is None or owner["metadata"].get("deletionTimestamp"):
            self._memories.pop(key, None)
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
        memory = self._memories.setdefault(key, _Memory())
        applied = False
        in_truce = _is_same(memory, declared, live) and memory.truce(self._clock.monotonic()) > 0
        if live is None or (_has_drifted(memory, declared, live) and not in_truce):
            try:
                live, applied = await self._apply(memory, owner, declared, live)
            except RequestRefused as refused:
                if not is_said(owner, "CronJobRefused"):  # other words with every try would wake the watch each time
                    await self._refuse(owner, "CronJobRefused", str(refused))
                raise
        if wait := memory.truce(self._clock.monotonic()):
            message = f"CronJob {live['metadata']['name']} is changed by somebody else whenever it was set right"
            await self._refuse(owner, "Contested", message)  # also while it is as declared, or the status would flap
            return Outcome(again_in=wait)
        now = self._now()
        status = describe(owner, spec, schedule, live, applied=applied, now=now)
        if status != owner.get("status"):
            await self._cluster.apply_status(REMINDER_SCHEDULES, owner, status)
        return Outcome(again_in=_next_look(spec, schedule, now=now, applied=applied))

    async def _apply(self, memory: _Memory, owner: Json, declared: Json, live: Json | None) -> tuple[Json, bool]:
        """The CronJob as it is now, and whether it was made or declared anew; after a correction sweeps are owed on."""
        written = await self._cluster.apply(CRON_JOBS, declared)
        metadata, spec = written["metadata"], declared["spec"]
        is_same = _is_same(memory, declared, live)
        memory.settled = (_fingerprint(declared), metadata["generation"])
        if live is not None and live["metadata"]["resourceVersion"] == metadata["resourceVersion"]:
            return written, False
        facts = f"CronJob {metadata['name']}: {spec['schedule']} {spec['timeZone']}, suspend={spec['suspend']}"
        if is_same:
            memory.corrections, memory.corrected = memory.corrections + 1, self._clock.monotonic()
            await self._events.tell(owner, "DriftCorrected", facts)
            return written, False
        memory.corrections = 0
        await self._events.tell(owner, "CronJobChanged" if live else "CronJobCreated", facts)
        return written, True

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now(), UTC)

    async def _refuse(self, owner: Json, reason: str, message: str) -> Outcome:
        status = describe_refusal(owner, reason, message, now=self._now())
        if status != owner.get("status"):
            await self._cluster.apply_status(REMINDER_SCHEDULES, owner, status)
            await self._events.tell(owner, reason, message, warning=True)
        return Outcome()


def _has_drifted(memory: _Memory, declared: Json, live: Json) -> bool:
    """Whether the live CronJob is not as declared, other than by what the API server made of what we sent."""
    if not differs(declared, live):
        return False
    settled = (_fingerprint(declared), live["metadata"]["generation"])
    return differs({"metadata": declared["metadata"]}, live) or memory.settled != settled


def _is_same(memory: _Memory, declared: Json, live: Json | None) -> bool:
    """Whether this very declaration was applied before, so that a difference is somebody else's."""
    applied = {_fingerprint(live), memory.settled[0] if memory.settled else ""} if live else set()
    return _fingerprint(declared) in applied


def _fingerprint(body: Json) -> str:
    return str(body["metadata"].get("annotations", {}).get(DECLARED, ""))


def _next_look(spec: ReminderScheduleSpec, schedule: Schedule, *, now: datetime, applied: bool) -> float | None:
    """When the status will say something else by itself."""
    if applied:
        return 1.0
    upcoming = None if spec.suspend else schedule.after(now)
    return (upcoming - now).total_seconds() + _AFTER_RUN if upcoming else None
