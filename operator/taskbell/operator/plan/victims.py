"""Which pods go when a pool of gateways shrinks: those with the fewest connections.

A ReplicaSet first removes pods that are not ready, then those with the lowest deletion cost. The cost is written only
just before a pool shrinks, since each change is a write to a pod.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


@dataclass(frozen=True, slots=True)
class Load:
    """A ready pod, its open connections, and its present deletion cost, if any."""

    pod: str
    connections: int
    cost: str | None = None


def deletion_costs(loads: Iterable[Load]) -> dict[str, str]:
    """The deletion costs to write, by pod: its connections of all signals, if its present cost (default 0) differs."""
    connections: Counter[str] = Counter()
    present: dict[str, str] = {}
    for load in loads:
        connections[load.pod] += load.connections
        present[load.pod] = load.cost if load.cost is not None else "0"
    return {pod: str(count) for pod, count in connections.items() if present[pod] != str(count)}
