"""How many pods a reading asks for, before patience, speed limits and bounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from taskbell.contract.crd_schema import seconds
from taskbell.contract.worker_pools import JetStreamSignal, WebSocketSignal
from taskbell.operator.plan.victims import Load

_MEMORY = 0.5
"""Weight of the newest measurement of a pod's pace; the rest is what was known before."""
_DOUBLED_IN = 900.0
"""Seconds in which a pace that no backlog has proven is taken for about twice as high."""
_PROVEN_FOR = 1800.0
"""Seconds for which a backlog's proof of a pace counts."""
_FULL = 0.95
"""From this share of `max_ack_pending` on, the consumer and not the pods is what limits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A consumer at a moment: messages waiting, messages out, deliveries so far; and the pods that worked on it."""

    at: float
    pending: int
    unacked: int
    delivered: int
    pods: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Messages a second: that arrive, and that one pod completes at most (None while nothing was seen of it).

    A pace is proven by a backlog. Else it is what a pod was seen to do, which may be far less than it could.

    Attributes:
        proven_at: When a backlog showed it last.
    """

    arriving: float = 0.0
    per_pod: float | None = None
    proven_at: float = -math.inf

    def is_proven(self, at: float) -> bool:
        """Whether the proof still counts: work may have become lighter, which no backlog would ever show."""
        return at - self.proven_at < _PROVEN_FOR


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one signal says.

    Attributes:
        value: Messages or connections; None when it cannot be read.
        needed: Pods that it asks for, as a fraction.
        wakes: It alone starts an empty pool.
        saturated: `max_ack_pending` is used up, so that more pods would not help.
        error: Why it cannot be read.
        missing: Because what it looks at does not exist.
        loads: The connections of each pod, where they are what is counted.
    """

    name: str
    value: int | None = None
    needed: float = 0.0
    wakes: bool = False
    saturated: bool = False
    error: str | None = None
    missing: bool = False
    loads: tuple[Load, ...] = ()


def observe(known: Pace, before: Sample | None, after: Sample) -> Pace:
    """The pace as two samples show it.

    What arrived is what waits more and what was delivered; what was completed is what was delivered and is out no
    longer. Nothing shows of a pod's pace while pods come, since new ones work after a while. A consumer that was made
    anew starts over.
    """
    if before is None or after.at <= before.at or after.delivered < before.delivered:
        return replace(known, arriving=0.0)
    span = after.at - before.at
    delivered = after.delivered - before.delivered
    arriving = max(0.0, (after.pending - before.pending + delivered) / span)
    completed = delivered - (after.unacked - before.unacked)
    if before.pods < max(1, after.pods) or completed <= 0:
        return replace(known, arriving=arriving)
    seen = completed / span / before.pods
    if before.pending and after.pending:
        weight = _MEMORY if known.is_proven(after.at) else 1.0
        return Pace(arriving=arriving, per_pod=_blend(known.per_pod, seen, weight), proven_at=after.at)
    # What is not proven rises, so that a pool shrinks slowly until a backlog shows.
    rise = 1.0 if known.is_proven(after.at) else 1 + span / _DOUBLED_IN
    return replace(known, arriving=arriving, per_pod=max(seen, (known.per_pod or 0.0) * rise))


def _blend(known: float | None, seen: float, weight: float) -> float:
    return seen if known is None else known + weight * (seen - known)


def backlog_need(signal: JetStreamSignal, sample: Sample, pace: Pace) -> float:
    """Pods that a consumer needs: by its backlog, and to keep up with what arrives while the backlog goes in time."""
    by_size = (sample.pending + sample.unacked) / signal.backlog_per_replica
    if pace.per_pod is None or (sample.pending and not pace.is_proven(sample.at)):
        return by_size  # by what pods happened to do, a burst would ask for far too many
    wanted = pace.arriving + sample.pending / max(1, seconds(signal.drain_target))
    return max(by_size, wanted / pace.per_pod)


def read_backlog(name: str, signal: JetStreamSignal, sample: Sample, pace: Pace, *, max_unacked: int) -> Reading:
    """What a consumer says."""
    return Reading(
        name=name,
        value=sample.pending + sample.unacked,
        needed=backlog_need(signal, sample, pace),
        wakes=sample.pending > signal.activation or sample.unacked > 0,
        saturated=max_unacked > 0 and sample.pending > 0 and sample.unacked >= _FULL * max_unacked,
    )


def read_sockets(name: str, signal: WebSocketSignal, loads: Sequence[Load]) -> Reading:
    """What open connections say."""
    connections = sum(load.connections for load in loads)
    usable = signal.per_replica * (1 - signal.headroom_percent / 100)
    return Reading(
        name=name,
        value=connections,
        needed=connections / usable,
        wakes=connections > 0,
        loads=tuple(loads),
    )


def rounded(needed: float) -> int:
    """Whole pods; a hair above a whole number, as divisions leave it, is no further pod."""
    return math.ceil(needed - 1e-9)
