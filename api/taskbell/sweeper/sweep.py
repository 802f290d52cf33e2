"""The sweep of reminders: fires what is due, and stays for a while to fire later ones on time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import structlog

from taskbell.contract.notices import Kind
from taskbell.kit.waiting import happens
from taskbell.sweeper.errors import BatchTooSlow
from taskbell.sweeper.policy import Part, pause
from taskbell.sweeper.repository import Fired, Reminders

_log = structlog.get_logger(__name__)
_PROGRESS_EVERY = 5.0
_FEWER = 10


@dataclass(slots=True)
class SweepReport:
    """What a sweep did.

    Attributes:
        kind: What was swept: `due` or `overdue`.
        fired: Reminders whose notifications this sweep wrote.
        told: The number of these notifications.
        repeated: Reminders that the job log held already; nobody was notified again.
        void: Reminders of tasks that were completed, cancelled or deleted.
        latest: The greatest lateness of a reminder that it fired, in seconds.
        oldest_due: How long the oldest reminder that the sweep left had been due at its end, in seconds; 0 if none was.
        seconds: How long the sweep lasted.
    """

    kind: str
    fired: int = 0
    told: int = 0
    repeated: int = 0
    void: int = 0
    latest: float = 0.0
    oldest_due: float = 0.0
    seconds: float = 0.0

    def add(self, batch: list[Fired]) -> None:
        """Count one batch."""
        outcomes = [reminder.outcome for reminder in batch]
        self.fired += outcomes.count("fired")
        self.repeated += outcomes.count("repeated")
        self.void += outcomes.count("void")
        self.told += sum(reminder.told for reminder in batch)
        lateness = [reminder.lateness for reminder in batch if reminder.outcome == "fired"]
        self.latest = max([self.latest, *lateness])

    def document(self) -> dict[str, Any]:
        """The summary for machines."""
        return asdict(self)


async def sweep(
    reminders: Reminders,
    *,
    part: Part,
    batch_size: int,
    stay: timedelta,
    stopping: asyncio.Event,
    poke: Callable[[], Awaitable[None]],
) -> SweepReport:
    """Fire what is due in a part until the time `stay` is over or `stopping` is set.

    If `stay` is zero, it ends when nothing is due.
    A batch that takes too long is tried again with fewer reminders: each may notify many people.

    Raises:
        SweepInterrupted: PostgreSQL went away.
    """
    kind = "overdue" if part.kind is Kind.OVERDUE else "due"
    summary, started = SweepReport(kind), time.monotonic()
    end = started + stay.total_seconds()
    told_at = started
    while not stopping.is_set():
        try:
            batch = await reminders.fire(part, at_most=batch_size)
        except BatchTooSlow as slow:
            if batch_size == 1:
                raise
            batch_size = max(1, batch_size // _FEWER)
            _log.warning("sweep_batch_too_slow", reason=str(slow), next_batch=batch_size)
            continue
        summary.add(batch)
        now = time.monotonic()
        if any(reminder.told for reminder in batch):
            await poke()
        if batch and now - told_at >= _PROGRESS_EVERY:
            told_at = now
            _log.info("sweep_progress", fired=summary.fired, latest_s=round(summary.latest, 3))
        if now >= end and (stay or len(batch) < batch_size):
            break
        if batch:  # more may have become due meanwhile
            continue
        seconds = pause(next_in=await reminders.next_in(part), left=end - now)
        await happens(stopping, within=seconds)
    summary.oldest_due = round(await reminders.oldest(part), 3)
    summary.seconds = round(time.monotonic() - started, 3)
    return summary
