"""Takes due deliveries from the ledger and attempts them, many at a time."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

import structlog
from opentelemetry.trace import SpanKind

from taskbell.delivery import metrics
from taskbell.delivery.alerts import CHANNELS, SERVICE_CHANNELS
from taskbell.delivery.breakers import Breakers
from taskbell.delivery.claims import Claim
from taskbell.delivery.lookout import Lookout
from taskbell.delivery.policy import Backoff, Decision, Outcome, State, decide, reason_of
from taskbell.delivery.recorder import Record, Recorder
from taskbell.delivery.repository import Ledger, LedgerUnavailable
from taskbell.delivery.shares import Places, Queue, QueueKey, Shares
from taskbell.kit import trace
from taskbell.kit.trace import TraceContext, Tracing
from taskbell.kit.waiting import happens

_log = structlog.get_logger(__name__)
_DRAIN_SECONDS = 5.0
_MEASURE_EVERY = 5.0
_PATIENCE = 1.0
"""Seconds for which the intake waits for a provider whose places are all taken."""


class Transport(Protocol):
    """A way to send deliveries: webhooks, e-mail, or a provider of alerts."""

    async def send(self, claim: Claim) -> Outcome:
        """Attempt one delivery, within the lease. Errors of the receiver are an outcome; none is raised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The limits of one worker.

    Attributes:
        places: How many attempts may be in flight, and for whom.
        push: How many attempts may be in flight to each of Firebase and Apple, in addition.
        lease: How long a worker may keep a delivery.
        poll: How often an idle worker looks for due deliveries.
    """

    places: Places
    push: int
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
        self._breakers = Breakers()
        self._shares = Shares(bounds.places)
        push = Places(all=bounds.push, per_receiver=bounds.push, per_workspace=bounds.push)
        self._push = {channel: Shares(push) for channel in SERVICE_CHANNELS}
        self.recorder = Recorder(ledger)
        self._attempts: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()

    def wake(self) -> None:
        """Look for due deliveries at once."""
        self._changed.set()

    async def room(self) -> None:
        """Wait until another attempt may start, whatever its channel.

        A provider that hangs holds all other channels up for a second at a time.
        """
        loop = asyncio.get_running_loop()
        patience = loop.time() + _PATIENCE
        while not self._stopping.is_set():
            full = any(shares.is_full for shares in self._push.values()) and loop.time() < patience
            if not full and not self._shares.is_full:
                return
            self._changed.clear()
            await happens(self._changed, within=_PATIENCE)

    def _pool(self, channel: str) -> Shares:
        return self._push.get(channel, self._shares)

    async def run(self) -> None:
        """Take due deliveries and attempt them until `stop`."""
        while not self._stopping.is_set():
            self._changed.clear()
            if await self._serve():
                continue
            spread = random.uniform(0.8, 1.2)  # noqa: S311 -- spreads the workers' queries, not a secret
            await happens(self._changed, within=self._bounds.poll.total_seconds() * spread)

    async def _serve(self) -> bool:
        """Look for what is due and begin attempts. Returns whether another look now may find more to begin."""
        now = asyncio.get_running_loop().time()
        most = {channel: self._breakers.most(channel, now=now) for channel in self._transports}
        passed_over = [channel for channel in CHANNELS if most.get(channel, 0) == 0 or self._pool(channel).is_full]
        if len(passed_over) == len(CHANNELS):
            return False
        queues, more = await self._lookout.look(passed_over=passed_over)
        granted = self._grant(queues, most)
        known = {queue.key: queue for queue in queues}
        metrics.HELD.set(sum(queue.key not in granted for queue in queues))
        claims = await self._ledger.claim(granted, lease=self._bounds.lease) if granted else []
        for claim in claims:
            if self._stopping.is_set():
                await self._ledger.give_back(claim)
            else:
                self._begin(claim, known[claim.queue_key])
        return more or (bool(claims) and any(granted.get(queue.key, 0) < queue.waiting for queue in queues))

    def _grant(self, queues: Sequence[Queue], most: Mapping[str, int | None]) -> dict[QueueKey, int]:
        """Give free places to queues; a channel that is being tried gets a single one."""
        now = asyncio.get_running_loop().time()
        granted = self._shares.grant([queue for queue in queues if queue.channel not in self._push], now=now)
        for channel, shares in self._push.items():
            granted |= shares.grant([queue for queue in queues if queue.channel == channel], now=now)
        for channel in (channel for channel, places in most.items() if places == 1):
            of_channel = [key for key in granted if key[0] == channel]
            granted |= dict.fromkeys(of_channel[:1], 1)
            for key in of_channel[1:]:
                del granted[key]
        return granted

    async def measure(self) -> None:
        """Measure regularly what waits in the ledger; a role for `kit.looper`."""
        while True:
            with contextlib.suppress(LedgerUnavailable):  # `/readyz` reports it
                backlog = await self._ledger.backlog()
                for channel in CHANNELS:
                    count, oldest = backlog.get(channel, (0, 0.0))
                    metrics.DUE.labels(channel=channel).set(count)
                    metrics.OLDEST_DUE.labels(channel=channel).set(oldest)
            for channel in self._transports:
                if channel != "webhook":
                    metrics.PAUSED.labels(channel=channel).set(self._breakers.is_paused(channel))
            metrics.SLOW_IN_FLIGHT.set(self._shares.slow(now=asyncio.get_running_loop().time()))
            await asyncio.sleep(_MEASURE_EVERY)

    async def stop(self, *, within: float) -> None:
        """Take no more deliveries, wait `within` seconds for attempts to end, then give the rest back.

        The role of the recorder must still run: what ended is written.
        """
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
        await self.recorder.drain(within=_DRAIN_SECONDS)

    def _begin(self, claim: Claim, queue: Queue) -> None:
        now = asyncio.get_running_loop().time()
        shares = self._pool(claim.channel)
        place = shares.take(queue, now=now)
        self._breakers.begin(claim.channel, now=now)
        task = asyncio.create_task(self._attempt(claim, shares, queue))
        self._attempts.add(task)
        metrics.IN_FLIGHT.set(len(self._attempts))

        def ended(done: asyncio.Task[None]) -> None:
            self._attempts.discard(done)
            shares.release(place, now=asyncio.get_running_loop().time())
            metrics.IN_FLIGHT.set(len(self._attempts))
            self._changed.set()
            if not done.cancelled() and (error := done.exception()) is not None:
                _log.error("delivery_attempt_failed", exc_info=error, delivery=str(claim.id))

        task.add_done_callback(ended)

    async def _attempt(self, claim: Claim, shares: Shares, queue: Queue) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        outcome: Outcome | None = None
        if (quiet_until := claim.waits_until) is not None:
            try:
                with contextlib.suppress(LedgerUnavailable):  # then it is due again when its lease ends
                    await self._ledger.defer(claim, quiet_until)
            finally:
                self._breakers.end(claim.channel, None, now=loop.time())
            return
        try:
            outcome = await self._send(claim)
        except asyncio.CancelledError:
            with contextlib.suppress(LedgerUnavailable):  # the same
                await self._ledger.give_back(claim)
            raise
        finally:
            self._breakers.end(claim.channel, outcome, now=loop.time())
        decision = self._judged(claim, outcome)
        shares.learn(queue, seconds=loop.time() - began, failing=decision.state is State.RETRYING)
        if decision.state is State.DELIVERED and claim.attempts == 1 and not claim.deferred:
            metrics.LATENCY.labels(channel=claim.channel).observe(claim.age + loop.time() - began)
        until = began + self._bounds.lease.total_seconds()
        await self.recorder.put(Record(claim=claim, outcome=outcome, decision=decision, until=until))

    def _judged(self, claim: Claim, outcome: Outcome) -> Decision:
        if outcome.gone and claim.endpoint is not None:
            outcome = replace(outcome, permanent=True)  # the ledger knows better if the device was registered again
        decision = decide(
            outcome,
            attempts=claim.attempts,
            remaining=claim.remaining,
            backoff=self._backoff,
            share=random.random(),  # noqa: S311 -- jitter, not a secret
        )
        metrics.ATTEMPTS.labels(channel=claim.channel, state=decision.state.value).inc()
        if decision.state is State.DEAD:
            metrics.GIVEN_UP.labels(channel=claim.channel, reason=reason_of(outcome).value).inc()
            _log.warning("delivery_dead", delivery=str(claim.id), channel=claim.channel, error=outcome.error)
        return decision

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
