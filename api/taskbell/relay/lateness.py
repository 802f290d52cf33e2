"""Measures how late reminders are, in the active relay: sweeps are short-lived, and the worst is that none runs."""

from __future__ import annotations

import asyncio

from taskbell.relay.lateness_metrics import BOUNDS, LATENESS
from taskbell.relay.repository import watching

_COUNTED_AT_MOST = 10_000


async def watch(url: str, *, every: float) -> None:
    """Measure every so many seconds until cancelled; after that nothing is exported that may be outdated.

    Raises:
        DatabaseUnavailable: PostgreSQL is away, or refuses to tell.
    """
    try:
        async with watching(url) as punctuality:
            while True:
                overdue = await punctuality.overdue(at_most=_COUNTED_AT_MOST)
                LATENESS.show(overdue, await punctuality.fired(bounds=BOUNDS))
                await asyncio.sleep(every)
    finally:
        LATENESS.forget()
