"""Keeps the HorizontalPodAutoscaler or ScaledObject of WorkerPools whose engine is HPA or KEDA."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from taskbell.contract.worker_pools import WorkerPoolSpec
from taskbell.kit.clock import Clock
from taskbell.operator.cluster import (
    AUTOSCALERS,
    SCALED_OBJECTS,
    WORKER_POOLS,
    Cluster,
    ObjectGone,
    RequestRefused,
    Resource,
)
from taskbell.operator.events import Events
from taskbell.operator.listings import Listings
from taskbell.operator.plan.autoscaler import describe_delegated, reported
from taskbell.operator.plan.drift import Corrections, differs
from taskbell.operator.plan.need import Reading
from taskbell.operator.plan.rivals import Neighbours, autoscaler_of, kept, leftovers, orphans
from taskbell.operator.queue import Key
from taskbell.operator.specs.autoscaler import build_autoscaler, build_scaled_object
from taskbell.operator.specs.cron_job import is_owned

Json = dict[str, Any]
_RESOURCES = {"HorizontalPodAutoscaler": AUTOSCALERS, "ScaledObject": SCALED_OBJECTS}


class NotKept(Exception):
    """A pool cannot be kept as declared: reason and message for its conditions.

    `varies` tells that the message may differ each time, though nothing has changed.
    """

    def __init__(self, reason: str, message: str, *, varies: bool = False) -> None:
        super().__init__(message)
        self.reason, self.message, self.varies = reason, message, varies


class AutoscalerKeeper:
    """Keeps what the engines HPA and KEDA need, and removes it when the engine changes."""

    def __init__(self, cluster: Cluster, events: Events, listings: Listings, *, clock: Clock) -> None:
        """Take the collaborators."""
        self._cluster = cluster
        self._listings = listings
        self._events = events
        self._clock = clock
        self._corrections: dict[Key, Corrections] = {}

    async def neighbours(self, namespace: str) -> Neighbours:
        """What may set sizes in a namespace; what others changed may be a few seconds old.

        Raises:
            ClusterRefused: Something cannot be listed.
        """
        autoscalers, scaled_objects, pools = await asyncio.gather(
            self._listings.all(AUTOSCALERS, namespace),
            self._listings.all(SCALED_OBJECTS, namespace),
            self._listings.all(WORKER_POOLS, namespace),
        )
        return Neighbours(autoscalers=autoscalers, scaled_objects=scaled_objects, pools=pools)

    def forget(self, key: Key) -> None:
        """Drop what is remembered of a pool."""
        self._corrections.pop(key, None)

    async def remove(self, owner: Json, engine: str, neighbours: Neighbours) -> list[str]:
        """Delete what another engine needed; returns what is still there: others have to take their leave of it first.

        Raises:
            ClusterRefused: Something cannot be deleted.
        """
        namespace, staying = owner["metadata"]["namespace"], orphans(owner, engine, neighbours)
        for kind, name in leftovers(owner, engine, neighbours):
            deleted = await self._cluster.delete(_RESOURCES[kind], namespace, name)
            self._listings.renew(namespace)
            if deleted:
                await self._events.record(owner, "AutoscalerDeleted", f"{kind} {name}: the engine is {engine} now")
            if await self._cluster.get(_RESOURCES[kind], namespace, name) is not None:
                staying.append(f"{kind} {name}")
        return staying

    async def keep(
        self, owner: Json, spec: WorkerPoolSpec, scale: Json, readings: Sequence[Reading], neighbours: Neighbours
    ) -> Json:
        """Write the autoscaler if it differs; returns the status of the pool.

        Raises:
            NotKept: The name is taken, KEDA is not installed, the API server refuses the autoscaler, or another program
                changes it again and again.
            ClusterRefused: The API server failed.
        """
        declared = build_autoscaler(owner, spec) if spec.engine == "HPA" else build_scaled_object(owner, spec)
        kind, name = declared["kind"], declared["metadata"]["name"]
        live = kept(owner, kind, neighbours)
        if live is None:  # the list may be older than the object
            live = await self._cluster.get(_RESOURCES[kind], owner["metadata"]["namespace"], name)
        if live is not None and not is_owned(live, owner):
            raise NotKept("NameTaken", f"{kind} {name} exists and does not belong to this WorkerPool")
        key = Key("WorkerPool", owner["metadata"]["namespace"], name)
        corrections, applied = self._corrections.setdefault(key, Corrections()), False
        pausing = corrections.was_applied(declared, live) and corrections.pause(self._clock.monotonic()) > 0
        if live is None or (differs(declared, live) and not pausing):
            live, applied = await self._apply(_RESOURCES[kind], owner, declared, live, corrections)
        if corrections.pause(self._clock.monotonic()):
            raise NotKept("Contested", f"another program keeps changing {kind} {name} after each correction")
        autoscaler = live if spec.engine == "HPA" else autoscaler_of(live, neighbours)
        now = datetime.fromtimestamp(self._clock.now(), UTC)
        return describe_delegated(owner, scale, reported(live, autoscaler), readings, applied=applied, now=now)

    async def _apply(
        self, resource: Resource, owner: Json, declared: Json, live: Json | None, corrections: Corrections
    ) -> tuple[Json, bool]:
        """The object as it is now, and whether its declaration is new; a correction is not."""
        is_correction = corrections.was_applied(declared, live)
        name = f"{resource.kind} {declared['metadata']['name']}"
        try:
            written = await self._cluster.apply(resource, declared)
            self._listings.renew(owner["metadata"]["namespace"])
        except ObjectGone as missing:
            if resource is not SCALED_OBJECTS:
                raise
            message = "the cluster knows no ScaledObjects (keda.sh/v1alpha1): install KEDA, or choose another engine"
            raise NotKept("KedaMissing", message) from missing
        except RequestRefused as refused:
            raise NotKept("AutoscalerRefused", str(refused), varies=True) from refused
        corrections.applied(declared, written["metadata"].get("generation", 0))
        if live is not None and live["metadata"]["resourceVersion"] == written["metadata"]["resourceVersion"]:
            return written, False
        spec = declared["spec"]
        least, most = (spec.get(one, spec.get(other)) for one, other in _BOUNDS)
        facts = f"{name}: from {least} to {most} pods"
        if is_correction:
            corrections.count, corrections.last = corrections.count + 1, self._clock.monotonic()
            await self._events.record(owner, "DriftCorrected", facts)
            return written, False
        corrections.count = 0
        await self._events.record(owner, "AutoscalerChanged" if live else "AutoscalerCreated", facts)
        return written, True


_BOUNDS = (("minReplicas", "minReplicaCount"), ("maxReplicas", "maxReplicaCount"))
