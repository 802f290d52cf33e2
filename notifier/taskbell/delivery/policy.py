"""What follows from one attempt: delivered, tried again when, or dead. Plain values; the database's clock counts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    RETRYING = "retrying"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an attempt met.

    Attributes:
        delivered: The receiver took it.
        status: HTTP status or SMTP code, if there was one.
        error: What went wrong, for the log of deliveries; never a receiver's words.
        permanent: Trying again would not help.
        gone: The receiver said that this address is no more: its webhook is switched off, which ends its deliveries.
        retry_after: Seconds that the receiver asked for.
    """

    delivered: bool
    status: int | None = None
    error: str | None = None
    permanent: bool = False
    gone: bool = False
    retry_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Growing pauses with full jitter, in seconds."""

    first: float
    longest: float

    def pause(self, *, attempts: int, share: float) -> float:
        """The pause after so many attempts; `share` is random in [0, 1)."""
        return float(min(self.longest, self.first * 2 ** min(attempts - 1, 60))) * share


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The state an attempt leads to; `pause` is the seconds until the next one, where there is one."""

    state: State
    pause: float = 0.0


def decide(outcome: Outcome, *, attempts: int, remaining: float, backoff: Backoff, share: float) -> Decision:
    """Judge an attempt.

    Args:
        outcome: What it met.
        attempts: How many there were, with it.
        remaining: Seconds until the delivery is given up; the last attempt is made just then.
        backoff: The pauses.
        share: Random in [0, 1).
    """
    if outcome.delivered:
        return Decision(state=State.DELIVERED)
    if outcome.permanent or remaining <= 0:
        return Decision(state=State.DEAD)
    wanted = max(backoff.pause(attempts=attempts, share=share), outcome.retry_after or 0.0)
    return Decision(state=State.RETRYING, pause=min(wanted, remaining))
