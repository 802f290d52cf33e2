"""Decisions about sign-ins, without I/O: how long a guesser must wait, and whether a refresh token is valid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from hashlib import sha256
from ipaddress import IPv6Address, ip_address

WINDOW = timedelta(minutes=15)
"""Failures are counted in windows of this length; each begins with its first attempt."""
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(minutes=15)
ACCOUNT_FACTOR = 10
"""Factor: how many more failures one account may have from all addresses together than from one."""
ADDRESS_FACTOR = 50
"""Factor: how many more failures one address may have for all accounts together than for one (offices share one)."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """Sign-ins of one key that failed or have not ended yet."""

    failures: int
    window_started_at: datetime
    blocked_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ThrottleKeys:
    """The keys by which attempts are counted. They are hashes, so the table does not reveal who tried."""

    pair: bytes
    """The account from this address; cleared by success."""
    account: bytes
    address: bytes

    @classmethod
    def of(cls, *, email: str, address: str) -> ThrottleKeys:
        """The keys of an attempt; `email` is normalised already."""
        network = _network(address)
        return cls(
            pair=_digest("pair", email, network), account=_digest("account", email), address=_digest("address", network)
        )

    def allowances(self, allowed: int) -> dict[bytes, int]:
        """How many attempts may fail per key and window before it is blocked, if a pair may fail `allowed` times."""
        return {
            self.pair: allowed,
            self.account: allowed * ACCOUNT_FACTOR,
            self.address: allowed * ADDRESS_FACTOR,
        }


def _digest(*parts: str) -> bytes:
    return sha256("\x00".join(parts).encode("utf-8", "surrogatepass")).digest()


def _network(address: str) -> str:
    """An IPv6 host owns its whole /64 and could come from another address with every guess."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Address(int(parsed) >> 64 << 64))


def remaining_wait(attempts: Attempts, *, now: datetime) -> timedelta:
    """How long a key must still wait; zero if it may try."""
    if attempts.blocked_until is None:
        return timedelta(0)
    return max(attempts.blocked_until - now, timedelta(0))


def charge(attempts: Attempts, *, allowed: int, now: datetime) -> Attempts:
    """Count an attempt as failed before it is made, so that simultaneous guesses cannot outrun the count.

    The attempt that uses up the allowance is still made; the next must wait, and each further one twice as long.
    """
    current = attempts if now - attempts.window_started_at < WINDOW else Attempts(failures=0, window_started_at=now)
    failures = current.failures + 1
    if failures < allowed:
        return replace(current, failures=failures, blocked_until=None)
    wait = min(FIRST_WAIT * 2 ** min(failures - allowed, 10), LONGEST_WAIT)
    return replace(current, failures=failures, blocked_until=now + wait)


def refund(attempts: Attempts, *, allowed: int) -> Attempts:
    """Take back a charge: the attempt succeeded."""
    failures = max(attempts.failures - 1, 0)
    return replace(attempts, failures=failures, blocked_until=attempts.blocked_until if failures >= allowed else None)


class RefreshDecision(Enum):
    """What to do with a refresh token."""

    ROTATE = "rotate"
    REUSED = "reused"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class TokenState:
    """A refresh token and its session, as the database holds them."""

    used_at: datetime | None
    revoked_at: datetime | None
    expires_at: datetime


def judge(state: TokenState, *, now: datetime) -> RefreshDecision:
    """Decide about a refresh token that was presented.

    There is no grace period for a second use: of two simultaneous uses one wins, and the other revokes the session
    (RFC 9700, section 4.14.2). A token of a session that has already ended is only refused.
    """
    if state.revoked_at is not None or state.expires_at <= now:
        return RefreshDecision.REFUSED
    return RefreshDecision.ROTATE if state.used_at is None else RefreshDecision.REUSED
