"""The status of a WorkerPool whose size an autoscaler sets, from what that autoscaler reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from taskbell.operator.plan.conditions import condition, conditions
from taskbell.operator.plan.need import Reading
from taskbell.operator.plan.worker_pool import describe_signal

Json = dict[str, Any]
_LIMITS = {
    "TooFewReplicas": "Bounds",
    "TooManyReplicas": "Bounds",
    "ScaleUpLimit": "Policy",
    "ScaleDownLimit": "Policy",
    "ScaleUpStabilized": "Stabilization",
    "ScaleDownStabilized": "Stabilization",
}


@dataclass(frozen=True, slots=True)
class Reported:
    """What an autoscaler says.

    Attributes:
        name: Kind and name of the object that the operator keeps.
        desired: The size that it wants; None before its controller has looked.
        problem: Reason and message of what keeps it from working, if anything.
        limited_by: What keeps it from another size, in the words of a WorkerPool.
        last_scale_time: When it last changed the size.
    """

    name: str
    desired: int | None = None
    problem: tuple[str, str] | None = None
    limited_by: str = ""
    last_scale_time: str | None = None


def reported(kept: Json, autoscaler: Json | None) -> Reported:
    """What the object that the operator keeps and its HorizontalPodAutoscaler say; engine HPA has one for both."""
    name = f"{kept['kind']} {kept['metadata']['name']}"
    problem = None
    if kept["kind"] == "ScaledObject":
        ready = _conditions(kept).get("Ready")
        if ready is None:
            problem = "AutoscalerNotSeen", f"KEDA has not looked at {name} yet"
        elif ready["status"] == "False":
            problem = "ScalerNotReady", f"KEDA: {ready.get('message', '')}"
        elif (fallback := _conditions(kept).get("Fallback", {})).get("status") == "True":
            problem = "SignalUnreadable", f"KEDA: {fallback.get('message', '')}"
    if autoscaler is None:
        return Reported(name, problem=problem)
    status, said = autoscaler.get("status", {}), _conditions(autoscaler)
    if not said and problem is None:
        problem = "AutoscalerNotSeen", f"no controller has looked at {name} yet"
    for type_ in ("AbleToScale", "ScalingActive"):
        found = said.get(type_, {})
        if problem is None and found.get("status") == "False" and found.get("reason") != "ScalingDisabled":
            problem = found.get("reason", type_), found.get("message", "")
    limited, stable = said.get("ScalingLimited", {}), said.get("AbleToScale", {})
    reason = limited.get("reason", "") if limited.get("status") == "True" else stable.get("reason", "")
    return Reported(
        name,
        desired=status.get("desiredReplicas") if said else None,
        problem=problem,
        limited_by=_LIMITS.get(reason, ""),
        last_scale_time=status.get("lastScaleTime"),
    )


def describe_delegated(
    owner: Json, scale: Json, found: Reported, readings: Sequence[Reading], *, applied: bool, now: datetime
) -> Json:
    """The status of the pool; `applied` tells that the operator has just written the autoscaler."""
    current, wanted = int(scale["status"].get("replicas", 0)), int(scale["spec"].get("replicas", 0))
    desired = wanted if found.desired is None else found.desired
    errors = "; ".join(f"{reading.name}: {reading.error}" for reading in readings if reading.error)
    ready = condition("Ready", "AutoscalerKept", f"{found.name} sets the size: {desired} pods", holds=True)
    degraded = condition("Degraded", "Healthy", f"{found.name} works", holds=False)
    progressing = condition("Progressing", "Settled", f"pods: {current}", holds=False)
    if applied:
        progressing = condition("Progressing", "AutoscalerChanged", f"{found.name} was written", holds=True)
    elif current != desired:
        progressing = condition("Progressing", "PodsChange", f"pods: {current}, wanted: {desired}", holds=True)
    if found.problem is not None:
        reason, message = found.problem
        ready = condition("Ready", reason, message, holds=False)
        # An autoscaler that is new has not failed.
        message = f"{message}; the operator reads {errors}" if errors else message
        degraded = condition("Degraded", reason, message, holds=reason != "AutoscalerNotSeen")
    elif errors:
        degraded = condition("Degraded", "SignalUnreadable", errors, holds=True)
    last = found.last_scale_time or owner.get("status", {}).get("lastScaleTime")
    return {
        **conditions(owner, (ready, progressing, degraded), now=now),
        "replicas": current,
        "selector": scale["status"].get("selector", ""),
        "desiredReplicas": desired,
        "recommended": desired,
        "limitedBy": found.limited_by,
        "signals": [describe_signal(reading) for reading in readings],
        "draining": [],
    } | ({"lastScaleTime": last} if last else {})


def _conditions(body: Json) -> dict[str, Json]:
    return {known["type"]: known for known in body.get("status", {}).get("conditions", [])}
