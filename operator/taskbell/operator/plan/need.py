"""How many pods a signal asks for, before tolerance, stabilization, policies and bounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from taskbell.contract.crd_schema import seconds
from taskbell.contract.worker_pools import JetStreamSignal, WebSocketSignal
from taskbell.operator.plan.draining import Ending
from taskbell.operator.plan.victims import Load

_LEAST_SPAN = 5.0
"""Seconds between two samples from which a pace is measured; a shorter span measures chance."""
_NEWEST_WEIGHT = 0.5
"""Weight of the newest measurement of a pace; earlier measurements have the rest."""
_DOUBLED_IN = 900.0
"""Seconds in which the assumed pace of a pod doubles while no backlog proves it."""
_PROVEN_FOR = 1800.0
"""Seconds for which a backlog's proof of a pace counts."""
_GROWTH_BY_AGE = 2.0
"""An old message asks for at most this many times the present pods: more pods may not be what it waits for."""
_FULL = 0.95
"""From this share of `max_ack_pending` on, the consumer's limit and not the number of pods limits the work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A consumer at a moment.

    Attributes:
        at: Seconds of the monotonic clock.
        pending: Messages that wait.
        unacked: Messages that are delivered and not acknowledged.
        delivered: Deliveries so far.
        pods: Pods that work on them.
        oldest: Age of the oldest unprocessed message in seconds; None if it is unknown or nothing waits.
    """

    at: float
    pending: int
    unacked: int
    delivered: int
    pods: int
    oldest: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Messages a second that arrive and that one pod completes, as measured between samples.

    Attributes:
        arriving: Messages that arrive a second.
        per_pod: Messages that one pod can complete a second; None while that is unknown.
        proven_at: When a backlog last proved `per_pod`. Without a proof it is what a pod was seen to do, which may be
            far less than it can do.
        sample: The sample that the next one is compared with.
    """

    arriving: float = 0.0
    per_pod: float | None = None
    proven_at: float = -math.inf
    sample: Sample | None = None

    def is_proven(self, at: float) -> bool:
        """Whether the proof still counts: work may have become lighter since, which no backlog shows."""
        return at - self.proven_at < _PROVEN_FOR


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one signal says.

    Attributes:
        value: Messages or connections; None if the signal cannot be read.
        needed: Pods that it asks for, as a fraction.
        wakes: Whether it starts an empty pool.
        saturated: Whether `max_ack_pending` is reached, so that more pods do not help.
        error: Why it cannot be read.
        missing: Whether the reason is that its source does not exist.
        oldest: Age of the oldest unprocessed message in seconds, while messages wait, if the signal has a limit for it.
        loads: The connections of each pod, for a signal of connections.
        endings: The pods of the target that end, for a signal of connections; None if they were not looked at.
        pace: What the next reading continues from, for a signal of a backlog.
    """

    name: str
    value: int | None = None
    needed: float = 0.0
    wakes: bool = False
    saturated: bool = False
    error: str | None = None
    missing: bool = False
    oldest: float | None = None
    loads: tuple[Load, ...] = ()
    endings: tuple[Ending, ...] | None = None
    pace: Pace | None = None

    @property
    def pods(self) -> int:
        """Whole pods that it asks for; the rounding error of a division asks for none."""
        return math.ceil(self.needed - 1e-9)


def observe(known: Pace, sample: Sample) -> Pace:
    """The pace after one more sample.

    Messages that arrived are those that wait in addition and those that were delivered; messages that were completed
    are those delivered and no longer unacknowledged. Nothing is learned of a pod's pace while pods are added, since new
    pods start late. A consumer that was deleted and created again starts over.
    """
    before = known.sample
    if before is None or sample.delivered < before.delivered:
        return replace(known, arriving=0.0, sample=sample)
    span = sample.at - before.at
    if span < _LEAST_SPAN:
        return known
    delivered = sample.delivered - before.delivered
    arriving = max(0.0, (sample.pending - before.pending + delivered) / span)
    known = replace(known, arriving=arriving, sample=sample)
    completed = delivered - (sample.unacked - before.unacked)
    if before.pods < max(1, sample.pods) or completed <= 0:
        return known
    seen = completed / span / before.pods
    if min(before.pending, sample.pending) >= max(1, completed / span):  # a second's work waited all the time
        weight = _NEWEST_WEIGHT if known.is_proven(sample.at) else 1.0
        per_pod = seen if known.per_pod is None else known.per_pod + weight * (seen - known.per_pod)
        return replace(known, per_pod=per_pod, proven_at=sample.at)
    # An unproven pace rises, so that a pool shrinks slowly until a backlog shows what a pod can do.
    rise = 1.0 if known.is_proven(sample.at) else 1 + span / _DOUBLED_IN
    return replace(known, per_pod=max(seen, (known.per_pod or 0.0) * rise))


def backlog_need(signal: JetStreamSignal, sample: Sample, pace: Pace) -> float:
    """Pods that a consumer needs for the size and age of its backlog, and to drain it in time while messages arrive."""
    by_size = max((sample.pending + sample.unacked) / signal.backlog_per_replica, age_need(signal, sample))
    if pace.per_pod is None or (sample.pending and not pace.is_proven(sample.at)):
        return by_size  # an unproven pace is too low: a burst would ask for far too many pods
    wanted = (pace.arriving + sample.pending / max(1, seconds(signal.drain_target))) / pace.per_pod
    if not sample.pending:
        wanted = min(wanted, sample.pods)  # they keep up, whatever a slower moment showed
    return max(by_size, wanted)


def age_need(signal: JetStreamSignal, sample: Sample) -> float:
    """Pods that the age of the oldest message asks for: none up to its limit, then as many more as it is over it.

    Only while messages wait: the others are with pods already, and more pods would not make them younger.
    """
    if signal.max_message_age is None or sample.oldest is None or not sample.pending:
        return 0.0
    over = sample.oldest / max(1, seconds(signal.max_message_age))
    return max(1, sample.pods) * min(over, _GROWTH_BY_AGE) if over > 1 else 0.0


def read_backlog(name: str, signal: JetStreamSignal, sample: Sample, pace: Pace, *, max_unacked: int) -> Reading:
    """The reading of a consumer."""
    return Reading(
        name=name,
        value=sample.pending + sample.unacked,
        needed=backlog_need(signal, sample, pace),
        wakes=sample.pending > signal.activation or sample.unacked > 0 or age_need(signal, sample) > 0,
        saturated=max_unacked > 0 and sample.pending > 0 and sample.unacked >= _FULL * max_unacked,
        oldest=sample.oldest,
        pace=pace,
    )


def read_sockets(name: str, signal: WebSocketSignal, loads: Sequence[Load], endings: Sequence[Ending] = ()) -> Reading:
    """The reading of open connections. Those of pods that end count, too: their clients come back to the others."""
    connections = sum(load.connections for load in loads) + sum(ending.connections or 0 for ending in endings)
    usable = signal.per_replica * (1 - signal.headroom_percent / 100)
    return Reading(
        name=name,
        value=connections,
        needed=connections / usable,
        wakes=connections > 0,
        loads=tuple(loads),
        endings=tuple(endings),
    )
