"""Kubernetes events about decisions, with their numbers; `kubectl describe` shows them."""

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
_LONGEST_MESSAGE = 1000
_REPEATED_WITHIN = 1800.0
"""Seconds within which a repeated event only raises the count of the first; an API server keeps it for an hour."""
_MOST_REMEMBERED = 1000


@dataclass(slots=True)
class _Recorded:
    """An event that may be repeated."""

    name: str
    first: float
    count: int = 1


class Events:
    """Records events about custom resources, in the cluster and in the log."""

    def __init__(self, cluster: Cluster, *, clock: Clock, reporter: str) -> None:
        """Take the API server, the clock and the name of this process."""
        self._cluster = cluster
        self._clock = clock
        self._reporter = reporter
        self._recorded: dict[tuple[str, str, str], _Recorded] = {}

    async def record(self, owner: Json, reason: str, message: str, *, warning: bool = False) -> None:
        """Record an event about an object. A repeated event raises the count of the first.

        Does not raise if the API server refuses it: the status of the object says the same.
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
        recorded = self._recorded.pop(key, None)
        try:
            if recorded is None or now - recorded.first > _REPEATED_WITHIN:
                recorded = _Recorded(await self._create(owner, reason, message, now=now, warning=warning), first=now)
            else:
                recorded.count += 1
                change = {"count": recorded.count, "lastTimestamp": _instant(now)}
                await self._cluster.amend(EVENTS, metadata["namespace"], recorded.name, change)
        except ClusterRefused as refused:
            EVENTS_LOST.inc()
            _log.warning("event_lost", reason=reason, error=str(refused))
            return
        self._recorded[key] = recorded
        while len(self._recorded) > _MOST_REMEMBERED:
            del self._recorded[next(iter(self._recorded))]

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
            "message": message[:_LONGEST_MESSAGE],
            "firstTimestamp": _instant(now),
            "lastTimestamp": _instant(now),
            "count": 1,
            "source": {"component": "taskbell-operator", "host": self._reporter},
            "reportingComponent": "taskbell.dev/operator",
            "reportingInstance": self._reporter,
        }
        await self._cluster.create(EVENTS, event)
        return name


def _instant(now: float) -> str:
    return instant(datetime.fromtimestamp(now, UTC))
