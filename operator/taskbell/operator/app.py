"""Composition: builds the operator from its settings, runs it and stops it."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import httpx

from taskbell.kit.clock import Clock, SystemClock
from taskbell.kit.looper import running
from taskbell.kit.nats_consumers import Consumers
from taskbell.kit.probes.server import serving_probes
from taskbell.operator import preflight
from taskbell.operator.cluster import Cluster, Resource, open_api
from taskbell.operator.events import Events
from taskbell.operator.lease import Leadership
from taskbell.operator.queue import Intervals, Queue
from taskbell.operator.reconcile.reminder_schedule import ScheduleKeeper
from taskbell.operator.reconcile.worker_pool import PoolKeeper
from taskbell.operator.settings import OperatorSettings
from taskbell.operator.signals import SignalReader
from taskbell.operator.specs.cron_job import SweepDefaults
from taskbell.operator.supervision import Watches, keep_watching
from taskbell.operator.watches import Reports, watch

_POD_TIMEOUT = 3.0
"""Seconds within which a pod must answer with its metrics."""


@asynccontextmanager
async def operating(
    settings: OperatorSettings,
    *,
    watches: Watches,
    clock: Clock | None = None,
    intervals: Intervals | None = None,
    url: str = "",
) -> AsyncIterator[Queue]:
    """Keep all objects for the length of the block, without regard to any Lease.

    `watches` tells which watches run. `url` names an API server without sign-in; the default is the pod's or the
    kubeconfig's. Tests set `clock` and `intervals`; the settings give the defaults.
    """
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        cluster = Cluster(await stack.enter_async_context(await open_api(url=url)))
        events = Events(cluster, clock=clock, reporter=_identity(settings))
        schedules = ScheduleKeeper(cluster, events, sweeps=_sweep_defaults(settings), clock=clock)
        consumers = await stack.enter_async_context(Consumers(name="taskbell-operator"))
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=_POD_TIMEOUT))
        nats_url = settings.nats_url.get_secret_value() if settings.nats_url else None
        signals = SignalReader(cluster, consumers, http, nats_url=nats_url, clock=clock)
        interval = settings.operator_scale_interval.total_seconds()
        pools = PoolKeeper(cluster, events, signals, interval=interval, clock=clock)
        queue = Queue(
            {"ReminderSchedule": schedules.keep, "WorkerPool": pools.keep},
            intervals=intervals or Intervals(resync=settings.operator_resync.total_seconds()),
            workers=settings.operator_workers,
        )

        reports = Reports(changed=queue.add, name_changed=queue.touch, answered=watches.answered)

        async def watch_kinds(kinds: Sequence[Resource]) -> None:
            await watch(kinds, reports, namespaces=settings.operator_watch_namespaces, url=url)

        async def watch_all() -> None:
            await keep_watching(watches, cluster, watch_kinds)

        await stack.enter_async_context(running(queue.run, name="operator-queue"))
        await stack.enter_async_context(running(watch_all, name="operator-watches"))
        yield queue


async def run(settings: OperatorSettings, *, listening: socket.socket, stop: asyncio.Event, url: str = "") -> None:
    """Serve probes, wait for the API server, acquire the Lease, work until `stop`, release the Lease.

    Raises:
        NotReadyToWork: Permissions are missing.
        ClusterRefused: There is no way to sign in.
        LeaseLost: Another process may lead now; this one must end.
    """
    watches = Watches(settings.operator_watch_namespaces)
    async with AsyncExitStack() as stack:
        cluster = Cluster(await stack.enter_async_context(await open_api(url=url)))
        checks = {"api_server": cluster.check, **watches.checks()}
        await stack.enter_async_context(serving_probes(checks, listening=listening))
        leadership = Leadership(
            cluster,
            namespace=settings.operator_namespace,
            identity=f"{_identity(settings)}_{secrets.token_hex(4)}",
            duration=settings.operator_lease_duration.total_seconds(),
            clock=SystemClock(),
        )

        async def lead() -> None:
            namespaces = settings.operator_watch_namespaces
            await preflight.check(cluster, own_namespace=settings.operator_namespace, namespaces=namespaces)
            await leadership.acquire()
            async with operating(settings, watches=watches, url=url):
                await leadership.hold()

        leader = asyncio.create_task(lead(), name="operator-leader")
        stopping = asyncio.create_task(stop.wait(), name="operator-stop")
        try:
            await asyncio.wait([leader, stopping], return_when=asyncio.FIRST_COMPLETED)
            if leader.done():
                leader.result()
        finally:
            for task in (leader, stopping):
                task.cancel()
            await asyncio.gather(leader, stopping, return_exceptions=True)
            await leadership.release()


def _identity(settings: OperatorSettings) -> str:
    return settings.operator_identity or socket.gethostname()


def _sweep_defaults(settings: OperatorSettings) -> SweepDefaults:
    return SweepDefaults(
        image=settings.operator_image,
        pull_policy=settings.operator_image_pull_policy,
        pull_secrets=settings.operator_image_pull_secrets,
        service_account=settings.operator_job_service_account,
        secrets=settings.operator_job_secrets,
        config_maps=settings.operator_job_config_maps,
    )
