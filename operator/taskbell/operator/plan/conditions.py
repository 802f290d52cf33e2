"""Conditions of a status, as Kubernetes writes them: the transition time changes only with the status True or False."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]
_LONGEST_MESSAGE = 1024


def instant(moment: datetime) -> str:
    """RFC 3339 in UTC with whole seconds, as Kubernetes writes times."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_instant(text: str | None) -> datetime | None:
    """A time that Kubernetes wrote, if there is one."""
    return datetime.fromisoformat(text) if text else None


def condition(type_: str, reason: str, message: str, *, holds: bool) -> Json:
    """One condition without times and generation; `conditions` adds them."""
    return {"type": type_, "status": str(holds), "reason": reason, "message": message[:_LONGEST_MESSAGE]}


def conditions(owner: Json, stated: Iterable[Json], *, now: datetime) -> Json:
    """The conditions of an object and the generation that they describe, as a part of its status."""
    generation = owner["metadata"]["generation"]
    before = {known["type"]: known for known in owner.get("status", {}).get("conditions", [])}
    listed = []
    for one in stated:
        old = before.get(one["type"])
        since = old["lastTransitionTime"] if old and old["status"] == one["status"] else instant(now)
        listed.append(one | {"lastTransitionTime": since, "observedGeneration": generation})
    return {"observedGeneration": generation, "conditions": listed}


def refusal(owner: Json, reason: str, message: str, *, now: datetime) -> Json:
    """The status of an object that the operator cannot keep; the rest of the status stays."""
    stated = (
        condition("Ready", reason, message, holds=False),
        condition("Progressing", reason, message, holds=False),
        condition("Degraded", reason, message, holds=True),
    )
    return {**owner.get("status", {}), **conditions(owner, stated, now=now)}


def changing(owner: Json, reason: str, message: str, *, now: datetime) -> Json:
    """The status of an object that is not as declared yet, though nothing is wrong; the rest of the status stays."""
    stated = (
        condition("Ready", reason, message, holds=False),
        condition("Progressing", reason, message, holds=True),
        condition("Degraded", reason, message, holds=False),
    )
    return {**owner.get("status", {}), **conditions(owner, stated, now=now)}


def find(status: Json, type_: str) -> Json:
    """A condition of a status; one that is False and has no reason if there is none of this type."""
    found = (known for known in status.get("conditions", ()) if known["type"] == type_)
    return next(found, {"type": type_, "status": "False", "reason": "", "message": ""})


def is_reported(owner: Json, reason: str) -> bool:
    """Whether the status gives this reason for the present generation, with whatever message."""
    return any(
        known["reason"] == reason and known["observedGeneration"] == owner["metadata"]["generation"]
        for known in owner.get("status", {}).get("conditions", [])
    )
