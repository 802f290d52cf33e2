"""Kubernetes events about decisions, with their numbers: what `kubectl describe` shows."""

from __future__ import annotations

import uuid
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


class Events:
    """Tells of decisions about custom resources."""

    def __init__(self, cluster: Cluster, *, clock: Clock, reporter: str) -> None:
        """Take the API server and the name of this process."""
        self._cluster = cluster
        self._clock = clock
        self._reporter = reporter

    async def tell(self, owner: Json, reason: str, message: str, *, warning: bool = False) -> None:
        """Record an event about an object, in the log, too. Never raises for a refusal: the status says the same."""
        metadata = owner["metadata"]
        _log.info(
            "decision",
            kind=owner["kind"],
            namespace=metadata["namespace"],
            name=metadata["name"],
            reason=reason,
            message=message,
        )
        now = instant(datetime.fromtimestamp(self._clock.now(), UTC))
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{metadata['name'][:200]}.{uuid.uuid4().hex[:16]}",
                "namespace": metadata["namespace"],
            },
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
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "source": {"component": "taskbell-operator", "host": self._reporter},
            "reportingComponent": "taskbell.dev/operator",
            "reportingInstance": self._reporter,
        }
        try:
            await self._cluster.create(EVENTS, event)
        except ClusterRefused as refused:
            EVENTS_LOST.inc()
            _log.warning("event_lost", reason=reason, error=str(refused))
