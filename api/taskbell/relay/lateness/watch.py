"""Measures how late reminders are, as long as a relay is the active one."""

from __future__ import annotations

import asyncio

from taskbell.relay.lateness.metrics import BOUNDS, LATENESS
from taskbell.relay.lateness.repository import watching

_COUNTED_AT_MOST = 10_000


async def watch(url: str, *, every: float) -> None:
    """Measure every `every` seconds until cancelled; then the overdue reminders are no longer exported.

    Raises:
        DatabaseUnavailable: PostgreSQL is away or refuses the statement.
    """
    try:
        async with watching(url) as punctuality:
            while True:
                overdue = await punctuality.overdue(at_most=_COUNTED_AT_MOST)
                LATENESS.show(overdue, await punctuality.fired(bounds=BOUNDS))
                await asyncio.sleep(every)
    finally:
        LATENESS.forget()
