"""The size of a WorkerPool: from readings, bounds and earlier decisions, by the rules of HorizontalPodAutoscaler v2."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from taskbell.contract.crd_schema import seconds
from taskbell.contract.worker_pools import ScalingRules, WorkerPoolSpec
from taskbell.operator.plan.draining import Ending, in_steps
from taskbell.operator.plan.need import Pace, Reading

_REMEMBERED = 3600.0
"""Seconds for which recommendations and changes are kept: the longest window and period of a behavior."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """All that a pass over a pool leaves for the next one. It is lost with the process, as an autoscaler's is.

    Times are seconds of the monotonic clock.

    Attributes:
        uid: The pool's: another pool of the same name starts without a memory.
        generation: The generation of the spec that `paces` belong to.
        decided_at: When the last pass that succeeded began.
        paces: What the signals continue from, by name.
        recommended: Recommended sizes with their times.
        changes: Changes of the size with their times.
        idle_since: Since when no signal has asked for a pod; None if one does.
        failures: How many readings in a row had a signal that could not be read.
    """

    uid: str = ""
    generation: int = 0
    decided_at: float = -math.inf
    paces: Mapping[str, Pace] = field(default_factory=dict)
    recommended: tuple[tuple[float, int], ...] = ()
    changes: tuple[tuple[float, int], ...] = ()
    idle_since: float | None = None
    failures: int = 0

    def changed(self, at: float, by: int) -> Memory:
        """The memory after a change of the size."""
        return replace(self, changes=(*self.changes, (at, by)))


@dataclass(frozen=True, slots=True)
class Decision:
    """A size and its reasons.

    Attributes:
        recommended: The size that the readings ask for.
        limited_by: What kept the size from the recommendation, if anything.
        degraded: A signal failed too often, or its source does not exist.
    """

    size: int
    recommended: int
    limited_by: str = ""
    degraded: bool = False


def decide(
    spec: WorkerPoolSpec,
    memory: Memory,
    readings: Sequence[Reading],
    *,
    current: int,
    now: float,
    endings: Sequence[Ending] = (),
    leaving: int = 0,
) -> tuple[Decision, Memory]:
    """The size that a pool gets now, and the memory for the next decision.

    A signal that cannot be read never makes a pool smaller; the others may make it larger. If no signal can be read,
    the size is held, or raised to the fallback after enough failures. The pods that end (`endings`) hold up a pool that
    shrinks in steps. So do those of the `leaving` pods above the present size that the pool itself gave up lately; the
    others are those of a rollout, which may last for any time.
    """
    given_up = -sum(by for at, by in memory.changes if by < 0 and at > now - seconds(spec.drain.timeout))
    decision, memory = _decide(spec, memory, readings, current=current, now=now)
    leaving = min(leaving, given_up)
    size = in_steps(spec.drain, endings, leaving=leaving, wanted=decision.size, current=current)
    return decision if size == decision.size else replace(decision, size=size, limited_by="Draining"), memory


def _decide(
    spec: WorkerPoolSpec, memory: Memory, readings: Sequence[Reading], *, current: int, now: float
) -> tuple[Decision, Memory]:
    """The decision and the memory, without regard to pods that end."""
    if spec.engine == "Manual":
        size = _clamped(spec, spec.replicas.manual)
        limit = "" if size == spec.replicas.manual else "Bounds"
        return Decision(size, spec.replicas.manual, limit), Memory(uid=memory.uid, generation=memory.generation)
    known = [reading for reading in readings if reading.error is None]
    failures = memory.failures + 1 if len(known) < len(readings) else 0
    failed_often = failures >= spec.on_signal_error.after_failures
    idle = bool(known) and not failures and not any(reading.needed > 0 for reading in known)
    idle_since = (now if memory.idle_since is None else memory.idle_since) if idle else None

    wanted, limit = _recommended(spec, known, idle_since, current=current, now=now) if known else (current, "")
    recommended = wanted
    if failures and wanted <= current:
        wanted, limit = current, "SignalError"
        if failed_often and spec.on_signal_error.mode == "Fallback":
            wanted = max(current, spec.on_signal_error.replicas or 0)
    remembered = (*(memory.recommended or ((now, current),)), (now, wanted))
    stabilized = _stabilized(spec, remembered, wanted, current=current, now=now)
    limit = limit if stabilized == wanted else "Stabilization"
    allowed = _within_policies(spec, memory.changes, stabilized, current=current, now=now)
    limit = limit if allowed == stabilized else "Policy"
    size = _clamped(spec, allowed)
    limit = limit if size == allowed else "Bounds"
    if not limit and any(reading.saturated for reading in known):
        limit = "MaxAckPending"
    degraded = failed_often or any(reading.missing for reading in readings)
    return Decision(size, recommended, limit, degraded), replace(
        memory,
        paces={reading.name: reading.pace for reading in readings if reading.pace is not None},
        recommended=tuple(entry for entry in remembered if entry[0] > now - _REMEMBERED),
        changes=tuple(entry for entry in memory.changes if entry[0] > now - _REMEMBERED),
        idle_since=idle_since,
        failures=failures,
    )


def _recommended(
    spec: WorkerPoolSpec, known: Sequence[Reading], idle_since: float | None, *, current: int, now: float
) -> tuple[int, str]:
    """The size by the readable signals, after tolerance and the rules for an idle pool, and what limits it."""
    needed, wanted = max(reading.needed for reading in known), max(reading.pods for reading in known)
    if current == 0:
        return (wanted, "") if any(reading.wakes for reading in known) else (0, "Idle" if wanted else "")
    if wanted == 0 and spec.replicas.min == 0:
        cooled_down = idle_since is not None and now - idle_since >= seconds(spec.idle.cooldown)
        return (0, "") if cooled_down else (1, "Cooldown")
    up, down = spec.behavior.scale_up.tolerance_percent, spec.behavior.scale_down.tolerance_percent
    if current * (1 - down / 100) <= needed <= current * (1 + up / 100):
        return current, "" if wanted == current else "Tolerance"
    return wanted, ""


def _stabilized(
    spec: WorkerPoolSpec, remembered: Sequence[tuple[float, int]], wanted: int, *, current: int, now: float
) -> int:
    """The size that changes least among the recommendations of each direction's window."""

    def window(rules: ScalingRules) -> list[int]:
        return [wanted] + [size for at, size in remembered if at > now - rules.stabilization_window_seconds]

    least_up, most_down = min(window(spec.behavior.scale_up)), max(window(spec.behavior.scale_down))
    return min(max(current, least_up), most_down)


def _within_policies(
    spec: WorkerPoolSpec, changes: Sequence[tuple[float, int]], wanted: int, *, current: int, now: float
) -> int:
    """The wanted size, or the nearest size that the policies allow.

    A policy counts from the size at the start of its period, so that a change that was reversed does not count.
    """
    sign = 1 if wanted > current else -1
    rules: ScalingRules = spec.behavior.scale_up if sign > 0 else spec.behavior.scale_down
    rooms = []
    for policy in rules.policies:
        moved = sum(by for at, by in changes if at > now - policy.period_seconds)
        step = float(policy.value) if policy.type == "Pods" else (current - moved) * policy.value / 100
        rooms.append(max(0, max(1, math.ceil(step - 1e-9)) - sign * moved))
    return current + sign * min([abs(wanted - current), *_room(rules, rooms)])


def _room(rules: ScalingRules, rooms: list[int]) -> list[int]:
    """How much the size may change now; empty if nothing limits it."""
    if rules.select_policy == "Disabled":
        return [0]
    if not rooms:
        return []
    return [min(rooms) if rules.select_policy == "Min" else max(rooms)]


def _clamped(spec: WorkerPoolSpec, size: int) -> int:
    return min(max(size, spec.replicas.min), spec.replicas.max)
