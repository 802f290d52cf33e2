"""A walk: a sweep that goes over a whole table by its key, a bounded step in each transaction.

What it tells is in the job log with the step, so a walk that was killed is repeated from the start, and tells nothing
twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import structlog

from taskbell.sweeper.errors import BatchTooSlow, SweepInterrupted

_log = structlog.get_logger(__name__)
_PROGRESS_EVERY = 5.0
_FEWER = 10


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did.

    Attributes:
        walked: Rows that it looked at.
        fired: Jobs that it did and wrote into the log.
        told: Notifications that it wrote.
        is_last: Whether nothing is left to walk.
    """

    walked: int
    fired: int
    told: int
    is_last: bool


class Walker(Protocol):
    """A table, and the place in it that the walk has reached."""

    async def step(self, *, at_most: int) -> Step:
        """Take the next step, with at most so many jobs. One transaction; the place moves only if it commits.

        Raises:
            BatchTooSlow: The server ended it, so that nothing of it was done; it can be tried again.
            SweepInterrupted: PostgreSQL went away.
        """
        ...


@dataclass(slots=True)
class WalkReport:
    """What a walk did.

    Attributes:
        kind: What was swept: `stale` or `digest`.
        walked: Rows that it looked at.
        fired: Jobs that it did, each once for all sweeps.
        told: Notifications that it wrote.
        seconds: How long it lasted.
    """

    kind: str
    walked: int = 0
    fired: int = 0
    told: int = 0
    seconds: float = 0.0

    def document(self) -> dict[str, Any]:
        """The summary for machines."""
        return asdict(self)


async def walk(
    walker: Walker, *, kind: str, batch_size: int, stopping: asyncio.Event, poke: Callable[[], Awaitable[None]]
) -> WalkReport:
    """Go over the whole table. A step that takes too long is tried again with fewer jobs.

    Raises:
        SweepInterrupted: PostgreSQL went away, or `stopping` was set before the end.
    """
    report, started = WalkReport(kind), time.monotonic()
    told_at = started
    while not stopping.is_set():
        try:
            step = await walker.step(at_most=batch_size)
        except BatchTooSlow as slow:
            if batch_size == 1:
                raise
            batch_size = max(1, batch_size // _FEWER)
            _log.warning("walk_step_too_slow", reason=str(slow), next_batch=batch_size)
            continue
        report.walked += step.walked
        report.fired += step.fired
        report.told += step.told
        if step.told:
            await poke()
        if step.is_last:
            report.seconds = round(time.monotonic() - started, 3)
            return report
        if (now := time.monotonic()) - told_at >= _PROGRESS_EVERY:
            told_at = now
            _log.info("walk_progress", kind=kind, walked=report.walked, told=report.told)
    raise SweepInterrupted(f"the sweep was asked to stop after {report.walked} rows; the next one begins again")
