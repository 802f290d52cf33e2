"""One pass over a WorkerPool: read, decide, set the size of its target."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
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
from taskbell.operator.plan.conditions import is_said
from taskbell.operator.plan.need import Reading
from taskbell.operator.plan.rivals import rival
from taskbell.operator.plan.scaling import Decision, Past, decide
from taskbell.operator.plan.victims import DELETION_COST, deletion_costs
from taskbell.operator.plan.worker_pool import describe, describe_refusal, explain
from taskbell.operator.queue import Key, Outcome
from taskbell.operator.signals.readings import Known, Signals

_log = structlog.get_logger(__name__)
Json = dict[str, Any]
_EARLY = 0.5
"""A pass within this share of the interval reads nothing anew, unless the spec changed."""


@dataclass(slots=True)
class _Memory:
    """What is remembered of a pool between passes; lost with the process, as an autoscaler's is."""

    uid: str
    past: Past = field(default_factory=Past)
    known: Known = field(default_factory=Known)
    looked: float = float("-inf")
    generation: int = 0


class PoolKeeper:
    """Keeps the size of every WorkerPool's target."""

    def __init__(self, cluster: Cluster, events: Events, signals: Signals, *, interval: float, clock: Clock) -> None:
        """Take the API server, where decisions are told, the signals, and the seconds between decisions."""
        self._cluster = cluster
        self._events = events
        self._signals = signals
        self._interval = interval
        self._clock = clock
        self._memories: dict[Key, _Memory] = {}

    async def keep(self, key: Key) -> Outcome:
        """Make one pass. Raises `ClusterRefused` when the API server does not do as asked."""
        owner = await self._cluster.get(WORKER_POOLS, key.namespace, key.name)
        if owner is None or owner["metadata"].get("deletionTimestamp"):
            self._forget(key)
            return Outcome(gone=owner is None)
        memory = self._memory(key, owner)
        now, generation = self._clock.monotonic(), owner["metadata"]["generation"]
        wait = memory.looked + self._interval - now
        if generation == memory.generation and wait > self._interval * _EARLY:
            return Outcome(again_in=wait)
        try:
            spec = WorkerPoolSpec.model_validate(owner["spec"])
        except ValidationError as wrong:
            return await self._refuse(owner, "SpecNotUnderstood", str(wrong))
        if (other := await self._rival(owner, spec)) is not None:
            memory.past = Past()  # the size was another's: what was recommended before means nothing now
            message = f"{other} sets the size of Deployment {spec.target_ref.name}, too: delete one of both"
            return await self._refuse(owner, "SizeIsAnothers", message)
        scale = await self._cluster.get(DEPLOYMENTS, key.namespace, spec.target_ref.name, subresource="scale")
        if scale is None:
            memory.past = Past()
            return await self._refuse(owner, "TargetMissing", f"there is no Deployment {spec.target_ref.name}")
        if generation != memory.generation:
            memory.known, memory.looked = Known(), float("-inf")  # a signal may be of another consumer now
            memory.generation = generation
        readings = await self._signals.read(spec, scale, memory.known) if spec.engine == "Native" else ()
        await self._decide(owner, spec, scale, readings, memory)
        memory.looked = now
        return Outcome(again_in=self._interval)

    def _memory(self, key: Key, owner: Json) -> _Memory:
        memory = self._memories.get(key)
        if memory is None or memory.uid != owner["metadata"]["uid"]:
            memory = self._memories[key] = _Memory(owner["metadata"]["uid"])
        return memory

    def _forget(self, key: Key) -> None:
        """A deleted pool leaves neither memory nor metrics behind."""
        if self._memories.pop(key, None) is not None:
            for metric in (POOL_REPLICAS, SIGNAL_VALUE, SIGNAL_FAILURES, SCALINGS):
                metric.remove_by_labels({"namespace": key.namespace, "pool": key.name})

    async def _decide(
        self, owner: Json, spec: WorkerPoolSpec, scale: Json, readings: Sequence[Reading], memory: _Memory
    ) -> None:
        now = self._clock.monotonic()
        before = int(scale["spec"].get("replicas", 0))
        decision, past = decide(spec, memory.past, readings, current=before, now=now)
        scaled = decision.size != before
        if decision.size < before:
            await self._mark_victims(owner, readings)
        if scaled:
            try:
                scale = await self._cluster.scale(DEPLOYMENTS, scale, decision.size)
            except RequestRefused as refused:
                if not is_said(owner, "SizeRefused"):  # other words with every try would wake the watch each time
                    await self._refuse(owner, "SizeRefused", str(refused))
                raise
            past = past.changed(now, decision.size - before)
        memory.past = past
        if scaled:
            await self._events.tell(
                owner,
                "ScaledUp" if decision.size > before else "ScaledDown",
                explain(decision, readings, before=before),
            )
        _measure(owner, scale, decision, readings, before=before)
        await self._report(owner, describe(owner, scale, decision, readings, scaled=scaled, now=self._now()))

    async def _mark_victims(self, owner: Json, readings: Sequence[Reading]) -> None:
        """Have the pods with the fewest connections go first, as far as that may be said: no mark is worth the size."""
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

    async def _rival(self, owner: Json, spec: WorkerPoolSpec) -> str | None:
        namespace = owner["metadata"]["namespace"]
        autoscalers, scaled_objects, pools = await asyncio.gather(
            self._cluster.all(AUTOSCALERS, namespace),
            self._cluster.all(SCALED_OBJECTS, namespace),
            self._cluster.all(WORKER_POOLS, namespace),
        )
        return rival(spec.target_ref.name, owner, autoscalers=autoscalers, scaled_objects=scaled_objects, pools=pools)

    async def _refuse(self, owner: Json, reason: str, message: str) -> Outcome:
        await self._report(owner, describe_refusal(owner, reason, message, now=self._now()))
        return Outcome(again_in=self._interval)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now(), UTC)

    async def _report(self, owner: Json, status: Json) -> None:
        """Write the status if it says something new; then tell what it means, so that a repeated pass does not."""
        if status != owner.get("status"):
            await self._cluster.apply_status(WORKER_POOLS, owner, status)
        await self._tell_degradation(owner, status)

    async def _tell_degradation(self, owner: Json, status: Json) -> None:
        """An event when a pool becomes Degraded or recovers, not while it stays so."""
        now, before = _degraded(status), _degraded(owner.get("status", {}))
        if now["status"] == "True" and (before["status"], before["reason"]) != ("True", now["reason"]):
            await self._events.tell(owner, now["reason"], now["message"], warning=True)
        elif now["status"] == "False" and before["status"] == "True":
            await self._events.tell(owner, "Recovered", now["message"])


def _degraded(status: Json) -> Json:
    found = (condition for condition in status.get("conditions", []) if condition["type"] == "Degraded")
    return next(found, {"status": "False", "reason": ""})


def _measure(owner: Json, scale: Json, decision: Decision, readings: Sequence[Reading], *, before: int) -> None:
    pool = (owner["metadata"]["namespace"], owner["metadata"]["name"])
    POOL_REPLICAS.labels(*pool, "desired").set(decision.size)
    POOL_REPLICAS.labels(*pool, "recommended").set(decision.recommended)
    POOL_REPLICAS.labels(*pool, "current").set(scale["status"].get("replicas", 0))
    if decision.size != before:
        SCALINGS.labels(*pool, "up" if decision.size > before else "down").inc()
    for reading in readings:
        if reading.value is None:
            SIGNAL_FAILURES.labels(*pool, reading.name).inc()
        else:
            SIGNAL_VALUE.labels(*pool, reading.name).set(reading.value)
