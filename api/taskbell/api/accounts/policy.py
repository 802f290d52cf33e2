"""Decisions about sign-ins, without I/O: how long a guesser must wait, and whether a refresh token is valid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from hashlib import sha256
from ipaddress import IPv6Address, ip_address
from uuid import UUID

WINDOW = timedelta(minutes=15)
"""Attempts are counted in windows of this length; each begins with its first attempt."""
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(minutes=15)
EXPIRED_AFTER = 2 * (WINDOW + LONGEST_WAIT)
"""How long after its beginning a window and its last pause are over in any case."""
ACCOUNT_FACTOR = 10
"""Factor: how many more failures one account may have from all strangers together than from one address."""
SITE_FACTOR = 10
"""Factor: how many more registrations may come from an IPv6 /48 than from one of its /64."""
_IPV6_SITE = 48


@dataclass(frozen=True, slots=True)
class Attempts:
    """Attempts of one key that failed or have not ended yet."""

    failures: int
    window_started_at: datetime
    blocked_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Where attempts come from. All keys are hashes, so the table does not reveal who tried.

    Attributes:
        own: The narrowest key, which success clears. Attempts under it are made one after the other.
        allowances: How many attempts may fail under each key in a window, before pauses begin.
        lane: What shares the places for hashing with whom, see `fairness`.
    """

    own: bytes
    allowances: Mapping[bytes, int]
    lane: bytes

    @classmethod
    def stranger(cls, *, email: str, address: str, allowed: int) -> Source:
        """A caller who shows no device token for the account; `email` is normalised already.

        There is no key for the address alone: others at an address do not keep anybody from signing in.
        """
        network = _network(address)
        pair, account = _digest("pair", email, network), _digest("account", email)
        allowances = {pair: allowed, account: allowed * ACCOUNT_FACTOR}
        return cls(own=pair, allowances=allowances, lane=_lane(address))

    @classmethod
    def device(cls, *, user_id: UUID, device_id: UUID, allowed: int) -> Source:
        """A device that signed in before: only its own failures count against it."""
        own = _digest("device", str(device_id))
        return cls(own=own, allowances={own: allowed}, lane=_digest("user", str(user_id)))

    @classmethod
    def session(cls, *, user_id: UUID, session_id: UUID, allowed: int) -> Source:
        """Somebody who is signed in, and changes the password: only this session's failures count."""
        own = _digest("session", str(session_id))
        return cls(own=own, allowances={own: allowed}, lane=_digest("user", str(user_id)))

    @classmethod
    def second_factor(cls, *, user_id: UUID, allowed: int) -> Source:
        """Somebody who knows the password of an account, and sends codes."""
        own = _digest("second factor", str(user_id))
        return cls(own=own, allowances={own: allowed}, lane=_digest("user", str(user_id)))

    @classmethod
    def data_export(cls, *, user_id: UUID, allowed: int) -> Source:
        """Somebody who has all of their data sent."""
        own = _digest("data export", str(user_id))
        return cls(own=own, allowances={own: allowed}, lane=_digest("user", str(user_id)))

    @classmethod
    def registration(cls, *, address: str, allowed: int) -> Source:
        """Somebody who makes accounts. A site may own an IPv6 /48 (RFC 6177), which is counted as well."""
        return cls._anonymous("registration", address=address, allowed=allowed)

    @classmethod
    def confirmation(cls, *, address: str, allowed: int) -> Source:
        """Somebody who has messages sent."""
        own = _digest("confirmation", _network(address))
        return cls(own=own, allowances={own: allowed}, lane=own)

    @classmethod
    def password_reset(cls, *, address: str, allowed: int) -> Source:
        """Somebody who has messages sent without being signed in; counted like registrations."""
        return cls._anonymous("password reset", address=address, allowed=allowed)

    @classmethod
    def password_reset_token(cls, *, address: str, allowed: int) -> Source:
        """Somebody who has a token from such a message, or guesses one."""
        return cls._anonymous("password reset token", address=address, allowed=allowed)

    @classmethod
    def provider_sign_in(cls, *, address: str, allowed: int) -> Source:
        """Somebody who finishes sign-ins through a provider."""
        return cls._anonymous("provider sign-in", address=address, allowed=allowed)

    @classmethod
    def unsubscription(cls, *, address: str, allowed: int) -> Source:
        """Somebody who has a link from an e-mail, or guesses one."""
        own = _digest("unsubscription", _network(address))
        return cls(own=own, allowances={own: allowed}, lane=own)

    @classmethod
    def _anonymous(cls, purpose: str, *, address: str, allowed: int) -> Source:
        network, site = _network(address), _network(address, ipv6_prefix=_IPV6_SITE)
        own = _digest(purpose, network)
        allowances = {own: allowed}
        if ":" in network:
            allowances[_digest(f"{purpose} site", site)] = allowed * SITE_FACTOR
        return cls(own=own, allowances=allowances, lane=_lane(address))


def mailbox_of(email: str) -> bytes:
    """The hash of a mailbox: many mail servers ignore a tag after `+` (RFC 5233).

    The address without a tag, which one account alone can have, counts for itself: else whoever makes accounts with
    tags would keep its owner from confirming it.
    """
    name, _, domain = email.rpartition("@")
    name, tag, _ = name.partition("+")
    return _digest("mailbox of tags" if tag else "mailbox", name, domain)


def _digest(*parts: str) -> bytes:
    return sha256("\x00".join(parts).encode("utf-8", "surrogatepass")).digest()


def _lane(address: str) -> bytes:
    """One lane for a site: whoever owns an IPv6 /48 would have as many lanes as there are places, and more."""
    return _digest("address", _network(address, ipv6_prefix=_IPV6_SITE))


def _network(address: str, *, ipv6_prefix: int = 64) -> str:
    """An IPv6 host owns its whole /64 and could come from another address with every guess."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    rest = 128 - ipv6_prefix
    return str(IPv6Address(int(parsed) >> rest << rest))


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


def refund(attempts: Attempts, *, charged: Attempts, allowed: int) -> Attempts:
    """Take back a charge, whose result was `charged`: the attempt succeeded. A pause that others caused since stays."""
    failures = max(attempts.failures - 1, 0)
    is_own = attempts.blocked_until == charged.blocked_until
    return replace(
        attempts, failures=failures, blocked_until=None if is_own or failures < allowed else attempts.blocked_until
    )


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
