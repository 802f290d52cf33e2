"""Maintenance: makes partitions ahead, checks the sums of reports and erases what is over.

A step that fails does not stop the others.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import structlog

from taskbell.sweeper.errors import SweepInterrupted
from taskbell.sweeper.repository import OUTLIVED_TABLES, Maintenance
from taskbell.sweeper.settings import RetentionSettings

_log = structlog.get_logger(__name__)


async def maintain(maintenance: Maintenance, settings: RetentionSettings) -> dict[str, Any]:
    """Run every step. The report names the steps that failed under `failed`.

    Raises:
        SweepInterrupted: The database is away.
    """
    started = time.monotonic()
    now = await maintenance.now()
    retention = {
        "events": settings.event_retention,
        "notifications": settings.notification_retention,
        "deliveries": settings.delivery_retention,
    }

    async def ahead() -> dict[str, Any]:
        report = await maintenance.make_partitions(settings, now=now)
        return {"created": list(report.created), "in_default": report.in_default}

    steps: dict[str, Callable[[], Awaitable[Any]]] = {
        "partitions": ahead,
        "reports": partial(maintenance.check_reports, now=now, event_retention=settings.event_retention),
        "erased": maintenance.erase,
        "dropped": partial(maintenance.drop_expired, retention, now=now),
        **{table: partial(maintenance.delete_outlived, table) for table in OUTLIVED_TABLES},
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
