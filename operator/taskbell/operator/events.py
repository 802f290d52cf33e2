"""Kubernetes events about decisions, with their numbers: what `kubectl describe` shows."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from taskbell.kit.clock import Clock
from taskbell.operator.cluster import EVENTS, Cluster, ClusterRefused
from taskbell.operator.metrics import EVENTS_LOST
from taskbell.operator.plan.conditions import instant

_log = structlog.get_logger(__name__)
Json = dict[str, Any]
_LONGEST = 1000
_REMEMBERED = 1800.0
"""Seconds in which the same thing is counted by the event that told it first; an API server keeps one for an hour."""
_MOST_REMEMBERED = 1000


@dataclass(slots=True)
class _Told:
    """An event that may be told again."""

    name: str
    first: float
    count: int = 1


class Events:
    """Tells of decisions about custom resources."""

    def __init__(self, cluster: Cluster, *, clock: Clock, reporter: str) -> None:
        """Take the API server and the name of this process."""
        self._cluster = cluster
        self._clock = clock
        self._reporter = reporter
        self._told: dict[tuple[str, str, str], _Told] = {}

    async def tell(self, owner: Json, reason: str, message: str, *, warning: bool = False) -> None:
        """Record an event about an object, in the log, too; one that was told before is counted, not repeated.

        Never raises for a refusal: the status says the same.
        """
        metadata = owner["metadata"]
        _log.info(
            "decision",
            kind=owner["kind"],
            namespace=metadata["namespace"],
            name=metadata["name"],
            reason=reason,
            message=message,
        )
        now, key = self._clock.now(), (metadata["uid"], reason, message)
        told = self._told.pop(key, None)
        try:
            if told is None or now - told.first > _REMEMBERED:
                told = _Told(await self._create(owner, reason, message, now=now, warning=warning), first=now)
            else:
                told.count += 1
                change = {"count": told.count, "lastTimestamp": _written(now)}
                await self._cluster.amend(EVENTS, metadata["namespace"], told.name, change)
        except ClusterRefused as refused:
            EVENTS_LOST.inc()
            _log.warning("event_lost", reason=reason, error=str(refused))
            return
        self._told[key] = told
        while len(self._told) > _MOST_REMEMBERED:
            del self._told[next(iter(self._told))]

    async def _create(self, owner: Json, reason: str, message: str, *, now: float, warning: bool) -> str:
        metadata = owner["metadata"]
        name = f"{metadata['name'][:200]}.{uuid.uuid4().hex[:16]}"
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": metadata["namespace"]},
            "involvedObject": {
                "apiVersion": owner["apiVersion"],
                "kind": owner["kind"],
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
                "resourceVersion": metadata["resourceVersion"],
            },
            "type": "Warning" if warning else "Normal",
            "reason": reason,
            "message": message[:_LONGEST],
            "firstTimestamp": _written(now),
            "lastTimestamp": _written(now),
            "count": 1,
            "source": {"component": "taskbell-operator", "host": self._reporter},
            "reportingComponent": "taskbell.dev/operator",
            "reportingInstance": self._reporter,
        }
        await self._cluster.create(EVENTS, event)
        return name


def _written(now: float) -> str:
    return instant(datetime.fromtimestamp(now, UTC))
