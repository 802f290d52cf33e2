"""The size of a WorkerPool: from readings, bounds and what was decided before. HorizontalPodAutoscaler v2's rules."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from taskbell.contract.crd_schema import seconds
from taskbell.contract.worker_pools import ScalingRules, WorkerPoolSpec
from taskbell.operator.plan.need import Reading, rounded

_LONGEST_MEMORY = 3600.0
"""No window and no policy looks back further."""


@dataclass(frozen=True, slots=True)
class Past:
    """What earlier decisions left: recommendations and changes with their times, and how long all was quiet."""

    recommended: tuple[tuple[float, int], ...] = ()
    changes: tuple[tuple[float, int], ...] = ()
    idle_since: float | None = None
    failures: int = 0

    def changed(self, at: float, by: int) -> Past:
        """With a change of the size that was made."""
        return replace(self, changes=(*self.changes, (at, by)))


@dataclass(frozen=True, slots=True)
class Decision:
    """A size, what the readings asked for, and what came between."""

    size: int
    recommended: int
    limited_by: str = ""
    degraded: bool = False
    """A signal failed too often, or what it looks at does not exist."""


def decide(
    spec: WorkerPoolSpec, past: Past, readings: Sequence[Reading], *, current: int, now: float
) -> tuple[Decision, Past]:
    """The size that a pool shall have now, and what to remember of it.

    An unreadable signal never makes a pool smaller; the readable ones may make it larger. With none readable the size
    is held, or raised to the fallback after enough failures.
    """
    if spec.engine == "Manual":
        size = _clamped(spec, spec.replicas.manual)
        return Decision(size, spec.replicas.manual, "" if size == spec.replicas.manual else "Bounds"), Past()
    known = [reading for reading in readings if reading.error is None]
    failures = past.failures + 1 if len(known) < len(readings) else 0
    failed_often = failures >= spec.on_signal_error.after_failures
    quiet = bool(known) and not failures and not any(reading.needed > 0 for reading in known)
    idle_since = (now if past.idle_since is None else past.idle_since) if quiet else None
    past = replace(past, failures=failures, idle_since=idle_since)
    if not past.recommended:
        past = replace(past, recommended=((now, current),))

    wanted, limit = _recommended(spec, past, known, current=current, now=now) if known else (current, "")
    recommended = wanted
    if failures and wanted <= current:
        wanted, limit = current, "SignalError"
        if failed_often and spec.on_signal_error.mode == "Fallback":
            wanted = max(current, spec.on_signal_error.replicas or 0)
    remembered = (*past.recommended, (now, wanted))
    stabilized = _stabilized(spec, remembered, wanted, current=current, now=now)
    limit = limit if stabilized == wanted else "Stabilization"
    allowed = _within_policies(spec, past, stabilized, current=current, now=now)
    limit = limit if allowed == stabilized else "Policy"
    size = _clamped(spec, allowed)
    limit = limit if size == allowed else "Bounds"
    if not limit and any(reading.saturated for reading in known):
        limit = "MaxAckPending"
    past = replace(
        past,
        recommended=tuple(entry for entry in remembered if entry[0] > now - _LONGEST_MEMORY),
        changes=tuple(entry for entry in past.changes if entry[0] > now - _LONGEST_MEMORY),
    )
    degraded = failed_often or any(reading.missing for reading in readings)
    return Decision(size, recommended, limit, degraded), past


def _recommended(
    spec: WorkerPoolSpec, past: Past, known: Sequence[Reading], *, current: int, now: float
) -> tuple[int, str]:
    """What the readable signals ask for, after tolerance and the rules of zero."""
    needed = max(reading.needed for reading in known)
    wanted = rounded(needed)
    if current == 0:
        return (wanted, "") if any(reading.wakes for reading in known) else (0, "Idle" if wanted else "")
    if wanted == 0 and spec.replicas.min == 0:
        rested = past.idle_since is not None and now - past.idle_since >= seconds(spec.idle.cooldown)
        return (0, "") if rested else (1, "Cooldown")
    up, down = spec.behavior.scale_up.tolerance_percent, spec.behavior.scale_down.tolerance_percent
    if current * (1 - down / 100) <= needed <= current * (1 + up / 100):
        return current, "" if wanted == current else "Tolerance"
    return wanted, ""


def _stabilized(
    spec: WorkerPoolSpec, remembered: Sequence[tuple[float, int]], wanted: int, *, current: int, now: float
) -> int:
    """The mildest recommendation of each direction's window."""

    def window(rules: ScalingRules) -> list[int]:
        return [wanted] + [size for at, size in remembered if at > now - rules.stabilization_window_seconds]

    least_up, most_down = min(window(spec.behavior.scale_up)), max(window(spec.behavior.scale_down))
    return min(max(current, least_up), most_down)


def _within_policies(spec: WorkerPoolSpec, past: Past, wanted: int, *, current: int, now: float) -> int:
    """The wanted size, or as near to it as the speed limits let it come.

    A limit counts from where the size was when its period began, so that what was taken back in it does not count.
    """
    sign = 1 if wanted > current else -1
    rules: ScalingRules = spec.behavior.scale_up if sign > 0 else spec.behavior.scale_down
    rooms = []
    for policy in rules.policies:
        moved = sum(by for at, by in past.changes if at > now - policy.period_seconds)
        step = float(policy.value) if policy.type == "Pods" else (current - moved) * policy.value / 100
        rooms.append(max(0, max(1, math.ceil(step - 1e-9)) - sign * moved))
    return current + sign * min([abs(wanted - current), *_room(rules, rooms)])


def _room(rules: ScalingRules, rooms: list[int]) -> list[int]:
    """By how much a size may change now; empty if nothing limits it."""
    if rules.select_policy == "Disabled":
        return [0]
    if not rooms:
        return []
    return [min(rooms) if rules.select_policy == "Min" else max(rooms)]


def _clamped(spec: WorkerPoolSpec, size: int) -> int:
    return min(max(size, spec.replicas.min), spec.replicas.max)
