"""Leader election: a Lease of `coordination.k8s.io`, with the rules of client-go.

Clocks of different machines are not compared: a holder counts as gone when its Lease has not changed for its whole
duration by the observer's own clock. A holder that cannot renew stops before that.

With the default duration of 10 s another process works at most 13 s after the kill of a holder, and one request: it may
have seen the last renewal 3 s late. A holder sends 15 requests a minute, and each process on standby about 22.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import structlog

from taskbell.kit.clock import Clock
from taskbell.operator.cluster import LEASES, Cluster, ClusterRefused, ObjectChanged
from taskbell.operator.metrics import LEADER
from taskbell.operator.words import in_words

Json = dict[str, Any]
_log = structlog.get_logger(__name__)

LEASE = "taskbell-operator"
_RENEW = 2 / 5
"""Share of the duration between two renewals."""
_RETRY = 1 / 10
"""Share of the duration after which a renewal that failed is repeated."""
_LOOK = 3 / 10
"""Largest share of the duration between two looks at another's Lease."""
_GIVE_UP = 2 / 3
"""Share of the duration after which a holder that cannot renew stops."""
_FAREWELL = 2.0
"""Seconds for releasing the Lease; the end of a process waits no longer for an API server that does not answer."""


class LeaseLost(Exception):
    """Another process holds the Lease, or it could not be renewed in time: this process must stop."""


class Leadership:
    """Acquires, renews and releases the Lease."""

    def __init__(self, cluster: Cluster, *, namespace: str, identity: str, duration: float, clock: Clock) -> None:
        """Take the API server and the clock; `identity` must be unique to this process, `duration` is in seconds."""
        self._cluster = cluster
        self._namespace = namespace
        self._identity = identity
        self._duration = duration
        self._clock = clock
        self._seen = ("", 0.0)
        """The version of another's Lease, and when it was first seen."""
        self._ends = 0.0
        """When that Lease ends unless it is renewed."""
        self._held: Json | None = None
        """This process' Lease as last written, so that a renewal need not read it."""
        self._renewed = float("-inf")
        """When the last successful renewal was sent: it may have arrived at once and been answered late."""

    async def acquire(self) -> None:
        """Wait until this process holds the Lease, however long that takes. Errors of the API server are retried."""
        LEADER.set(0)
        while True:
            try:
                if await self._try() and self._age() < self._duration * _GIVE_UP:  # else the answer came too late
                    LEADER.set(1)
                    _log.info("lease_acquired", identity=self._identity)
                    return
            except ObjectChanged:
                _log.debug("lease_taken_by_another")
            except ClusterRefused as refused:
                _log.warning("lease_not_read", error=str(refused))
            await asyncio.sleep(self._pause())

    async def hold(self) -> None:
        """Renew the Lease until cancelled.

        Raises:
            LeaseLost: Another process holds it, or renewals failed for two thirds of its duration.
        """
        interval, retry, longest = (self._duration * share for share in (_RENEW, _RETRY, _GIVE_UP))
        pause = interval - self._age()
        try:
            while True:
                await asyncio.sleep(max(0.0, pause))
                try:
                    async with asyncio.timeout(max(0.1, longest - self._age())):
                        kept = await self._try()
                except (ClusterRefused, TimeoutError) as refused:
                    late = self._age()
                    _log.warning("lease_not_renewed", error=in_words(refused), seconds=round(late, 1))
                    if late >= longest:
                        raise LeaseLost(f"the Lease was not renewed for {late:.0f} s") from refused
                    pause = min(retry, longest - late)
                    continue
                if not kept:
                    raise LeaseLost("another process holds the Lease")
                pause = interval - self._age()
        finally:
            LEADER.set(0)

    async def release(self) -> None:
        """Release the Lease, so that the next process need not wait.

        Does not raise if the API server refuses or does not answer; the Lease then ends by itself.
        """
        with suppress(ClusterRefused, TimeoutError):
            async with asyncio.timeout(_FAREWELL):
                lease = await self._cluster.get(LEASES, self._namespace, LEASE)
                if lease and lease["spec"].get("holderIdentity") == self._identity:
                    await self._cluster.replace(LEASES, lease | {"spec": lease["spec"] | {"holderIdentity": ""}})

    async def _try(self) -> bool:
        """Create, take or renew the Lease if that is allowed now; returns whether this process holds it."""
        asked = self._clock.monotonic()
        if await self._claim():
            self._renewed = asked
            return True
        return False

    def _age(self) -> float:
        return self._clock.monotonic() - self._renewed

    def _pause(self) -> float:
        """Seconds until the next look at another's Lease: early enough to see its end when it comes."""
        pause = self._duration * _LOOK * random.uniform(0.8, 1)  # noqa: S311 -- jitter, not a secret
        ends_in = self._ends - self._clock.monotonic()
        return min(pause, ends_in) if ends_in > 0 else pause

    async def _claim(self) -> bool:
        held, self._held = self._held, None
        if held is not None:
            try:
                self._held = await self._cluster.replace(LEASES, self._claimed(held))
            except ObjectChanged:
                _log.debug("lease_changed_by_another")
            else:
                return True
        lease = await self._cluster.get(LEASES, self._namespace, LEASE)
        if lease is None:
            self._held = await self._cluster.create(LEASES, self._claimed({}))
            return True
        holder = lease["spec"].get("holderIdentity")
        if holder == self._identity:
            self._held = await self._cluster.replace(LEASES, self._claimed(lease))
            return True
        now, version = self._clock.monotonic(), lease["metadata"]["resourceVersion"]
        if version != self._seen[0]:
            self._seen = (version, now)
        self._ends = self._seen[1] + lease["spec"].get("leaseDurationSeconds", self._duration)
        if holder and now < self._ends:
            return False
        self._held = await self._cluster.replace(LEASES, self._claimed(lease))
        return True

    def _claimed(self, lease: Json) -> Json:
        now = datetime.fromtimestamp(self._clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        before = lease.get("spec", {})
        taken = before.get("holderIdentity") != self._identity
        return {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": lease.get("metadata") or {"name": LEASE, "namespace": self._namespace},
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": max(1, round(self._duration)),
                "acquireTime": now if taken else before.get("acquireTime", now),
                "renewTime": now,
                "leaseTransitions": before.get("leaseTransitions", 0) + (1 if taken and before else 0),
            },
        }
