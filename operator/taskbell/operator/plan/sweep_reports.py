"""What the sweeps of a ReminderSchedule reported at their ends, from the status of their pods."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from taskbell.operator.plan.conditions import parse_instant
from taskbell.operator.plan.cron import Schedule
from taskbell.operator.specs.cron_job import SWEEPER

Json = dict[str, Any]
_INDEX = "batch.kubernetes.io/job-completion-index"
_LATE = timedelta(minutes=2)
"""Time that a sweep may need to start and to end."""
_LONGEST_AGE = 10 * 365 * 86_400
"""Seconds; a larger number is no report of a sweep."""


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What the newest sweep of one shard, or of all shards, left.

    Attributes:
        at: When the sweep ended; of several shards, the earliest end.
        oldest_due: How long the oldest due reminder had waited then, in seconds; 0 if none was left.
    """

    at: datetime
    oldest_due: float

    def counts(self, schedule: Schedule, now: datetime) -> bool:
        """Whether it still tells something: not when two runs later nothing newer was reported."""
        following = schedule.after(self.at)
        second = schedule.after(following) if following else None
        return second is None or now <= second + _LATE


def newest_report(pods: Iterable[Json], cron_job: Json) -> SweepReport | None:
    """The newest reports of all shards together; None if a shard has none.

    Only pods with the arguments of the declared CronJob count: others swept other leads or shards.
    """
    job = cron_job["spec"]["jobTemplate"]["spec"]
    (container,) = job["template"]["spec"]["containers"]
    newest: dict[int, SweepReport] = {}
    for pod in pods:
        found = _report(pod, container["args"])
        if found is not None and (found[0] not in newest or newest[found[0]].at < found[1].at):
            newest[found[0]] = found[1]
    shards = [newest.get(shard) for shard in range(job.get("completions", 1))]
    known = [report for report in shards if report is not None]
    if len(known) < len(shards):
        return None
    return SweepReport(min(report.at for report in known), max(report.oldest_due for report in known))


def _report(pod: Json, arguments: list[str]) -> tuple[int, SweepReport] | None:
    """The shard and the report of a pod that has ended; None if it left none that can be read."""
    if not any(c["name"] == SWEEPER and c.get("args") == arguments for c in pod["spec"]["containers"]):
        return None
    for state in pod.get("status", {}).get("containerStatuses", []):
        ended = state.get("state", {}).get("terminated")
        if state["name"] != SWEEPER or not ended or ended.get("exitCode") != 0 or not ended.get("finishedAt"):
            continue
        try:
            oldest = float(orjson.loads(ended.get("message", ""))["oldest_due"])
            shard = int(pod["metadata"].get("annotations", {}).get(_INDEX, "0"))
        except (ValueError, TypeError, KeyError):
            return None
        at = parse_instant(ended["finishedAt"])
        return (shard, SweepReport(at, oldest)) if at and _is_age(oldest) else None
    return None


def _is_age(seconds: float) -> bool:
    return math.isfinite(seconds) and 0 <= seconds <= _LONGEST_AGE
