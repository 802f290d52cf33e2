"""A level-triggered work queue: what is to be looked at, when, and never twice at a time.

A key that is added while it waits is one; added while it is worked on, it is worked on once more. A pass that fails
is repeated with exponential back-off and jitter; one that succeeds may ask to be repeated, and every known key is
looked at again after the resync time in any case, so that nothing depends on a watch that was lost.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from taskbell.kit.clock import Clock
from taskbell.operator.metrics import QUEUED, RECONCILE_SECONDS, RECONCILES

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """One object to look at."""

    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a pass says about the next one.

    Attributes:
        again_in: Seconds; None leaves it to the resync.
        gone: The object is no longer there: forget its key.
    """

    again_in: float | None = None
    gone: bool = False


Pass = Callable[[Key], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Times in seconds: the first and the longest back-off, and how often a quiet key is looked at again."""

    first_backoff: float = 0.5
    longest_backoff: float = 60.0
    resync: float = 300.0


@dataclass(slots=True)
class Queue:
    """The queue of one kind of object, and its workers. One event loop only."""

    work: Pass
    clock: Clock
    pace: Pace = field(default_factory=Pace)
    workers: int = 4
    _ready: asyncio.Queue[Key] = field(default_factory=asyncio.Queue)
    _waiting: set[Key] = field(default_factory=set)
    _busy: set[Key] = field(default_factory=set)
    _dirty: set[Key] = field(default_factory=set)
    _due: dict[Key, float] = field(default_factory=dict)
    _later: list[tuple[float, int, Key]] = field(default_factory=list)
    _failures: dict[Key, int] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def add(self, key: Key) -> None:
        """Have an object looked at soon. Never blocks."""
        self._due.pop(key, None)
        if key in self._busy:
            self._dirty.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.put_nowait(key)
            QUEUED.labels(kind=key.kind).set(len(self._waiting))

    def add_later(self, key: Key, seconds: float) -> None:
        """Have an object looked at after a time, unless something comes earlier; replaces a former later time."""
        due = self.clock.monotonic() + seconds
        self._due[key] = due
        heapq.heappush(self._later, (due, next(self._numbers), key))
        self._changed.set()

    @property
    def idle(self) -> bool:
        """Whether nothing waits for a worker nor is worked on; later times do not count."""
        return not (self._waiting or self._busy)

    async def run(self) -> None:
        """Work until cancelled; a pass that is running then is cancelled with it."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._release(), name="operator-queue-times")
            for number in range(self.workers):
                group.create_task(self._serve(), name=f"operator-queue-{number}")

    async def _release(self) -> None:
        """Move keys whose time has come to the workers."""
        while True:
            self._changed.clear()
            now = self.clock.monotonic()
            while self._later and self._later[0][0] <= now:
                due, _, key = heapq.heappop(self._later)
                if self._due.get(key) == due:
                    self.add(key)
            wait = self._later[0][0] - now if self._later else None
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _serve(self) -> None:
        while True:
            key = await self._ready.get()
            self._waiting.discard(key)
            self._busy.add(key)
            QUEUED.labels(kind=key.kind).set(len(self._waiting))
            try:
                await self._pass(key)
            finally:
                self._busy.discard(key)
            if key in self._dirty:
                self._dirty.discard(key)
                self.add(key)

    async def _pass(self, key: Key) -> None:
        started = self.clock.monotonic()
        try:
            outcome = await self.work(key)
        except Exception as failed:  # noqa: BLE001 -- logged, counted, repeated with back-off
            count = self._failures[key] = self._failures.get(key, 0) + 1
            RECONCILES.labels(kind=key.kind, outcome="failed").inc()
            longest = min(self.pace.first_backoff * 2 ** min(count - 1, 16), self.pace.longest_backoff)
            again_in = random.uniform(longest / 2, longest)  # noqa: S311 -- jitter, not a secret
            _log.warning(
                "reconcile_failed",
                kind=key.kind,
                namespace=key.namespace,
                name=key.name,
                failures=count,
                again_in_s=round(again_in, 2),
                error=str(failed) or repr(failed),
            )
            self.add_later(key, again_in)
            return
        RECONCILES.labels(kind=key.kind, outcome="ok").inc()
        RECONCILE_SECONDS.labels(kind=key.kind).observe(self.clock.monotonic() - started)
        self._failures.pop(key, None)
        if outcome.gone:
            return
        resync = self.pace.resync * random.uniform(0.9, 1.1)  # noqa: S311 -- the same
        self.add_later(key, resync if outcome.again_in is None else min(outcome.again_in, resync))
