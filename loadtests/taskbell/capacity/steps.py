"""Judges steps: which limits broke, how many users the next step has."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from taskbell.capacity.plan import Limits, Plan

BUSY = 0.85
"""A single-threaded generator that is busy for this share of the time adds delays."""
DISTURBANCE = 0.15
"""Other programs that use this share of all cores affect the result."""
LIMITED_SHARE = 0.01
"""When this share of requests is put off with 429, limits bound the result, and not the machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Durations of one kind of request in one step; None without a measurement."""

    count: int
    rps: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    errors: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Processor:
    """Processor time in one step, in cores: 1.0 is one core all the time."""

    cores: int
    platform: float
    generator: float
    listeners: float
    others: float
    by_part: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One measured step, between `started` and `ended` (Unix seconds).

    `generator_lag_ms` is the p99 delay of the generator itself, which its measurements include. `limited` counts the
    requests that the installation put off with 429. `lateness` is how long after its due time a reminder came.
    """

    number: int
    users: int
    listeners: int
    started: float
    ended: float
    kinds: Mapping[str, Figures]
    event_latency: Figures
    generator_lag_ms: float
    broken: Sequence[str] = ()
    processor: Processor | None = None
    limited: int = 0
    lateness: Figures | None = None

    @property
    def requests(self) -> int:
        """Answered and failed requests of all kinds."""
        return sum(figures.count for figures in self.kinds.values())

    @property
    def errors(self) -> int:
        """Failed requests of all kinds."""
        return sum(figures.errors for figures in self.kinds.values())

    @property
    def error_share(self) -> float:
        """Failed requests among all."""
        return self.errors / self.requests if self.requests else 0.0

    @property
    def rps(self) -> float:
        """Requests a second of all kinds."""
        return self.requests / max(self.ended - self.started, 1e-9)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Step:
        """Read a step as `dataclasses.asdict` wrote it."""
        kinds = {name: Figures(**figures) for name, figures in values["kinds"].items()}
        processor = None if values["processor"] is None else Processor(**values["processor"])
        event_latency = Figures(**values["event_latency"])
        lateness = None if values.get("lateness") is None else Figures(**values["lateness"])
        own = {"kinds": kinds, "event_latency": event_latency, "processor": processor, "lateness": lateness}
        return cls(**{**values, **own})


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """Return the nearest-rank percentile `share` (0 to 1) of ordered values; None without values."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def summarize(milliseconds: Sequence[float], *, seconds: float, errors: int = 0) -> Figures:
    """Sum up the durations of `seconds` of load, failed requests included."""
    ordered = sorted(milliseconds)
    p50, p95, p99 = (percentile(ordered, share) for share in (0.5, 0.95, 0.99))
    return Figures(
        count=len(ordered), rps=len(ordered) / max(seconds, 1e-9), p50_ms=p50, p95_ms=p95, p99_ms=p99, errors=errors
    )


def broken_limits(step: Step, limits: Limits) -> list[str]:
    """Return one sentence for each limit that a step exceeded."""
    if not step.requests:
        return ["no request was answered"]
    found = [
        f"{kind}: p99 {figures.p99_ms:,.0f} ms, the limit is {limits.p99_ms[kind]:,.0f} ms"
        for kind, figures in step.kinds.items()
        if figures.p99_ms is not None and figures.p99_ms > limits.p99_ms[kind]
    ]
    if step.error_share > limits.error_share:
        found.append(
            f"errors: {step.errors:,} of {step.requests:,} requests ({step.error_share:.2%}),"
            f" the limit is {limits.error_share:.2%}"
        )
    late = step.event_latency.p99_ms
    if late is not None and late > limits.event_p99_ms:
        found.append(f"events: p99 {late:,.0f} ms to the frame, the limit is {limits.event_p99_ms:,.0f} ms")
    created = step.kinds.get("create")
    if late is None and created is not None and created.count > created.errors:
        found.append("events: tasks were created and no frame came")
    return found


def next_users(plan: Plan, steps: Sequence[Step], *, seconds_left: float) -> int | None:
    """Decide how many users the next step has; None ends the load.

    Users grow until a step breaks. Then steps between what held and what broke narrow the result, until the two differ
    by the plan's precision at most. A broken step is repeated once with the same users: one bad moment of the machine
    does not count.
    """
    if seconds_left < plan.step_seconds:
        return None
    if not steps:
        return min(plan.first_users, plan.most_users)
    if steps[-1].broken and not _is_second_attempt(steps):
        return steps[-1].users
    held, broke = held_users(steps), breaking_step(steps)
    if broke is None:
        grown = max(math.ceil(held * plan.growth), held + 1)
        return min(grown, plan.most_users) if held < plan.most_users else None
    is_narrow = not held or broke.users <= max(held * plan.precision, held + 1)
    return None if is_narrow else min(max(round(math.sqrt(held * broke.users)), held + 1), broke.users - 1)


def _is_second_attempt(steps: Sequence[Step]) -> bool:
    return len(steps) > 1 and steps[-2].users == steps[-1].users


def breaking_step(steps: Sequence[Step]) -> Step | None:
    """Return the step with the fewest users that broke twice, else a last one that broke once; None if none broke."""
    twice = [
        later for former, later in pairwise(steps) if former.broken and later.broken and former.users == later.users
    ]
    once = [steps[-1]] if steps and steps[-1].broken else []
    return min(twice or once, key=lambda step: step.users, default=None)


def held_users(steps: Sequence[Step]) -> int:
    """Return the most users of a step that held; 0 if none did."""
    return max((step.users for step in steps if not step.broken), default=0)


def is_saturated(step: Step, limits: Limits) -> bool:
    """Tell whether the load generator was the limit: always busy, or late by half of the strictest limit."""
    strictest = min(*limits.p99_ms.values(), limits.event_p99_ms)
    if step.generator_lag_ms > strictest / 2:
        return True
    processor = step.processor
    return processor is not None and max(processor.generator, processor.listeners) >= BUSY


def is_disturbed(step: Step) -> bool:
    """Tell whether other programs used enough of the machine to affect the step."""
    processor = step.processor
    return processor is not None and processor.others >= DISTURBANCE * processor.cores


def is_limited(steps: Sequence[Step]) -> bool:
    """Tell whether an installation's limits by user put off enough requests to bound the result."""
    limited = sum(step.limited for step in steps)
    return limited > LIMITED_SHARE * (limited + sum(step.requests for step in steps))
