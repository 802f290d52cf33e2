"""Which pods go when a pool of gateways shrinks: those with the fewest connections.

A ReplicaSet takes pods that are not ready first, then those of the lowest deletion cost. The cost is written just
before a pool shrinks and at no other time, since each change of it is a write to a pod.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


@dataclass(frozen=True, slots=True)
class Load:
    """A ready pod, its open connections, and the deletion cost that it bears, if any."""

    pod: str
    connections: int
    cost: str | None = None


def deletion_costs(loads: Iterable[Load]) -> dict[str, str]:
    """The costs that pods do not bear yet, by pod: their connections, of all signals together. None counts as 0."""
    open_now: Counter[str] = Counter()
    known: dict[str, str] = {}
    for load in loads:
        open_now[load.pod] += load.connections
        known[load.pod] = load.cost if load.cost is not None else "0"
    return {pod: str(count) for pod, count in open_now.items() if known[pod] != str(count)}
