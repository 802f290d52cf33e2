"""Composition: builds the operator from its settings, runs it, and takes it down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import httpx

from taskbell.kit.clock import Clock, SystemClock
from taskbell.kit.looper import running
from taskbell.kit.nats_consumers import Consumers
from taskbell.operator.cluster import Cluster, open_api
from taskbell.operator.events import Events
from taskbell.operator.queue import Key, Outcome, Pace, Queue
from taskbell.operator.reconcile.reminder_schedule import ScheduleKeeper
from taskbell.operator.reconcile.worker_pool import PoolKeeper
from taskbell.operator.settings import OperatorSettings
from taskbell.operator.signals.readings import Signals
from taskbell.operator.specs.cron_job import SweepSurroundings
from taskbell.operator.watches import watch

_POD_TIMEOUT = 3.0
"""Seconds that a pod has to tell its connections."""


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator at work."""

    queue: Queue
    watching: asyncio.Event
    """Set once the watches are up."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What tests replace: time, the pace of the queue, and the API server's address (empty: as the pod has it)."""

    clock: Clock = field(default_factory=SystemClock)
    pace: Pace | None = None
    url: str = ""


@asynccontextmanager
async def operating(settings: OperatorSettings, around: Surroundings | None = None) -> AsyncIterator[Operator]:
    """Keep all objects for the length of the block, without regard to any Lease."""
    around = around or Surroundings()
    async with AsyncExitStack() as stack:
        cluster = Cluster(await stack.enter_async_context(await open_api(url=around.url)))
        events = Events(cluster, clock=around.clock, reporter=settings.operator_identity)
        schedules = ScheduleKeeper(cluster, events, around=_sweeps(settings), clock=around.clock)
        consumers = await stack.enter_async_context(Consumers(name="taskbell-operator"))
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=_POD_TIMEOUT))
        nats_url = settings.nats_url.get_secret_value() if settings.nats_url else None
        signals = Signals(cluster, consumers, http, nats_url=nats_url, clock=around.clock)
        interval = settings.operator_scale_interval.total_seconds()
        pools = PoolKeeper(cluster, events, signals, interval=interval, clock=around.clock)
        keepers = {"ReminderSchedule": schedules.keep, "WorkerPool": pools.keep}

        async def keep(key: Key) -> Outcome:
            keeper = keepers.get(key.kind)
            return await keeper(key) if keeper else Outcome(gone=True)

        pace = around.pace or Pace(resync=settings.operator_resync.total_seconds())
        queue = Queue(keep, around.clock, pace=pace, workers=settings.operator_workers)
        stop, watching = asyncio.Event(), asyncio.Event()

        async def watch_all() -> None:
            namespaces = settings.operator_watch_namespaces
            await watch(queue.add, stop=stop, ready=watching, namespaces=namespaces, url=around.url)

        await stack.enter_async_context(running(queue.run, name="operator-queue"))
        await stack.enter_async_context(running(watch_all, name="operator-watches"))
        yield Operator(queue=queue, watching=watching)


def _sweeps(settings: OperatorSettings) -> SweepSurroundings:
    return SweepSurroundings(
        image=settings.operator_image,
        pull_policy=settings.operator_image_pull_policy,
        pull_secrets=settings.operator_image_pull_secrets,
        service_account=settings.operator_job_service_account,
        secrets=settings.operator_job_secrets,
        config_maps=settings.operator_job_config_maps,
    )
