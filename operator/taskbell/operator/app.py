"""Composition: builds the operator from its settings, runs it, and takes it down."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import httpx

from taskbell.kit.clock import Clock, SystemClock
from taskbell.kit.looper import running
from taskbell.kit.nats_consumers import Consumers
from taskbell.operator import preflight
from taskbell.operator.cluster import Cluster, open_api
from taskbell.operator.events import Events
from taskbell.operator.lease import Leadership
from taskbell.operator.probes import probing
from taskbell.operator.queue import Key, Pace, Queue
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
    """An operator at work.

    Attributes:
        queues: By kind, so that pools whose signals hang hold no schedule up.
        watching: Set once the watches are up.
    """

    queues: Mapping[str, Queue]
    watching: asyncio.Event

    @property
    def idle(self) -> bool:
        """Whether nothing waits for a worker nor is worked on."""
        return all(queue.idle for queue in self.queues.values())


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What its surroundings give or tests replace.

    Attributes:
        pace: Of the queue; None takes it from the settings.
        url: An API server without sign-in; empty takes the pod's service account or the kubeconfig.
        watching: Set once the watches are up.
    """

    clock: Clock = field(default_factory=SystemClock)
    pace: Pace | None = None
    url: str = ""
    watching: asyncio.Event = field(default_factory=asyncio.Event)


class WatchesNotUp(Exception):
    """The operator leads, but does not see the cluster's objects yet."""


@asynccontextmanager
async def operating(settings: OperatorSettings, around: Surroundings | None = None) -> AsyncIterator[Operator]:
    """Keep all objects for the length of the block, without regard to any Lease."""
    around = around or Surroundings()
    async with AsyncExitStack() as stack:
        cluster = Cluster(await stack.enter_async_context(await open_api(url=around.url)))
        events = Events(cluster, clock=around.clock, reporter=_identity(settings))
        schedules = ScheduleKeeper(cluster, events, around=_sweeps(settings), clock=around.clock)
        consumers = await stack.enter_async_context(Consumers(name="taskbell-operator"))
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=_POD_TIMEOUT))
        nats_url = settings.nats_url.get_secret_value() if settings.nats_url else None
        signals = Signals(cluster, consumers, http, nats_url=nats_url, clock=around.clock)
        interval = settings.operator_scale_interval.total_seconds()
        pools = PoolKeeper(cluster, events, signals, interval=interval, clock=around.clock)
        keepers = {"ReminderSchedule": schedules.keep, "WorkerPool": pools.keep}
        pace = around.pace or Pace(resync=settings.operator_resync.total_seconds())
        queues = {
            kind: Queue(keep, around.clock, pace=pace, workers=settings.operator_workers)
            for kind, keep in keepers.items()
        }

        def enqueue(key: Key) -> None:
            queues[key.kind].add(key)

        async def watch_all() -> None:
            namespaces = settings.operator_watch_namespaces
            await watch(enqueue, ready=around.watching.set, namespaces=namespaces, url=around.url)

        for queue in queues.values():
            await stack.enter_async_context(running(queue.run, name="operator-queue"))
        await stack.enter_async_context(running(watch_all, name="operator-watches"))
        yield Operator(queues=queues, watching=around.watching)


async def run(settings: OperatorSettings, *, listening: socket.socket, stop: asyncio.Event, url: str = "") -> None:
    """Serve probes, get the Lease, work until `stop`, give the Lease back.

    Raises:
        NotReadyToWork: Definitions or permissions are missing.
        ClusterRefused: The API server does not answer at the start.
        LeaseLost: Another process may be at work now; this one must end.
    """
    around = Surroundings(url=url)
    async with AsyncExitStack() as stack:
        cluster = Cluster(await stack.enter_async_context(await open_api(url=url)))
        leading = asyncio.Event()

        async def watching() -> None:
            if leading.is_set() and not around.watching.is_set():
                raise WatchesNotUp

        checks = {"api_server": cluster.check, "watches": watching}
        await stack.enter_async_context(probing(checks, listening=listening))
        namespaces = settings.operator_watch_namespaces
        await preflight.check(cluster, own_namespace=settings.operator_namespace, namespaces=namespaces)
        leadership = Leadership(
            cluster,
            namespace=settings.operator_namespace,
            identity=f"{_identity(settings)}_{secrets.token_hex(4)}",
            duration=settings.operator_lease_duration.total_seconds(),
            clock=around.clock,
        )

        async def lead() -> None:
            await leadership.acquire()
            leading.set()
            async with operating(settings, around):
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


def _sweeps(settings: OperatorSettings) -> SweepSurroundings:
    return SweepSurroundings(
        image=settings.operator_image,
        pull_policy=settings.operator_image_pull_policy,
        pull_secrets=settings.operator_image_pull_secrets,
        service_account=settings.operator_job_service_account,
        secrets=settings.operator_job_secrets,
        config_maps=settings.operator_job_config_maps,
    )
