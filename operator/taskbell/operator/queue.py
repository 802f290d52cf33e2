"""A level-triggered work queue: which object is looked at when, and never twice at the same time.

Each object has one task that waits for a change or for its next time and then makes a pass. Changes that arrive while
it waits are one pass; changes that arrive during a pass cause one more. A pass that fails is repeated with exponential
back-off and jitter. Every known object is looked at again after the resync interval, so that nothing depends on a
watch event that was lost.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog

from taskbell.kit.waiting import happens
from taskbell.operator.metrics import QUEUED, RECONCILE_SECONDS, RECONCILES
from taskbell.operator.words import in_words

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Key:
    """One object to look at."""

    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a pass says about the next one.

    Attributes:
        again_in: Seconds until the next pass; None leaves it to the resync.
        gone: The object no longer exists: forget it.
    """

    again_in: float | None = None
    gone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """Seconds: the first and the longest back-off, and the resync of an object without changes."""

    first_backoff: float = 0.5
    longest_backoff: float = 60.0
    resync: float = 300.0


class Queue:
    """Decides when passes over objects are made, and makes them. One event loop only."""

    def __init__(
        self, passes: Mapping[str, Callable[[Key], Awaitable[Outcome]]], *, intervals: Intervals, workers: int = 4
    ) -> None:
        """Take the pass for each kind, and how many passes of one kind run at the same time.

        Kinds do not share workers, so that pools with slow signals do not delay schedules.
        """
        self._passes = passes
        self._intervals = intervals
        self._workers = {kind: asyncio.Semaphore(workers) for kind in passes}
        self._tasks: asyncio.TaskGroup | None = None
        self._changed: dict[Key, asyncio.Event] = {}
        self._resting: set[Key] = set()

    def add(self, key: Key) -> None:
        """Ask for a pass over an object soon. Never blocks."""
        if key not in self._changed:
            self._changed[key] = asyncio.Event()
            if self._tasks is not None:
                self._tasks.create_task(self._keep(key))
        self._changed[key].set()

    def touch(self, key: Key) -> None:
        """Ask for a pass over an object soon if it is known; one that is not known need not exist. Never blocks."""
        if key in self._changed:
            self.add(key)

    @property
    def idle(self) -> bool:
        """Whether no pass runs and none is due now."""
        changed = any(event.is_set() for event in self._changed.values())
        return not changed and self._resting == self._changed.keys()

    async def run(self) -> None:
        """Make passes until cancelled; passes that run then are cancelled, too. Run again, it looks at all objects."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                for key, changed in self._changed.items():
                    changed.set()
                    tasks.create_task(self._keep(key))
                await asyncio.Event().wait()
            finally:
                self._tasks = None  # a group that ends takes no more tasks

    async def _keep(self, key: Key) -> None:
        """Make passes over one object until it is gone."""
        changed, failures, wait = self._changed[key], 0, self._intervals.resync
        while True:
            self._resting.add(key)
            await happens(changed, within=wait)
            self._resting.discard(key)
            with QUEUED.labels(kind=key.kind).track_inprogress():
                await self._workers[key.kind].acquire()
            changed.clear()
            try:
                with RECONCILE_SECONDS.labels(kind=key.kind).time():
                    outcome = await self._passes[key.kind](key)
            except Exception as failed:  # noqa: BLE001 -- logged, counted, repeated with back-off
                failures += 1
                wait = self._back_off(key, failures, failed)
                continue
            finally:
                self._workers[key.kind].release()
            RECONCILES.labels(kind=key.kind, outcome="ok").inc()
            if outcome.gone and not changed.is_set():
                del self._changed[key]
                return
            resync = self._intervals.resync * random.uniform(0.9, 1.1)  # noqa: S311 -- jitter, not a secret
            failures, wait = 0, resync if outcome.again_in is None else min(outcome.again_in, resync)

    def _back_off(self, key: Key, failures: int, failed: Exception) -> float:
        """Log and count a failed pass; returns the seconds until the next one."""
        RECONCILES.labels(kind=key.kind, outcome="failed").inc()
        longest = min(self._intervals.first_backoff * 2 ** min(failures - 1, 16), self._intervals.longest_backoff)
        again_in = random.uniform(longest / 2, longest)  # noqa: S311 -- jitter, not a secret
        _log.warning(
            "reconcile_failed",
            kind=key.kind,
            namespace=key.namespace,
            name=key.name,
            failures=failures,
            again_in_s=round(again_in, 2),
            error=in_words(failed),
        )
        return again_in
