"""Maintenance: partitions ahead, what has outlived its use removed. Each step stands alone."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import structlog

from taskbell.sweeper.errors import SweepInterrupted
from taskbell.sweeper.repository import OUTLIVED_TABLES, Upkeep
from taskbell.sweeper.settings import UpkeepSettings

_log = structlog.get_logger(__name__)


async def maintain(upkeep: Upkeep, settings: UpkeepSettings) -> dict[str, Any]:
    """Run every step; a step that fails is told, under `failed`, and the others still run.

    Raises:
        SweepInterrupted: The database's time could not be read: there is no database.
    """
    started = time.monotonic()
    now = await upkeep.now()
    retention = {
        "events": settings.event_retention,
        "notifications": settings.notification_retention,
        "deliveries": settings.delivery_retention,
    }

    async def ahead() -> dict[str, Any]:
        report = await upkeep.make_partitions(settings, now=now)
        return {"created": list(report.created), "in_default": report.in_default}

    steps: dict[str, Callable[[], Awaitable[Any]]] = {
        "partitions": ahead,
        "dropped": partial(upkeep.drop_expired, retention, now=now),
        **{table: partial(upkeep.delete_outlived, table) for table in OUTLIVED_TABLES},
    }
    done: dict[str, Any] = {"kind": "maintenance"}
    failed: dict[str, str] = {}
    for name, step in steps.items():
        try:
            done[name] = await step()
        except SweepInterrupted as refused:
            failed[name] = str(refused)
            _log.exception("maintenance_step_failed", step=name)
    return done | {"failed": failed, "seconds": round(time.monotonic() - started, 3)}
