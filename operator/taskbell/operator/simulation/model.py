"""A consumer and its pods in steps of a second, sized by the operator's own decisions."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from taskbell.contract.worker_pools import JetStreamSignal, WorkerPoolSpec
from taskbell.operator.plan.need import Pace, Sample, observe, read_backlog
from taskbell.operator.plan.scaling import Memory, decide
from taskbell.operator.plan.worker_pool import explain
from taskbell.operator.simulation.loads import Load

_PROGRESS_EVERY = 3600
"""Simulated seconds between two reports of the progress."""
_MOST_CHANGES = 2000
"""Changes that are kept with their reasons; all are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """What a simulation assumes of the pods.

    Attributes:
        pace: Messages that one pod completes a second.
        start_up: Seconds until an added pod works.
        in_flight: Messages that one pod holds unacknowledged.
        max_ack_pending: The consumer's limit on unacknowledged messages; 0: none.
        interval: Seconds between two decisions.
        first: Pods at the beginning.
    """

    pace: float
    start_up: int
    in_flight: int
    max_ack_pending: int
    interval: int
    first: int


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the size at a second, with the operator's words."""

    at: int
    before: int
    size: int
    reason: str


@dataclass(slots=True, kw_only=True)
class Run:
    """What happened, second by second.

    Attributes:
        backlog: Messages that are not completed at the end of each second.
        age: Age of the oldest of them, in seconds.
        pods: Pods that exist, whether they work yet or not.
        changes: The first changes of the size with their reasons.
        ups: How often the pool grew.
        downs: How often it shrank.
        at_most: Seconds with a backlog for which the pool wanted more than `replicas.max`.
        completed: Messages that were completed.
    """

    backlog: list[float] = field(default_factory=list)
    age: list[int] = field(default_factory=list)
    pods: list[int] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    ups: int = 0
    downs: int = 0
    at_most: int = 0
    completed: float = 0.0

    def summary(self, load: Load) -> dict[str, Any]:
        """The figures for people and machines; times are in seconds from the beginning."""
        worst, oldest = max(self.backlog), max(self.age)
        return {
            "seconds": len(load),
            "arrived": round(sum(load)),
            "completed": round(self.completed),
            "left": round(self.backlog[-1]),
            "max_backlog": round(worst),
            "max_backlog_at": self.backlog.index(worst),
            "max_age_s": oldest,
            "max_age_at": self.age.index(oldest),
            "pod_hours": round(sum(self.pods) / 3600, 2),
            "max_pods": max(self.pods),
            "mean_pods": round(sum(self.pods) / len(self.pods), 2),
            "scaled_up": self.ups,
            "scaled_down": self.downs,
            "seconds_at_max": self.at_most,
        }


def simulate(
    spec: WorkerPoolSpec,
    name: str,
    signal: JetStreamSignal,
    load: Load,
    workers: Workers,
    *,
    tell: Callable[[int], None] = lambda _: None,
) -> Run:
    """Run a load through a pool; `tell` hears now and then how many seconds are done.

    Messages are completed in the order of their arrival, each once. A pod that is removed stops at once, the newest
    first, and what it held waits again.
    """
    run, memory = Run(), Memory()
    ready_at = [0] * workers.first
    total, oldest, passed = 0.0, 0, 0.0  # `passed`: messages that arrived before the second `oldest`
    limited = False
    for second, arriving in enumerate(load):
        if second % workers.interval == 0:
            waiting = max(0, round(total - run.completed))
            unacked = min(waiting, _held(workers, _working(ready_at, second)))
            sample = Sample(
                at=float(second),
                pending=waiting - unacked,
                unacked=unacked,
                delivered=round(run.completed) + unacked,
                pods=len(ready_at),
                oldest=float(run.age[-1]) if run.age and run.age[-1] else None,
            )
            pace = observe(memory.paces.get(name, Pace()), sample)
            reading = read_backlog(name, signal, sample, pace, max_unacked=workers.max_ack_pending)
            before = len(ready_at)
            decision, memory = decide(spec, memory, (reading,), current=before, now=float(second))
            limited = decision.recommended > decision.size == spec.replicas.max
            if decision.size != before:
                memory = memory.changed(float(second), decision.size - before)
                _resize(ready_at, decision.size, second + workers.start_up)
                run.ups += decision.size > before
                run.downs += decision.size < before
                if len(run.changes) < _MOST_CHANGES:
                    words = explain(decision, (reading,), before=before)
                    run.changes.append(Change(second, before, decision.size, words))
        total += arriving
        run.completed += min(total - run.completed, _capacity(workers, _working(ready_at, second)))
        while oldest <= second and passed + load[oldest] <= run.completed + max(1e-6, total * 1e-12):
            passed += load[oldest]
            oldest += 1
        run.backlog.append(max(0.0, total - run.completed))
        run.age.append(second + 1 - oldest)
        run.pods.append(len(ready_at))
        run.at_most += limited
        if second % _PROGRESS_EVERY == 0:
            tell(second)
    return run


def _working(ready_at: list[int], second: int) -> int:
    """How many pods work: pods are added at the end, so the times are in order."""
    return bisect_right(ready_at, second)


def _held(workers: Workers, working: int) -> int:
    held = working * workers.in_flight
    return min(held, workers.max_ack_pending) if workers.max_ack_pending else held


def _capacity(workers: Workers, working: int) -> float:
    """Messages that the pods complete in a second; fewer if the consumer does not give each of them enough."""
    return workers.pace * _held(workers, working) / workers.in_flight


def _resize(ready_at: list[int], size: int, ready: int) -> None:
    """Add pods that work from a second on, or remove the newest."""
    del ready_at[size:]
    ready_at.extend([ready] * (size - len(ready_at)))
