"""Takes due deliveries from the ledger and attempts them, many at a time."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import structlog
from opentelemetry.trace import SpanKind

from taskbell.delivery import metrics
from taskbell.delivery.alerts import CHANNELS
from taskbell.delivery.lookout import Lookout
from taskbell.delivery.policy import Backoff, Decision, Outcome, State, decide, reason_of
from taskbell.delivery.repository import Claim, Ledger, LedgerUnavailable
from taskbell.delivery.shares import Place, Places, Queue, Shares
from taskbell.kit import trace
from taskbell.kit.trace import TraceContext, Tracing
from taskbell.kit.waiting import happens

_log = structlog.get_logger(__name__)
_RECORD_AGAIN = 0.25
_MEASURE_EVERY = 5.0


class Transport(Protocol):
    """A way to send deliveries: webhook or e-mail."""

    async def send(self, claim: Claim) -> Outcome:
        """Attempt one delivery, within the lease. Errors of the receiver are an outcome; none is raised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The limits of one worker.

    Attributes:
        places: How many attempts may be in flight, and for whom.
        lease: How long a worker may keep a delivery.
        poll: How often an idle worker looks for due deliveries.
    """

    places: Places
    lease: timedelta
    poll: timedelta


class Sender:
    """Attempts deliveries. `run` is a role for `kit.looper`; attempts continue while it restarts."""

    def __init__(
        self,
        ledger: Ledger,
        transports: Mapping[str, Transport],
        *,
        bounds: Bounds,
        backoff: Backoff,
        tracing: Tracing,
    ) -> None:
        """Take the ledger, and the transports by name."""
        self._ledger = ledger
        self._transports = transports
        self._bounds = bounds
        self._backoff = backoff
        self._tracing = tracing
        self._lookout = Lookout(ledger)
        self._shares = Shares(bounds.places)
        self._attempts: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()

    def wake(self) -> None:
        """Look for due deliveries at once."""
        self._changed.set()

    async def room(self) -> None:
        """Wait until another attempt may start."""
        while len(self._attempts) >= self._bounds.places.all and not self._stopping.is_set():
            self._changed.clear()
            await self._changed.wait()

    async def run(self) -> None:
        """Take due deliveries and attempt them until `stop`."""
        while not self._stopping.is_set():
            await self.room()
            self._changed.clear()
            if await self._serve():
                continue
            spread = random.uniform(0.8, 1.2)  # noqa: S311 -- spreads the workers' queries, not a secret
            await happens(self._changed, within=self._bounds.poll.total_seconds() * spread)

    async def _serve(self) -> bool:
        """Look for what is due and begin attempts. Returns whether another look now may find more to begin."""
        queues, more = await self._lookout.look()
        granted = self._shares.grant(queues, now=asyncio.get_running_loop().time())
        known = {queue.key: queue for queue in queues}
        metrics.HELD.set(sum(queue.key not in granted for queue in queues))
        claims = await self._ledger.claim(granted, lease=self._bounds.lease) if granted else []
        for claim in claims:
            if self._stopping.is_set():
                await self._ledger.give_back(claim)
            else:
                self._begin(claim, known[claim.queue_key])
        return more or (bool(claims) and any(granted.get(queue.key, 0) < queue.waiting for queue in queues))

    async def measure(self) -> None:
        """Measure regularly what waits in the ledger; a role for `kit.looper`."""
        while True:
            with contextlib.suppress(LedgerUnavailable):  # `/readyz` reports it
                backlog = await self._ledger.backlog()
                for channel in CHANNELS:
                    count, oldest = backlog.get(channel, (0, 0.0))
                    metrics.DUE.labels(channel=channel).set(count)
                    metrics.OLDEST_DUE.labels(channel=channel).set(oldest)
            metrics.SLOW_IN_FLIGHT.set(self._shares.slow(now=asyncio.get_running_loop().time()))
            await asyncio.sleep(_MEASURE_EVERY)

    async def stop(self, *, within: float) -> None:
        """Take no more deliveries, wait `within` seconds for attempts to end, then give the rest back."""
        self._stopping.set()
        self._changed.set()
        if self._attempts:
            await asyncio.wait(self._attempts, timeout=within)
        left = list(self._attempts)
        for attempt in left:
            attempt.cancel()
        if left:
            _log.info("deliveries_given_back", count=len(left))
            await asyncio.wait(left)

    def _begin(self, claim: Claim, queue: Queue) -> None:
        place = self._shares.take(queue, now=asyncio.get_running_loop().time())
        task = asyncio.create_task(self._attempt(claim, place), name=f"delivery-{claim.id}")
        self._attempts.add(task)
        metrics.IN_FLIGHT.set(len(self._attempts))

        def ended(done: asyncio.Task[None]) -> None:
            self._attempts.discard(done)
            self._shares.release(place, now=asyncio.get_running_loop().time())
            metrics.IN_FLIGHT.set(len(self._attempts))
            self._changed.set()
            if not done.cancelled() and (error := done.exception()) is not None:
                _log.error("delivery_attempt_failed", exc_info=error, delivery=str(claim.id))

        task.add_done_callback(ended)

    async def _attempt(self, claim: Claim, place: Place) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            outcome = await self._send(claim)
        except asyncio.CancelledError:
            with contextlib.suppress(LedgerUnavailable):  # then the delivery is due again when its lease ends
                await self._ledger.give_back(claim)
            raise
        decision = decide(
            outcome,
            attempts=claim.attempts,
            remaining=claim.remaining,
            backoff=self._backoff,
            share=random.random(),  # noqa: S311 -- jitter, not a secret
        )
        self._shares.learn(place.queue, seconds=loop.time() - began, failing=decision.state is State.RETRYING)
        metrics.ATTEMPTS.labels(channel=claim.channel, state=decision.state.value).inc()
        if decision.state is State.DELIVERED and claim.attempts == 1:
            metrics.LATENCY.labels(channel=claim.channel).observe(claim.age + loop.time() - began)
        if decision.state is State.DEAD:
            metrics.GIVEN_UP.labels(channel=claim.channel, reason=reason_of(outcome).value).inc()
            _log.warning("delivery_dead", delivery=str(claim.id), channel=claim.channel, error=outcome.error)
        await self._record(claim, outcome, decision, until=began + self._bounds.lease.total_seconds())

    async def _record(self, claim: Claim, outcome: Outcome, decision: Decision, *, until: float) -> None:
        """Record the outcome of an attempt; while PostgreSQL is away, try again until the lease ends."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                if outcome.gone and await self._ledger.disable(claim, reason="gone"):
                    metrics.DISABLED.inc()
                    _log.warning("webhook_disabled", webhook=str(claim.endpoint_id), reason="answered 410")
                await self._ledger.record(claim, outcome, decision)
            except LedgerUnavailable:
                if loop.time() + _RECORD_AGAIN > until:
                    metrics.UNRECORDED.inc()
                    _log.warning("delivery_not_recorded", delivery=str(claim.id))
                    return
                await asyncio.sleep(_RECORD_AGAIN)
            else:
                return

    async def _send(self, claim: Claim) -> Outcome:
        if not claim.payload:
            return Outcome(delivered=False, error="the event is not kept any more", permanent=True)
        context = self._tracing.begin(claim.traceparent)
        token = trace.current.set(context)
        attributes: dict[str, str | int] = {
            "taskbell.delivery": str(claim.id),
            "taskbell.channel": claim.channel,
            "taskbell.attempt": claim.attempts,
            "taskbell.others": claim.others,
        }
        links = [link for link in map(TraceContext.parse, claim.spoken_for) if link is not None]
        try:
            with (
                metrics.DURATION.labels(channel=claim.channel).time(),
                self._tracing.span("push", parent=context, kind=SpanKind.CLIENT, attributes=attributes, links=links),
            ):
                return await self._transports[claim.channel].send(claim)
        except Exception as unforeseen:  # noqa: BLE001 -- after any error the delivery stays in the ledger
            _log.exception("transport_failed", delivery=str(claim.id), channel=claim.channel)
            return Outcome(delivered=False, error=type(unforeseen).__name__)
        finally:
            trace.current.reset(token)
