"""What the status of a WorkerPool says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from taskbell.operator.plan.conditions import Verdict, conditions, instant
from taskbell.operator.plan.need import Reading, rounded
from taskbell.operator.plan.scaling import Decision

Json = dict[str, Any]
_LONGEST_ERROR = 512


def describe(
    owner: Json, scale: Json, decision: Decision, readings: Sequence[Reading], *, scaled: bool, now: datetime
) -> Json:
    """The status after a decision; `scaled` tells that it changed the size."""
    current = int(scale["status"].get("replicas", 0))
    errors = "; ".join(f"{reading.name}: {reading.error}" for reading in readings if reading.error)
    ready = Verdict("Ready", "SizeKept", f"the size is kept at {decision.size}", holds=True)
    if errors:
        ready = Verdict(
            "Ready", "SizeHeld", f"the size is held at {decision.size}: {errors}", holds=not decision.degraded
        )
    progressing = Verdict("Progressing", "Settled", f"pods: {current}", holds=False)
    if current != decision.size:
        progressing = Verdict("Progressing", "PodsChange", f"pods: {current}, wanted: {decision.size}", holds=True)
    degraded = Verdict("Degraded", "Healthy", "every signal is read", holds=False)
    if errors:
        reason = "SignalMissing" if any(reading.missing for reading in readings) else "SignalUnreadable"
        degraded = Verdict("Degraded", reason, errors, holds=decision.degraded)
    elif decision.limited_by == "MaxAckPending":
        text = "max_ack_pending is used up: more pods will not help, raise it or make the work quicker"
        degraded = Verdict("Degraded", "MaxAckPending", text, holds=False)
    before = owner.get("status", {})
    status = {
        **_common(owner, (ready, progressing, degraded), now=now),
        "replicas": current,
        "selector": scale["status"].get("selector", ""),
        "desiredReplicas": decision.size,
        "recommended": decision.recommended,
        "limitedBy": decision.limited_by,
        "signals": [_signal(reading) for reading in readings],
    }
    last = instant(now) if scaled else before.get("lastScaleTime")
    return status | ({"lastScaleTime": last} if last else {})


def describe_refusal(owner: Json, reason: str, message: str, *, now: datetime) -> Json:
    """The status of a pool whose size is not kept; the numbers stay as they were last."""
    verdicts = (
        Verdict("Ready", reason, message, holds=False),
        Verdict("Progressing", reason, message, holds=False),
        Verdict("Degraded", reason, message, holds=True),
    )
    return {**owner.get("status", {}), **_common(owner, verdicts, now=now)}


def explain(decision: Decision, readings: Sequence[Reading], *, before: int) -> str:
    """A decision in one sentence with its numbers."""
    said = ", ".join(
        f"{reading.name} = {reading.value} asks for {rounded(reading.needed)}"
        if reading.error is None
        else f"{reading.name} cannot be read"
        for reading in readings
    )
    limit = f"; limited by {decision.limited_by}" if decision.limited_by else ""
    return f"from {before} to {decision.size} pods: {said or 'set by hand'}{limit}"


def _common(owner: Json, verdicts: Sequence[Verdict], *, now: datetime) -> Json:
    generation = owner["metadata"]["generation"]
    before = owner.get("status", {}).get("conditions", [])
    return {
        "observedGeneration": generation,
        "conditions": conditions(verdicts, before=before, generation=generation, now=now),
    }


def _signal(reading: Reading) -> Json:
    if reading.error is not None:
        return {"name": reading.name, "error": reading.error[:_LONGEST_ERROR]}
    return {"name": reading.name, "value": reading.value, "desired": rounded(reading.needed)}
