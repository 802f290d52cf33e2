"""Conditions as Kubernetes writes them; a transition time stays while the status does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]
_LONGEST_MESSAGE = 1024


@dataclass(frozen=True, slots=True)
class Verdict:
    """One condition without its bookkeeping."""

    type: str
    reason: str
    message: str
    holds: bool = field(kw_only=True)


def instant(moment: datetime) -> str:
    """RFC 3339 in UTC, to the second, as Kubernetes writes times."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_instant(text: str | None) -> datetime | None:
    """A time of Kubernetes, if there is one."""
    return datetime.fromisoformat(text) if text else None


def is_said(owner: Json, reason: str) -> bool:
    """Whether the status gives this reason for the present generation, in whatever words."""
    return any(
        condition["reason"] == reason and condition["observedGeneration"] == owner["metadata"]["generation"]
        for condition in owner.get("status", {}).get("conditions", [])
    )


def conditions(verdicts: Iterable[Verdict], *, before: list[Json], generation: int, now: datetime) -> list[Json]:
    """The condition list of a status."""
    known = {condition["type"]: condition for condition in before}
    result = []
    for verdict in verdicts:
        status = "True" if verdict.holds else "False"
        old = known.get(verdict.type)
        unchanged = old is not None and old["status"] == status
        result.append(
            {
                "type": verdict.type,
                "status": status,
                "reason": verdict.reason,
                "message": verdict.message[:_LONGEST_MESSAGE],
                "lastTransitionTime": old["lastTransitionTime"] if old and unchanged else instant(now),
                "observedGeneration": generation,
            }
        )
    return result
