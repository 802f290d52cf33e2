"""One pass over a WorkerPool: read its signals, decide on a size, set the size of its target."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import structlog
from pydantic import ValidationError

from taskbell.contract.worker_pools import WorkerPoolSpec
from taskbell.kit.clock import Clock
from taskbell.operator.cluster import (
    DEPLOYMENTS,
    PODS,
    WORKER_POOLS,
    Cluster,
    ClusterRefused,
    ObjectGone,
    RequestRefused,
)
from taskbell.operator.events import Events
from taskbell.operator.listings import Listings
from taskbell.operator.metrics import POOL_REPLICAS, SCALINGS, SIGNAL_FAILURES, SIGNAL_VALUE
from taskbell.operator.plan.conditions import changing, refusal
from taskbell.operator.plan.need import Reading
from taskbell.operator.plan.rivals import Neighbours, rival
from taskbell.operator.plan.scaling import Decision, Memory, decide
from taskbell.operator.plan.spec_words import faults_in_words
from taskbell.operator.plan.victims import DELETION_COST, deletion_costs
from taskbell.operator.plan.worker_pool import describe, explain, set_by
from taskbell.operator.queue import Key, Outcome
from taskbell.operator.reconcile.autoscaler import AutoscalerKeeper, NotKept
from taskbell.operator.reconcile.refusals import Refusals
from taskbell.operator.signals import SignalReader

_log = structlog.get_logger(__name__)
Json = dict[str, Any]
_EARLY = 0.5
"""A pass that comes more than this share of the interval too early does nothing, unless the spec changed."""
_SHARED = 1 / 3
"""Share of the interval for which passes over other pools use the same lists of autoscalers and pools."""
_SOON = 2.0
"""Seconds until the next pass while an autoscaler of the former engine is being deleted."""


@dataclass(frozen=True, slots=True)
class _Pool:
    """A pool in one pass: its spec, and the scale of its target."""

    key: Key
    owner: Json
    spec: WorkerPoolSpec
    scale: Json


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
        listings = Listings(cluster, fresh_for=interval * _SHARED, clock=clock)
        self._autoscalers = AutoscalerKeeper(cluster, events, listings, clock=clock)
        self._memories: dict[Key, Memory] = {}
        self._refusals = Refusals()

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
            return await self._pass(key, owner, memory)
        except NotKept as found:
            self._memories[key] = Memory(uid=uid)  # if others set the size meanwhile, earlier decisions do not count
            now = self._clock.monotonic()
            if found.varies and not self._refusals.may_tell(key, owner, found.reason, now=now):
                return Outcome(again_in=self._interval)
            return await self._refuse(owner, found.reason, found.message)

    async def _pass(self, key: Key, owner: Json, memory: Memory) -> Outcome:
        """Look who sets the size; if it is the operator, decide on it.

        Raises:
            NotKept: The spec is not understood, another object sets the size, the target is missing, or the autoscaler
                cannot be kept.
            ClusterRefused: The API server failed or refused a request.
        """
        try:
            spec = WorkerPoolSpec.model_validate(owner["spec"])
        except ValidationError as wrong:
            raise NotKept("SpecNotUnderstood", faults_in_words(wrong)) from wrong
        target, generation = spec.target_ref.name, owner["metadata"]["generation"]
        neighbours = await self._autoscalers.neighbours(key.namespace)
        if (other := rival(target, owner, neighbours)) is not None:
            raise NotKept("SizeIsAnothers", f"{other} also sets the size of Deployment {target}: delete one of the two")
        scale = await self._cluster.get(DEPLOYMENTS, key.namespace, target, subresource="scale")
        if scale is None:
            raise NotKept("TargetMissing", f"there is no Deployment {target}")
        if staying := await self._autoscalers.remove(owner, spec.engine, neighbours):
            message = f"the size is left alone until {', '.join(staying)} is gone"
            await self._report(owner, changing(owner, "EngineChanges", message, now=self._now()))
            return Outcome(again_in=_SOON)
        if generation != memory.generation:  # a signal of the same name may be of another consumer now
            memory = replace(memory, generation=generation, paces={}, decided_at=-math.inf)
        pool = _Pool(key, owner, spec, scale)
        if spec.engine in {"HPA", "KEDA"}:
            await self._delegate(pool, memory, neighbours)
        else:
            await self._keep_size(pool, memory)
        return Outcome(again_in=self._interval)

    async def _keep_size(self, pool: _Pool, memory: Memory) -> None:
        """Decide on the size and set it."""
        key, owner, spec, scale, now = pool.key, pool.owner, pool.spec, pool.scale, self._clock.monotonic()
        readings = await self._signals.read(spec, scale, memory.paces) if spec.engine == "Native" else ()
        endings = await self._signals.endings(spec, scale, readings) if spec.drain.enabled else ()
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

    def _forget(self, key: Key) -> None:
        """Drop the memory and the metrics of a deleted pool."""
        self._refusals.forget(key)
        self._autoscalers.forget(key)
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
            key = Key("WorkerPool", owner["metadata"]["namespace"], owner["metadata"]["name"])
            if self._refusals.may_tell(key, owner, "SizeRefused", now=self._clock.monotonic()):
                await self._refuse(owner, "SizeRefused", str(refused))
            raise
        SCALINGS.labels(owner["metadata"]["namespace"], owner["metadata"]["name"], "up" if up else "down").inc()
        message = explain(decision, readings, before=before, by=set_by(owner))
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

    async def _delegate(self, pool: _Pool, memory: Memory, neighbours: Neighbours) -> None:
        """Leave the size to an autoscaler, and report what it does.

        Raises:
            NotKept: The autoscaler cannot be kept.
            ClusterRefused: The API server failed or refused a request.
        """
        key, owner, spec, scale, now = pool.key, pool.owner, pool.spec, pool.scale, self._clock.monotonic()
        # The readings of engine HPA are what its autoscaler gets by way of the metrics; KEDA reads for itself.
        readings = await self._signals.read(spec, scale, memory.paces) if spec.engine == "HPA" else ()
        status = await self._autoscalers.keep(owner, spec, scale, readings, neighbours)
        _measure(key, scale, Decision(status["desiredReplicas"], status["recommended"]), readings)
        await self._report(owner, status)
        paces = {reading.name: reading.pace for reading in readings if reading.pace is not None}
        # No earlier decision counts when the operator sets the size again.
        self._memories[key] = Memory(uid=memory.uid, generation=memory.generation, paces=paces, decided_at=now)

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
