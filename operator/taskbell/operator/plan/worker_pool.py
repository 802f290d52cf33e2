"""The status of a WorkerPool after a decision, and the decision in words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from taskbell.contract.worker_pools import Drain
from taskbell.operator.plan.conditions import condition, conditions, find, instant, parse_instant
from taskbell.operator.plan.draining import Ending, in_words
from taskbell.operator.plan.need import Reading
from taskbell.operator.plan.scaling import Decision

Json = dict[str, Any]
_LONGEST_ERROR = 512
_MOST_ENDINGS = 100
_PLATFORM_STARTS = timedelta(minutes=5)
"""Time after a pool was made in which signals that cannot be read are no alarm."""
WAITING = "WaitingForPlatform"


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
        if _is_new(owner, now):
            ready, progressing, degraded = _waiting(decision.size, errors)
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


def _is_new(owner: Json, now: datetime) -> bool:
    """Whether a pool is young, and all its signals were never read together: its platform may still be starting."""
    made = parse_instant(owner["metadata"].get("creationTimestamp"))
    if made is None or now - made >= _PLATFORM_STARTS:
        return False
    return find(owner.get("status", {}), "Ready")["reason"] in {"", "TargetMissing", WAITING}


def _waiting(size: int, errors: str) -> tuple[Json, Json, Json]:
    """The conditions of a pool whose platform is not there yet; it is no alarm for a while."""
    message = f"waiting for the platform, the size is held at {size}: {errors}"
    patience = f"it is not there {_PLATFORM_STARTS.total_seconds() / 60:.0f} min after the pool was made"
    return (
        condition("Ready", WAITING, message, holds=False),
        condition("Progressing", WAITING, message, holds=True),
        condition("Degraded", WAITING, f"the pool is new; it is Degraded if {patience}", holds=False),
    )


def set_by(owner: Json) -> str:
    """Who set the size of a pool without signals, by the API server's record of who wrote which field."""
    path = ("f:spec", "f:replicas", "f:manual")
    writers = [
        entry
        for entry in owner["metadata"].get("managedFields", ())
        if _has(entry.get("fieldsV1", {}), path) and entry.get("subresource") != "status"
    ]
    if not writers:
        return "replicas.manual"
    manager = max(writers, key=lambda entry: str(entry.get("time", "")))["manager"]
    by_hand = manager.startswith("kubectl") or manager == "Mozilla"  # a browser, as of a dashboard
    return f"replicas.manual, set by hand ({manager})" if by_hand else f"replicas.manual, set by {manager}"


def _has(fields: Json, path: Sequence[str]) -> bool:
    for step in path:
        if step not in fields:
            return False
        fields = fields[step]
    return True


def explain(decision: Decision, readings: Sequence[Reading], *, before: int, by: str = "replicas.manual") -> str:
    """A decision in one sentence with its numbers; `by` tells who set the size of a pool without signals."""
    reasons = ", ".join(
        f"{reading.name} = {reading.value}{_old(reading)} asks for {reading.pods}"
        if reading.error is None
        else f"{reading.name} cannot be read"
        for reading in readings
    )
    limit = f"; limited by {decision.limited_by}" if decision.limited_by else ""
    return f"from {before} to {decision.size} pods: {reasons or by}{limit}"


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
