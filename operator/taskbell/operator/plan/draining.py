"""How fast a pool shrinks while pods hand over their work or their connections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from taskbell.contract.crd_schema import seconds
from taskbell.contract.worker_pools import Drain


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """A pod that was asked to end and has not ended.

    Attributes:
        since: When it was asked, as Kubernetes writes times.
        lasting: Seconds since then.
        grace: Seconds that it has, after which it is killed.
        connections: Open connections that it still has; None if it does not tell.
    """

    pod: str
    since: str
    lasting: float
    grace: float
    connections: int | None = None


def in_steps(drain: Drain, endings: Sequence[Ending], *, leaving: int, wanted: int, current: int) -> int:
    """The wanted size, or the nearest one with which no more pods end at a time than may.

    `leaving` is the number of pods that the target still has above its present size, and that nobody has asked to end
    yet. A pod that ends for longer than the timeout does not hold up the others.
    """
    if not drain.enabled or wanted >= current:
        return wanted
    busy = leaving + sum(1 for ending in endings if ending.lasting < seconds(drain.timeout))
    return max(wanted, current - max(0, drain.max_concurrent - busy))


def in_words(drain: Drain, endings: Sequence[Ending]) -> str:
    """The pods that end, for people; empty if none does."""
    if not endings:
        return ""
    told = ", ".join(
        f"{ending.pod} ({'' if ending.connections is None else f'{ending.connections} connections, '}"
        f"{ending.lasting:.0f} s)"
        for ending in endings[:5]
    )
    more = f" and {len(endings) - 5} more" if len(endings) > 5 else ""
    short = seconds(drain.timeout) < max(ending.grace for ending in endings)
    warning = f"; drain.timeout {drain.timeout} is shorter than the time that pods have to end" if short else ""
    return f"pods that end: {told}{more}{warning}"
