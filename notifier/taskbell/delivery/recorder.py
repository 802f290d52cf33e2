"""Writes the outcomes of attempts to the ledger, many in one statement."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from uuid import UUID

import structlog

from taskbell.delivery import metrics
from taskbell.delivery.claims import Claim
from taskbell.delivery.policy import Decision, Outcome, State
from taskbell.delivery.repository import Ledger, LedgerRefused, LedgerUnavailable

_log = structlog.get_logger(__name__)
_AGAIN = 0.25
_GATHER = 0.01
"""Seconds in which outcomes gather; until they are written their deliveries stay leased."""
_MOST_WAITING = 2_000
_MOST_AT_A_TIME = 500
_Key = tuple[UUID, str, UUID]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An attempt that ended.

    Attributes:
        claim: What was attempted.
        outcome: Of the attempt.
        decision: What follows.
        until: When the lease ends, in the event loop's time; after that it is another worker's.
    """

    claim: Claim
    outcome: Outcome
    decision: Decision
    until: float

    @property
    def key(self) -> _Key:
        """The delivery."""
        return self.claim.event_id, self.claim.channel, self.claim.endpoint_id


class Recorder:
    """Takes outcomes and writes them. `run` is a role for `kit.looper`: what was taken stays while it restarts.

    While PostgreSQL is away a failure is kept until its lease ends, and a success until it is written: it would be sent
    again, and a row is delivered whoever has taken it meanwhile. When 2,000 wait, attempts do.
    """

    def __init__(self, ledger: Ledger) -> None:
        """Take the ledger."""
        self._ledger = ledger
        self._waiting: asyncio.Queue[Record] = asyncio.Queue(_MOST_WAITING)
        self._batch: dict[_Key, Record] = {}
        self._taken = 0

    async def put(self, record: Record) -> None:
        """Have an outcome written soon."""
        await self._waiting.put(record)

    async def run(self) -> None:
        """Write outcomes until cancelled."""
        while True:
            if not self._taken:
                self._add(await self._waiting.get())
                await asyncio.sleep(_GATHER)
                while len(self._batch) < _MOST_AT_A_TIME and not self._waiting.empty():
                    self._add(self._waiting.get_nowait())
            try:
                await self._write(list(self._batch.values()))
            except LedgerUnavailable:
                self._forget_late()
                await asyncio.sleep(_AGAIN)
                continue
            except LedgerRefused:
                await self._one_by_one()
            self._batch.clear()
            for _ in range(self._taken):
                self._waiting.task_done()
            self._taken = 0

    async def drain(self, *, within: float) -> None:
        """Wait until everything is written, at most some seconds. Nothing may be put meanwhile."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._waiting.join()

    def _add(self, record: Record) -> None:
        self._taken += 1
        former = self._batch.get(record.key)
        if former is None or former.decision.state is not State.DELIVERED:
            self._batch[record.key] = record

    async def _one_by_one(self) -> None:
        """Find the outcome that the ledger refuses, and write the others."""
        while self._batch:
            key, record = next(iter(self._batch.items()))
            try:
                await self._write([record])
            except LedgerUnavailable:
                self._forget_late()
                await asyncio.sleep(_AGAIN)
                continue
            except LedgerRefused as refused:
                self._lost(record, reason=str(refused))
            self._batch.pop(key, None)

    async def _write(self, records: list[Record]) -> None:
        for record in records:
            claim = record.claim
            if record.outcome.gone and claim.channel == "webhook" and await self._ledger.disable(claim, reason="gone"):
                metrics.DISABLED.inc()
                _log.warning("webhook_disabled", webhook=str(claim.endpoint_id), reason="answered 410")
        removed = await self._ledger.record([(record.claim, record.outcome, record.decision) for record in records])
        for endpoint, channel in removed:
            metrics.ENDPOINTS_GONE.labels(channel=channel).inc()
            _log.info("alert_endpoint_removed", endpoint=str(endpoint), channel=channel)

    def _forget_late(self) -> None:
        now = asyncio.get_running_loop().time()
        for key, record in list(self._batch.items()):
            if now + _AGAIN > record.until and record.decision.state is not State.DELIVERED:
                del self._batch[key]
                self._lost(record, reason="the lease ended")

    def _lost(self, record: Record, *, reason: str) -> None:
        metrics.UNRECORDED.inc()
        _log.warning("delivery_not_recorded", delivery=str(record.claim.id), reason=reason)
