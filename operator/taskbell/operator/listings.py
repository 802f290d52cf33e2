"""Lists of a namespace's objects that many passes read: asked for once, and shared for a few seconds."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from taskbell.kit.clock import Clock
from taskbell.operator.cluster import Cluster, Resource

Json = dict[str, Any]


@dataclass(slots=True)
class _Listing:
    asked: float = float("-inf")
    renewed: int = 0
    objects: list[Json] = field(default_factory=list)
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)


class Listings:
    """Lists that are at most some seconds old.

    A pass over a WorkerPool must know all others of its namespace. Were each pass to list them, the work would grow
    with the square of their number.
    """

    def __init__(self, cluster: Cluster, *, fresh_for: float, clock: Clock) -> None:
        """Take the API server, the clock, and for how many seconds a list is shared."""
        self._cluster = cluster
        self._fresh_for = fresh_for
        self._clock = clock
        self._known: dict[tuple[Resource, str], _Listing] = {}

    async def all(self, resource: Resource, namespace: str) -> list[Json]:
        """The objects in a namespace; none if the resource does not exist. The caller must not change them.

        Raises:
            ClusterRefused: The API server failed or refused the request. The next call asks again.
        """
        known = self._known.setdefault((resource, namespace), _Listing())
        async with known.asking:
            now = self._clock.monotonic()
            if now - known.asked >= self._fresh_for:
                renewed = known.renewed
                known.objects = await self._cluster.all(resource, namespace)
                if known.renewed == renewed:  # otherwise the list may be older than what was written meanwhile
                    known.asked = now
                self._drop_old(now)
            return known.objects

    def renew(self, namespace: str) -> None:
        """Share the present lists of a namespace no longer: this process changes something in it."""
        for (_, place), known in self._known.items():
            if place == namespace:
                known.asked, known.renewed = float("-inf"), known.renewed + 1

    def _drop_old(self, now: float) -> None:
        """Drop lists that nobody has read for long, such as those of namespaces that are gone."""
        for place, known in [*self._known.items()]:
            if now - known.asked > 10 * self._fresh_for and not known.asking.locked():
                del self._known[place]
