"""Measures what workspaces write and store, as long as a relay is the active one."""

from __future__ import annotations

import asyncio

from taskbell.relay.usage.metrics import OVER_QUOTA
from taskbell.relay.usage.repository import Quota, Usage, measuring


async def watch(url: str, *, quota: Quota, every: float) -> None:
    """Measure every `every` seconds until cancelled.

    Raises:
        DatabaseUnavailable: PostgreSQL is away or refuses the statement.
    """
    try:
        async with measuring(url, quota) as usage:
            while True:
                await look(usage)
                await asyncio.sleep(every)
    finally:
        _show(0, 0)


async def look(usage: Usage) -> None:
    """Measure once, and count the tasks of workspaces that have written much since they were counted."""
    for workspace_id in await usage.measure():
        await usage.count_tasks(workspace_id)
    _show(*await usage.refused())


def _show(refused: int, full: int) -> None:
    OVER_QUOTA.labels(quota="daily").set(refused)
    OVER_QUOTA.labels(quota="tasks").set(full)
