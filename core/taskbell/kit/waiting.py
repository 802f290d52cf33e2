"""Waiting for an event up to a deadline."""

from __future__ import annotations

import asyncio


async def happens(event: asyncio.Event, *, within: float) -> bool:
    """Wait until an event is set, at most `within` seconds, and tell whether it is."""
    try:
        async with asyncio.timeout(within):
            return await event.wait()
    except TimeoutError:
        return event.is_set()
