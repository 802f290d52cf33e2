"""The life of a relay: connect, take the lease or stand by, publish, start again after an interruption."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import structlog

from taskbell.contract.events import MAX_MESSAGE_BYTES
from taskbell.contract.subjects import RELAY_POKE, StreamConfiguration
from taskbell.kit.looper import running
from taskbell.kit.nats_bus import BusUnavailable, Pokes, connect
from taskbell.kit.nats_provision import Provision
from taskbell.kit.nats_publisher import AppendInterrupted, AppendPublisher
from taskbell.kit.nats_streams import Streams
from taskbell.kit.probes.health import Check
from taskbell.kit.trace import Tracing
from taskbell.kit.waiting import happens
from taskbell.relay import metrics
from taskbell.relay.errors import DatabaseUnavailable, RelayInterrupted
from taskbell.relay.lateness.watch import watch
from taskbell.relay.policy import Pace
from taskbell.relay.relay import Lag, Relay, RelayInputs, Rhythm, Watermark
from taskbell.relay.reports import watch as reports
from taskbell.relay.repository import Events, Leases, Term, connected
from taskbell.relay.settings import RelaySettings
from taskbell.relay.stores.watch import watch_jetstream, watch_postgres
from taskbell.relay.stream import PROVISION, EventStream
from taskbell.relay.usage import watch as usage
from taskbell.relay.usage.repository import Quota

_log = structlog.get_logger(__name__)
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0
_LATENESS_EVERY = 15.0
"""Seconds between two measurements of how late reminders are."""
_STORES_EVERY = 15.0
"""Seconds between two measurements of PostgreSQL and JetStream."""
_USAGE_EVERY = 5.0
"""Seconds between two measurements of what workspaces write."""
_REPORTS_EVERY = 2.0
"""Seconds between two times of summing events up for reports; a report reads the events of these seconds itself."""


class Supervision:
    """Runs one relay, active or on standby. After every interruption it opens new sessions and connections.

    So no message and no state from before an interruption survives it.
    """

    def __init__(self, settings: RelaySettings, *, holder: str, tracing: Tracing) -> None:
        """Take the settings and a name that no other relay has, not even an earlier process of this one."""
        self._settings = settings
        self._holder = holder
        self._tracing = tracing
        self._watermark = Watermark()
        self._lag = Lag()
        metrics.LAG_SECONDS.set_function(self._lag.seconds)
        self._inputs = RelayInputs(wake=asyncio.Event())
        self._leases: Leases | None = None
        self._bus: Pokes | None = None
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Let `run` end: messages in flight are finished, the position is saved, and the lease is released."""
        self._stopping.set()
        self._inputs.stopping = True
        self._inputs.wake.set()

    def checks(self) -> dict[str, Check]:
        """Health checks. A standby is as ready as the active relay."""
        return {"database": self._check_database, "nats": self._check_nats}

    async def run(self) -> None:
        """Publish or stand by until `stop`."""
        pause, loop = _FIRST_PAUSE, asyncio.get_running_loop()
        while not self._stopping.is_set():
            started = loop.time()
            try:
                await self._live()
            except (RelayInterrupted, BusUnavailable, AppendInterrupted) as reason:
                if loop.time() - started > 5:
                    pause = _FIRST_PAUSE
                metrics.INTERRUPTIONS.labels(reason=type(reason).__name__).inc()
                _log.warning("relay_interrupted", reason=type(reason).__name__, detail=str(reason))
                await happens(self._stopping, within=random.uniform(pause / 2, pause))  # noqa: S311 -- jitter, not a secret
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def _live(self) -> None:
        ttl = self._settings.relay_lease_ttl.total_seconds()
        async with connected(self._settings.database_url.get_secret_value()) as session:
            self._leases = leases = Leases(session, holder=self._holder, ttl=ttl)
            try:
                while not self._stopping.is_set():
                    # A relay without NATS must not hold the lease: another one may reach NATS.
                    async with self._on_bus() as (publisher, stream):
                        while (term := await leases.acquire()) is None:
                            self._lag.since = None  # only the active relay needs it
                            if await happens(self._stopping, within=ttl / 6):
                                return
                        await self._serve(leases, term, publisher=publisher, stream=stream)
            finally:
                self._leases = None

    @asynccontextmanager
    async def _on_bus(self) -> AsyncIterator[tuple[AppendPublisher, EventStream]]:
        settings = self._settings
        self._inputs.reconnected = False
        client = await connect(
            settings.nats_url.get_secret_value(), name="taskbell-relay", on_reconnect=self._reconnected, patience=1.0
        )
        try:
            self._bus = Pokes(client)
            await self._bus.listen(RELAY_POKE, self._inputs.wake.set)
            publisher = AppendPublisher(
                client,
                in_flight=settings.relay_batch_size,
                ack_timeout=settings.relay_acknowledgement_timeout.total_seconds(),
            )
            await publisher.start(largest=MAX_MESSAGE_BYTES)
            configuration = StreamConfiguration(max_age=settings.event_retention, replicas=settings.stream_replicas)
            provision = Provision(client, PROVISION)
            yield publisher, EventStream(Streams(client), provision=provision, configuration=configuration)
        finally:
            self._bus = None
            await client.close()

    async def _serve(self, leases: Leases, term: Term, *, publisher: AppendPublisher, stream: EventStream) -> None:
        """Publish for one term while the lease is renewed; release the lease in any case."""
        _log.info("lease_taken", term=term.number)
        metrics.LEASE_HELD.set(1)
        url = self._settings.database_url.get_secret_value()
        bus = self._settings.nats_url.get_secret_value()
        try:
            # From taking the lease to the first poll, and after a sudden end, the relay counts as behind.
            self._lag.interrupted()
            watching = partial(watch, url, every=_LATENESS_EVERY)
            quota = Quota(daily=self._settings.workspace_daily_bytes, tasks=self._settings.workspace_task_bytes)
            measuring = partial(usage.watch, url, quota=quota, every=_USAGE_EVERY)
            async with (
                connected(url) as session,
                running(watching, name="reminder-watch"),
                running(measuring, name="usage-watch"),
                running(partial(reports.watch, url, every=_REPORTS_EVERY), name="reports-watch"),
                running(partial(watch_postgres, url, every=_STORES_EVERY), name="postgres-watch"),
                running(partial(watch_jetstream, bus, every=_STORES_EVERY), name="jetstream-watch"),
            ):
                relay = Relay(
                    events=Events(session, term=term),
                    stream=stream,
                    publisher=publisher,
                    inputs=self._inputs,
                    watermark=self._watermark,
                    lag=self._lag,
                    rhythm=_rhythm(self._settings),
                    tracing=self._tracing,
                )
                await _first_of(carry=relay.run(), renew=self._renew(leases, term))
        finally:
            self._lag.interrupted()
            metrics.LEASE_HELD.set(0)
            await _give_back(leases, term)

    async def _renew(self, leases: Leases, term: Term) -> None:
        while True:
            await asyncio.sleep(self._settings.relay_lease_ttl.total_seconds() / 3)
            if await leases.renew(term):
                self._inputs.replay_wanted = True
                self._inputs.wake.set()

    async def _reconnected(self) -> None:
        self._inputs.reconnected = True
        self._inputs.wake.set()

    async def _check_database(self) -> None:
        if self._leases is None:
            raise DatabaseUnavailable("not connected")
        await self._leases.check()

    async def _check_nats(self) -> None:
        if self._bus is None:
            raise BusUnavailable("not connected")
        await self._bus.check()


async def _first_of(**works: Coroutine[Any, Any, None]) -> None:
    """Run several coroutines until the first ends; cancel the others; raise what the first raised."""
    tasks = [asyncio.create_task(work, name=name) for name, work in works.items()]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in done:
        task.result()


async def _give_back(leases: Leases, term: Term) -> None:
    try:
        await leases.release(term)
    except DatabaseUnavailable as failed:
        _log.warning("lease_not_given_back", detail=str(failed))  # it ends by itself
    else:
        _log.info("lease_given_back", term=term.number)


def _rhythm(settings: RelaySettings) -> Rhythm:
    return Rhythm(
        pace=Pace(
            gather=settings.relay_gather.total_seconds(),
            fastest=settings.relay_poll_fastest.total_seconds(),
            slowest=settings.relay_poll_slowest.total_seconds(),
        ),
        batch=settings.relay_batch_size,
        batch_bytes=settings.relay_batch_bytes,
        save_every=settings.relay_save_every.total_seconds(),
        stream_check=settings.relay_stream_check.total_seconds(),
        retention=settings.event_retention,
    )
