"""Sums events up for reports, as long as a relay is the active one."""

from __future__ import annotations

import asyncio

from taskbell.relay.reports.metrics import LAG_SECONDS, REPAIRED_CELLS
from taskbell.relay.reports.repository import folding


async def watch(url: str, *, every: float) -> None:
    """Fold every `every` seconds until cancelled.

    Raises:
        DatabaseUnavailable: PostgreSQL is away or refuses the statement.
    """
    try:
        async with folding(url) as reports:
            while True:
                await reports.fold()
                _show(*await reports.measure())
                await asyncio.sleep(every)
    finally:
        _show(0.0, 0)


def _show(lag: float, repaired: int) -> None:
    LAG_SECONDS.set(lag)
    REPAIRED_CELLS.set(repaired)
