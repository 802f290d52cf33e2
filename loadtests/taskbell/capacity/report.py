"""The verdict, and the report as a document: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from taskbell.capacity.conservation import Conservation
from taskbell.capacity.outside import LEFT_OUT
from taskbell.capacity.plan import KINDS, SCENARIOS, Plan
from taskbell.capacity.steps import Step, breaking_step, held_users, is_disturbed, is_limited, is_saturated

PASSED, NOT_CONSERVED, BELOW_MINIMUM = "passed", "not_conserved", "below_minimum"
INTERRUPTED, FAILED = "interrupted", "failed"
"""Verdicts of an unfinished run."""
_TOLD = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where and when the figures were measured."""

    at: str
    machine: str
    python: str
    seconds: float
    listeners: int = 0
    reconnects: int = 0
    gaps: int = 0


def verdict(plan: Plan, steps: Sequence[Step], conservation: Conservation | None, *, ended_by: str = "") -> str:
    """Judge a run. A loss weighs more than anything else, also in an unfinished run."""
    if conservation is not None and not conservation.holds:
        return NOT_CONSERVED
    if ended_by or conservation is None:
        return INTERRUPTED if ended_by == INTERRUPTED else FAILED
    return PASSED if held_users(steps) >= plan.minimum_users else BELOW_MINIMUM


def exit_status(judged: str) -> int:
    """Return 0 for a passed run, 1 for a loss, 2 for an unfinished one, 3 for one that held too few users."""
    return {PASSED: 0, INTERRUPTED: 2, FAILED: 2, BELOW_MINIMUM: 3}.get(judged, 1)


def document(
    plan: Plan,
    steps: Sequence[Step],
    conservation: Conservation | None,
    surroundings: Surroundings,
    *,
    ended_by: str = "",
    failures: Sequence[Mapping[str, Any]],
    target: str | None = None,
) -> dict[str, Any]:
    """Everything about a run, as plain values for `report.json`.

    `conservation` is None if nothing could be counted; `ended_by` tells why the run is unfinished; `failures` counts
    failed requests by kind and status; `target` is the API of an installation that was measured from outside.
    """
    broke = breaking_step(steps)
    decisive = broke or (steps[-1] if steps else None)
    return {
        "verdict": verdict(plan, steps, conservation, ended_by=ended_by),
        "summary": summary(plan, steps, conservation, ended_by=ended_by),
        "ended_by": ended_by or None,
        "held_users": held_users(steps),
        "breaking_step": None if broke is None else broke.number,
        "saturated": decisive is not None and is_saturated(decisive, plan.limits),
        "disturbed": decisive is not None and is_disturbed(decisive),
        "conservation": None if conservation is None else asdict(conservation),
        "limited": is_limited(steps),
        "target": target,
        "left_out": [] if target is None else [*LEFT_OUT],
        "failures": [dict(failure) for failure in failures],
        "steps": [_step(plan, step) for step in steps],
        "plan": plan.as_json(),
        "scenario": {"name": plan.scenario, "meaning": SCENARIOS[plan.scenario].meaning},
        "mix": {name: share for name, share in plan.mix.items() if share},
        "kinds": KINDS,
        "surroundings": asdict(surroundings),
    }


def _step(plan: Plan, step: Step) -> dict[str, Any]:
    added = {
        "requests": step.requests,
        "rps": step.rps,
        "errors": step.errors,
        "error_share": step.error_share,
        "saturated": is_saturated(step, plan.limits),
    }
    return asdict(step) | added


def summary(plan: Plan, steps: Sequence[Step], conservation: Conservation | None, *, ended_by: str = "") -> str:
    """The run in a few sentences."""
    held = max((step for step in steps if not step.broken), key=lambda step: step.users, default=None)
    said = [
        "No step held its limits."
        if held is None
        else f"Held {held.users:,} users ({held.rps:,.0f} requests/s, {held.listeners:,} listeners)."
    ]
    said += _end(plan, steps, ended_by=ended_by)
    judged = verdict(plan, steps, conservation, ended_by=ended_by)
    if judged == BELOW_MINIMUM:
        said.append(f"The run asked for at least {plan.minimum_users:,}.")
    if is_limited(steps):
        said.append(
            f"{sum(step.limited for step in steps):,} requests were put off with 429: the installation's limits by user"
            " bound this result, and not its machine."
        )
    if conservation is None:
        said.append("Nothing could be counted.")
    elif conservation.holds:
        where = "every place" if conservation.frames is not None else "every place but the listeners, which died"
        said.append(f"All {conservation.created:,} created tasks were found once at {where}.")
    else:
        said.append(
            f"Of {conservation.created:,} created tasks, {conservation.lost:,} traces were lost"
            f" and {conservation.double:,} came double."
        )
    return " ".join(said)


def _end(plan: Plan, steps: Sequence[Step], *, ended_by: str) -> list[str]:
    """Tell what ended the load."""
    broke = breaking_step(steps)
    if ended_by:
        return ["Interrupted before its end." if ended_by == INTERRUPTED else f"Did not come to its end: {ended_by}."]
    if broke is None:
        if held_users(steps) >= plan.most_users:
            return ["No limit broke up to the most users that were allowed."]
        return ["The time was over before a limit broke for sure."]
    said = [f"Broke at {broke.users:,} users in step {broke.number}: {_first(broke.broken)}."]
    if is_saturated(broke, plan.limits):
        said.append("The load generator was at its own limit then: the platform may carry more.")
    elif is_disturbed(broke) and broke.processor is not None:
        used, cores = broke.processor.others, broke.processor.cores
        said.append(f"Other programs used {used:.1f} of the {cores} cores then: alone it may carry more.")
    return said


def _first(broken: Sequence[str]) -> str:
    """The first broken limits; the page has all of them."""
    more = [f"and {len(broken) - _TOLD} more"] if len(broken) > _TOLD else []
    return "; ".join([*broken[:_TOLD], *more])


def progress_line(values: Mapping[str, Any] | Step) -> str:
    """One line about a finished step, for the terminal."""
    step = values if isinstance(values, Step) else Step.from_json(values)
    slowest = max(
        ((kind, figures.p99_ms) for kind, figures in step.kinds.items() if figures.p99_ms is not None),
        key=lambda pair: pair[1],
        default=("nothing answered", 0.0),
    )
    event = step.event_latency.p99_ms
    return (
        f"step {step.number:>2}: {step.users:>5,} users {step.rps:>7,.0f} requests/s, slowest p99 {slowest[1]:,.0f} ms"
        f" ({slowest[0]}), events p99 {'-' if event is None else f'{event:,.0f} ms'}, {step.errors:,} errors"
        f"{': ' + _first(step.broken) if step.broken else ''}"
    )
