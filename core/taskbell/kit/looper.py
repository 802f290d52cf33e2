"""Background roles: named, supervised, stopped cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable

import structlog
from prometheus_client import Counter

_log = structlog.get_logger(__name__)

ROLE_FAILURES = Counter(
    "taskbell_role_failures_total",
    "How often a background role ended with an error and was started again. If the rate is steady, read the log.",
    ["role"],
)
_RESET_AFTER = 60.0
_ASKED_AGAIN_AFTER = 0.2
"""Seconds after which a role that continues although it was cancelled is cancelled again."""


async def keep_running(
    run: Callable[[], Awaitable[None]],
    *,
    name: str,
    first_pause: float = 0.1,
    longest_pause: float = 5.0,
) -> None:
    """Run a role until it returns; when it fails, log and count it and start it again.

    The pause before a restart doubles from `first_pause` to `longest_pause` seconds with full jitter, and is
    short again after a minute without failure. Cancelling this call cancels the role.
    """
    loop = asyncio.get_running_loop()
    pause = first_pause
    while True:
        started = loop.time()
        try:
            await run()
        except Exception:  # noqa: BLE001 -- a supervisor: logged, counted, started again
            ROLE_FAILURES.labels(role=name).inc()
            if loop.time() - started > _RESET_AFTER:
                pause = first_pause
            _log.exception("role_failed", role=name, next_start_in_s=round(pause, 2))
            await asyncio.sleep(random.uniform(first_pause / 2, pause))  # noqa: S311 -- jitter, not a secret
            pause = min(pause * 2, longest_pause)
        else:
            return


@contextlib.asynccontextmanager
async def running(run: Callable[[], Awaitable[None]], *, name: str) -> AsyncIterator[asyncio.Task[None]]:
    """Keep a role running in a named task for the length of the block; then cancel it and wait for its end."""
    task = asyncio.create_task(keep_running(run, name=name), name=name)
    try:
        yield task
    finally:
        while not task.done():  # a `wait_for` whose answer comes at the same moment swallows a cancellation (3.11)
            task.cancel()
            await asyncio.wait([task], timeout=_ASKED_AGAIN_AFTER)
        with contextlib.suppress(asyncio.CancelledError):
            await task
