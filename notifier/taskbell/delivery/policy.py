"""Decides what follows an attempt: delivered, retried and when, or dead. Pure: the caller gives the times."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """The state of a delivery."""

    PENDING = "pending"
    RETRYING = "retrying"
    DELIVERED = "delivered"
    DEAD = "dead"


class Reason(StrEnum):
    """Why a delivery is dead."""

    REFUSED = "refused"
    """The receiver will never take it."""
    EXPIRED = "expired"
    """It was retried until its end."""
    GONE = "gone"
    """The receiver says that the address no longer exists."""
    UNSENDABLE = "unsendable"
    """Nobody was asked: the endpoint was removed or switched off, or the event is not kept any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of an attempt.

    Attributes:
        delivered: The receiver accepted it.
        status: HTTP status or SMTP code, if there was one.
        error: What failed, for the log of deliveries. It never quotes the receiver.
        permanent: A retry would fail too.
        gone: The receiver says that the address no longer exists: its webhook is disabled, or its device is removed,
            which ends its deliveries.
        retry_after: Seconds that the receiver asked for.
        provider_pause: Seconds in which this worker sends nothing more by the same channel.
    """

    delivered: bool
    status: int | None = None
    error: str | None = None
    permanent: bool = False
    gone: bool = False
    retry_after: float | None = None
    provider_pause: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Pauses between attempts, in seconds: they double from `first` to `longest`, with full jitter."""

    first: float
    longest: float

    def pause(self, *, attempts: int, share: float) -> float:
        """Return the pause after this number of attempts; `share` is random in [0, 1)."""
        return float(min(self.longest, self.first * 2 ** min(attempts - 1, 60))) * share


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The state after an attempt; `pause` is the seconds until the next attempt, if there is one."""

    state: State
    pause: float = 0.0


def decide(outcome: Outcome, *, attempts: int, remaining: float, backoff: Backoff, share: float) -> Decision:
    """Decide the state after an attempt.

    Args:
        outcome: Of the attempt.
        attempts: Number of attempts so far, including this one.
        remaining: Seconds until the delivery is given up; the last attempt is made at that time.
        backoff: Pauses between attempts.
        share: Random in [0, 1).
    """
    if outcome.delivered:
        return Decision(state=State.DELIVERED)
    if outcome.permanent or remaining <= 0:
        return Decision(state=State.DEAD)
    wanted = max(backoff.pause(attempts=attempts, share=share), outcome.retry_after or 0.0)
    return Decision(state=State.RETRYING, pause=min(wanted, remaining))


def reason_of(outcome: Outcome) -> Reason:
    """Tell why a delivery is dead after this last outcome."""
    if outcome.gone:
        return Reason.GONE
    if not outcome.permanent:
        return Reason.EXPIRED
    return Reason.UNSENDABLE if outcome.status is None else Reason.REFUSED
