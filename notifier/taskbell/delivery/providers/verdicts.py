"""What a provider's answer means, and what follows for the attempt, the metrics and the operator."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Protocol
from uuid import UUID

import structlog

from taskbell.delivery import metrics
from taskbell.delivery.alerts import Alert, AlertMalformed, Endpoint, read_alert
from taskbell.delivery.claims import Claim
from taskbell.delivery.policy import Outcome
from taskbell.delivery.providers.breaker import Breaker
from taskbell.delivery.providers.connection import NoAnswer

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The meaning of an answer.

    Attributes:
        outcome: For the ledger.
        reason: The label of the metric: a name from this program, never text of a provider.
        ours: A person must mend a setting or an account: it is logged as an error.
    """

    outcome: Outcome
    reason: str = "none"
    ours: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """One alert for one endpoint.

    Attributes:
        id: The delivery; the same in all attempts.
        alert: What to say.
        endpoint: Where to.
        remaining: Seconds in which the alert is of use.
    """

    id: UUID
    alert: Alert
    endpoint: Endpoint
    remaining: float


class Provider(Protocol):
    """Sends to one provider."""

    async def attempt(self, sending: Sending) -> Verdict:
        """Attempt once. Raises `NoAnswer`."""


class ProviderTransport:
    """A `Transport` of alerts: reads the claim, lets a provider attempt it, counts what was refused.

    With a breaker, a provider that fails is left alone for some time. Providers at addresses from users have none:
    the server of one user must not stop the alerts of others.
    """

    def __init__(self, channel: str, provider: Provider, *, within: float, breaker: Breaker | None = None) -> None:
        """Take the channel's name, the provider, the seconds for an attempt, and the breaker if there is one."""
        self._channel = channel
        self._provider = provider
        self._within = within
        self._breaker = breaker

    async def send(self, claim: Claim) -> Outcome:
        """Attempt one delivery. Errors of the provider are an outcome; none is raised."""
        if claim.endpoint is None:
            return Outcome(delivered=False, error="the device or channel was removed", permanent=True)
        try:
            alert = read_alert(claim.payload, others=claim.others, zone=claim.zone)
        except AlertMalformed as malformed:
            return Outcome(delivered=False, error=str(malformed), permanent=True)
        sending = Sending(id=claim.id, alert=alert, endpoint=claim.endpoint, remaining=max(claim.remaining, 0.0))
        try:
            async with asyncio.timeout(self._within):
                verdict = await self._provider.attempt(sending)
        except TimeoutError:
            error = f"no answer within {self._within:g} s"
            verdict = Verdict(Outcome(delivered=False, error=error), "no_answer")
        except NoAnswer as missing:
            verdict = Verdict(Outcome(delivered=False, error=str(missing)), "no_answer")
        return self._heed(verdict)

    def _heed(self, verdict: Verdict) -> Outcome:
        outcome = verdict.outcome
        if not outcome.delivered:
            metrics.REFUSALS.labels(channel=self._channel, reason=verdict.reason).inc()
        if verdict.ours:
            _log.error("provider_refused", channel=self._channel, reason=verdict.reason, status=outcome.status)
        if self._breaker is None:
            return replace(outcome, provider_pause=None)
        if outcome.delivered or (outcome.status is not None and outcome.status < 500):
            self._breaker.worked()
        elif (pause := self._breaker.failed()) is not None:
            return replace(outcome, provider_pause=max(pause, outcome.provider_pause or 0.0))
        return outcome


def delivered(status: int) -> Verdict:
    """The provider took it."""
    return Verdict(Outcome(delivered=True, status=status))


def gone(status: int, error: str, reason: str, *, ours: bool = False) -> Verdict:
    """The provider says that the endpoint does not exist any more."""
    return Verdict(Outcome(delivered=False, status=status, error=error, gone=True), reason, ours)


def final(status: int, error: str, reason: str, *, ours: bool = False) -> Verdict:
    """A retry would be refused too; the endpoint stays."""
    return Verdict(Outcome(delivered=False, status=status, error=error, permanent=True), reason, ours)


def later(
    status: int | None,
    error: str,
    reason: str,
    *,
    after: float | None = None,
    pause: float | None = None,
    ours: bool = False,
) -> Verdict:
    """Try again: at the earliest `after` seconds, and nothing by this channel for `pause` seconds."""
    outcome = Outcome(delivered=False, status=status, error=error, retry_after=after, provider_pause=pause)
    return Verdict(outcome, reason, ours)
