"""One pass over a WorkerPool: read its signals, decide on a size, set the size of its target."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import structlog
from pydantic import ValidationError

from taskbell.contract.worker_pools import WorkerPoolSpec
from taskbell.kit.clock import Clock
from taskbell.operator.cluster import (
    AUTOSCALERS,
    DEPLOYMENTS,
    PODS,
    SCALED_OBJECTS,
    WORKER_POOLS,
    Cluster,
    ClusterRefused,
    ObjectGone,
    RequestRefused,
)
from taskbell.operator.events import Events
from taskbell.operator.metrics import POOL_REPLICAS, SCALINGS, SIGNAL_FAILURES, SIGNAL_VALUE
from taskbell.operator.plan.conditions import is_reported, refusal
from taskbell.operator.plan.need import Reading
from taskbell.operator.plan.rivals import rival
from taskbell.operator.plan.scaling import Decision, Memory, decide
from taskbell.operator.plan.victims import DELETION_COST, deletion_costs
from taskbell.operator.plan.worker_pool import describe, explain
from taskbell.operator.queue import Key, Outcome
from taskbell.operator.signals import SignalReader

_log = structlog.get_logger(__name__)
Json = dict[str, Any]
_EARLY = 0.5
"""A pass that comes more than this share of the interval too early does nothing, unless the spec changed."""


class PoolKeeper:
    """Keeps the size of every WorkerPool's target."""

    def __init__(
        self, cluster: Cluster, events: Events, signals: SignalReader, *, interval: float, clock: Clock
    ) -> None:
        """Take the collaborators, and the seconds between two decisions on a pool."""
        self._cluster = cluster
        self._events = events
        self._signals = signals
        self._interval = interval
        self._clock = clock
        self._memories: dict[Key, Memory] = {}

    async def keep(self, key: Key) -> Outcome:
        """Make one pass.

        Raises:
            ClusterRefused: The API server failed or refused a request.
        """
        owner = await self._cluster.get(WORKER_POOLS, key.namespace, key.name)
        if owner is None or owner["metadata"].get("deletionTimestamp"):
            self._forget(key)
            return Outcome(gone=owner is None)
        uid, generation, now = owner["metadata"]["uid"], owner["metadata"]["generation"], self._clock.monotonic()
        memory = self._memories.get(key)
        if memory is None or memory.uid != uid:
            memory = Memory(uid=uid)
        wait = memory.decided_at + self._interval - now
        if generation == memory.generation and wait > self._interval * _EARLY:
            return Outcome(again_in=wait)
        try:
            spec = WorkerPoolSpec.model_validate(owner["spec"])
        except ValidationError as wrong:
            return await self._refuse(owner, "SpecNotUnderstood", str(wrong))
        target = spec.target_ref.name
        if (other := await self._rival(owner, target)) is not None:
            self._memories[key] = Memory(uid=uid)  # the size was set by another: earlier recommendations do not count
            message = f"{other} also sets the size of Deployment {target}: delete one of the two"
            return await self._refuse(owner, "SizeIsAnothers", message)
        scale = await self._cluster.get(DEPLOYMENTS, key.namespace, target, subresource="scale")
        if scale is None:
            self._memories[key] = Memory(uid=uid)
            return await self._refuse(owner, "TargetMissing", f"there is no Deployment {target}")
        if generation != memory.generation:  # a signal of the same name may be of another consumer now
            memory = replace(memory, generation=generation, paces={}, decided_at=-math.inf)
        readings = await self._signals.read(spec, scale, memory.paces) if spec.engine == "Native" else ()
        endings = await self._signals.endings(spec, scale) if spec.drain.enabled else ()
        before = int(scale["spec"].get("replicas", 0))
        leaving = max(0, int(scale["status"].get("replicas", 0)) - before)
        former, (decision, memory) = (
            memory,
            decide(spec, memory, readings, current=before, now=now, endings=endings, leaving=leaving),
        )
        if decision.size != before:
            self._memories[key] = replace(former, paces=memory.paces)  # all that counts of a size that is refused
            scale = await self._scale(owner, scale, decision, readings, before=before)
            memory = memory.changed(now, decision.size - before)
        self._memories[key] = memory
        _measure(key, scale, decision, readings)
        scaled = decision.size != before
        status = describe(
            owner, scale, decision, readings, scaled=scaled, now=self._now(), drain=spec.drain, endings=endings
        )
        await self._report(owner, status)
        self._memories[key] = replace(memory, decided_at=now)
        return Outcome(again_in=self._interval)

    def _forget(self, key: Key) -> None:
        """Drop the memory and the metrics of a deleted pool."""
        if self._memories.pop(key, None) is not None:
            for metric in (POOL_REPLICAS, SIGNAL_VALUE, SIGNAL_FAILURES, SCALINGS):
                metric.remove_by_labels({"namespace": key.namespace, "pool": key.name})

    async def _scale(
        self, owner: Json, scale: Json, decision: Decision, readings: Sequence[Reading], *, before: int
    ) -> Json:
        """Set the size of the target; returns its scale."""
        up = decision.size > before
        if not up:
            await self._mark_victims(owner, readings)
        try:
            scale = await self._cluster.scale(DEPLOYMENTS, scale, decision.size)
        except RequestRefused as refused:
            if not is_reported(owner, "SizeRefused"):  # a message that differs in each answer would wake the watch
                await self._refuse(owner, "SizeRefused", str(refused))
            raise
        SCALINGS.labels(owner["metadata"]["namespace"], owner["metadata"]["name"], "up" if up else "down").inc()
        message = explain(decision, readings, before=before)
        await self._events.record(owner, "ScaledUp" if up else "ScaledDown", message)
        return scale

    async def _mark_victims(self, owner: Json, readings: Sequence[Reading]) -> None:
        """Make the pods with the fewest connections go first. A pod that cannot be marked does not stop the scaling."""
        namespace = owner["metadata"]["namespace"]

        async def mark(pod: str, cost: str) -> None:
            try:
                await self._cluster.amend(PODS, namespace, pod, {"metadata": {"annotations": {DELETION_COST: cost}}})
            except ObjectGone:
                _log.debug("pod_gone_unmarked", namespace=namespace, pod=pod)
            except ClusterRefused as refused:
                _log.warning("pod_not_marked", namespace=namespace, pod=pod, error=str(refused))

        costs = deletion_costs(load for reading in readings for load in reading.loads)
        await asyncio.gather(*(mark(pod, cost) for pod, cost in costs.items()))

    async def _rival(self, owner: Json, target: str) -> str | None:
        namespace = owner["metadata"]["namespace"]
        autoscalers, scaled_objects, pools = await asyncio.gather(
            self._cluster.all(AUTOSCALERS, namespace),
            self._cluster.all(SCALED_OBJECTS, namespace),
            self._cluster.all(WORKER_POOLS, namespace),
        )
        return rival(target, owner, autoscalers=autoscalers, scaled_objects=scaled_objects, pools=pools)

    async def _refuse(self, owner: Json, reason: str, message: str) -> Outcome:
        await self._report(owner, refusal(owner, reason, message, now=self._now()))
        return Outcome(again_in=self._interval)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now(), UTC)

    async def _report(self, owner: Json, status: Json) -> None:
        """Write the status if it changed; then record an event if the pool became Degraded or recovered."""
        if status != owner.get("status"):
            await self._cluster.apply_status(WORKER_POOLS, owner, status)
        now, before = _degraded(status), _degraded(owner.get("status", {}))
        if now["status"] == "True" and (before["status"], before["reason"]) != ("True", now["reason"]):
            await self._events.record(owner, now["reason"], now["message"], warning=True)
        elif now["status"] == "False" and before["status"] == "True":
            await self._events.record(owner, "Recovered", now["message"])


def _degraded(status: Json) -> Json:
    found = (condition for condition in status.get("conditions", []) if condition["type"] == "Degraded")
    return next(found, {"status": "False", "reason": ""})


def _measure(key: Key, scale: Json, decision: Decision, readings: Sequence[Reading]) -> None:
    pool = (key.namespace, key.name)
    POOL_REPLICAS.labels(*pool, "desired").set(decision.size)
    POOL_REPLICAS.labels(*pool, "recommended").set(decision.recommended)
    POOL_REPLICAS.labels(*pool, "current").set(scale["status"].get("replicas", 0))
    for reading in readings:
        if reading.value is None:
            SIGNAL_FAILURES.labels(*pool, reading.name).inc()
        else:
            SIGNAL_VALUE.labels(*pool, reading.name).set(reading.value)
