"""The verdict, and the report as a document: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from capacity.conservation import Conservation
from capacity.plan import KINDS, MIX, Plan
from capacity.steps import Step, breaking_step, held_users, is_disturbed, is_saturated

PASSED, NOT_CONSERVED, BELOW_MINIMUM = "passed", "not_conserved", "below_minimum"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the figures belong to."""

    at: str
    machine: str
    python: str
    seconds: float
    listeners: int
    reconnects: int
    gaps: int


def verdict(plan: Plan, steps: Sequence[Step], conservation: Conservation) -> str:
    """Judge a run: `passed`, `not_conserved` or `below_minimum`."""
    if not conservation.holds:
        return NOT_CONSERVED
    return PASSED if held_users(steps) >= plan.minimum_users else BELOW_MINIMUM


def exit_status(judged: str) -> int:
    """0 for a passed run, 1 for any other."""
    return 0 if judged == PASSED else 1


def document(
    plan: Plan,
    steps: Sequence[Step],
    conservation: Conservation,
    surroundings: Surroundings,
    *,
    failures: Mapping[str, int],
) -> dict[str, Any]:
    """Everything about a run, as plain values for `report.json`. `failures` counts failed requests by reason."""
    broke = breaking_step(steps)
    judged = verdict(plan, steps, conservation)
    return {
        "verdict": judged,
        "summary": summary(plan, steps, conservation),
        "held_users": held_users(steps),
        "breaking_step": None if broke is None else broke.number,
        "saturated": bool(steps) and is_saturated(steps[-1], plan.limits),
        "disturbed": bool(steps) and is_disturbed(steps[-1]),
        "conservation": asdict(conservation),
        "failures": dict(failures),
        "steps": [_step(plan, step) for step in steps],
        "plan": plan.as_json(),
        "mix": MIX,
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


def summary(plan: Plan, steps: Sequence[Step], conservation: Conservation) -> str:
    """The run in a few sentences."""
    held = max((step for step in steps if not step.broken), key=lambda step: step.users, default=None)
    broke = breaking_step(steps)
    said = [
        "No step held its limits."
        if held is None
        else f"Held {held.users:,} users ({held.rps:,.0f} requests/s, {held.listeners:,} listeners)."
    ]
    if broke is not None:
        said.append(f"Broke at {broke.users:,} users in step {broke.number}: {'; '.join(broke.broken)}.")
        if is_saturated(broke, plan.limits):
            said.append("The load generator was at its own limit then: the platform may carry more.")
        elif is_disturbed(broke) and broke.processor is not None:
            used, cores = broke.processor.others, broke.processor.cores
            said.append(f"Other programs used {used:.1f} of the {cores} cores then: alone it may carry more.")
    elif held is not None and held.users >= plan.most_users:
        said.append("No limit broke up to the most users that were allowed.")
    else:
        said.append("The time was over before a limit broke for sure.")
    if verdict(plan, steps, conservation) == BELOW_MINIMUM:
        said.append(f"The run asked for at least {plan.minimum_users:,}.")
    said.append(
        f"All {conservation.created:,} created tasks were found once at every place."
        if conservation.holds
        else f"Of {conservation.created:,} created tasks, {conservation.lost:,} traces were lost"
        f" and {conservation.double:,} came double."
    )
    return " ".join(said)


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
        f"{': ' + '; '.join(step.broken) if step.broken else ''}"
    )
