"""The status of a WorkerPool after a decision, and the decision in words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from taskbell.contract.worker_pools import Drain
from taskbell.operator.plan.conditions import condition, conditions, instant
from taskbell.operator.plan.draining import Ending, in_words
from taskbell.operator.plan.need import Reading
from taskbell.operator.plan.scaling import Decision

Json = dict[str, Any]
_LONGEST_ERROR = 512
_MOST_ENDINGS = 100


def describe(
    owner: Json,
    scale: Json,
    decision: Decision,
    readings: Sequence[Reading],
    *,
    scaled: bool,
    now: datetime,
    drain: Drain | None = None,
    endings: Sequence[Ending] = (),
) -> Json:
    """The status after a decision.

    `scaled` tells that it changed the size; `endings` are the pods that end, in a pool that drains.
    """
    current = int(scale["status"].get("replicas", 0))
    errors = "; ".join(f"{reading.name}: {reading.error}" for reading in readings if reading.error)
    ready = condition("Ready", "SizeKept", f"the size is kept at {decision.size}", holds=True)
    progressing = condition("Progressing", "Settled", f"pods: {current}", holds=False)
    degraded = condition("Degraded", "Healthy", "all signals can be read", holds=False)
    if current != decision.size:
        progressing = condition("Progressing", "PodsChange", f"pods: {current}, wanted: {decision.size}", holds=True)
    if drain is not None and endings:
        progressing = condition("Progressing", "PodsEnd", in_words(drain, endings), holds=True)
    if errors:
        message = f"the size is held at {decision.size}: {errors}"
        ready = condition("Ready", "SizeHeld", message, holds=not decision.degraded)
        reason = "SignalMissing" if any(reading.missing for reading in readings) else "SignalUnreadable"
        degraded = condition("Degraded", reason, errors, holds=decision.degraded)
    elif decision.limited_by == "MaxAckPending":
        message = "max_ack_pending is reached: more pods do not help; raise it or make the work faster"
        degraded = condition("Degraded", "MaxAckPending", message, holds=False)
    status = {
        **conditions(owner, (ready, progressing, degraded), now=now),
        "replicas": current,
        "selector": scale["status"].get("selector", ""),
        "desiredReplicas": decision.size,
        "recommended": decision.recommended,
        "limitedBy": decision.limited_by,
        "signals": [describe_signal(reading) for reading in readings],
        "draining": [_draining(ending) for ending in endings[:_MOST_ENDINGS]],
    }
    last = instant(now) if scaled else owner.get("status", {}).get("lastScaleTime")
    return status | ({"lastScaleTime": last} if last else {})


def explain(decision: Decision, readings: Sequence[Reading], *, before: int) -> str:
    """A decision in one sentence with its numbers."""
    reasons = ", ".join(
        f"{reading.name} = {reading.value}{_old(reading)} asks for {reading.pods}"
        if reading.error is None
        else f"{reading.name} cannot be read"
        for reading in readings
    )
    limit = f"; limited by {decision.limited_by}" if decision.limited_by else ""
    return f"from {before} to {decision.size} pods: {reasons or 'set by hand'}{limit}"


def describe_signal(reading: Reading) -> Json:
    """A reading as a part of the status."""
    if reading.error is not None:
        return {"name": reading.name, "error": reading.error[:_LONGEST_ERROR]}
    oldest = {} if reading.oldest is None else {"oldestMessageSeconds": int(reading.oldest)}
    return {"name": reading.name, "value": reading.value, "desired": reading.pods} | oldest


def _old(reading: Reading) -> str:
    return "" if reading.oldest is None else f" (the oldest {reading.oldest:.0f} s)"


def _draining(ending: Ending) -> Json:
    known = {} if ending.connections is None else {"connections": ending.connections}
    return {"name": ending.pod, "since": ending.since} | known
