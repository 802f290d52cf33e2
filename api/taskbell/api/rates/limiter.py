"""Charges requests to users, and says so in the headers of their responses."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import structlog

from taskbell.api import metrics
from taskbell.api.rates.quota import WINDOW, Counts
from taskbell.api.rates.slots import Slots
from taskbell.contract.problems import ProblemCode, Refused
from taskbell.kit.nats_bus import BusUnavailable

if TYPE_CHECKING:
    from uuid import UUID

    from starlette.types import Scope

CHARGE = "taskbell.charge"
"""Where a request's scope holds its `Charge`."""
_NOT_MODIFIED = 304
_PAUSE_SECONDS = 5.0
"""How long the store is left alone when it does not answer; requests would wait for it each time."""

_log = structlog.get_logger(__name__)
Header = tuple[bytes, bytes]


class RateLimited(Refused):
    """You have used up your requests of this minute."""

    code = ProblemCode.RATE_LIMITED


class SharedCounts(Protocol):
    """What all processes have counted together: `taskbell.kit.nats_counters.Counters`."""

    async def add(self, name: str, amount: int, /) -> int:
        """Add to a number and return its new value. Raises `BusUnavailable`."""


class Charge:
    """What one request has been charged."""

    __slots__ = ("left", "limiter", "user", "weight")

    def __init__(self, limiter: Limiter, user: int, weight: int, left: int) -> None:
        """Keep what the headers of the response say."""
        self.limiter, self.user, self.weight, self.left = limiter, user, weight, left

    def headers(self, status: int) -> tuple[Header, Header]:
        """The fields of the response (draft-ietf-httpapi-ratelimit-headers-10); a 304 costs nothing."""
        left = self.left
        if status == _NOT_MODIFIED:
            self.limiter.refund(self.user, self.weight)
            left += self.weight
        return self.limiter.policy, (b"ratelimit", b'"user";r=%d;t=%d' % (max(left, 0), self.limiter.counts.reset()))


class Limiter:
    """The quota of each user, for this process, or for all of them by shared counts; and what is under way at once."""

    def __init__(
        self,
        *,
        quota: int,
        slots: Slots,
        shared: SharedCounts | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Permit each user `quota` a minute, in weights of requests."""
        self.policy: Header = (b"ratelimit-policy", b'"user";q=%d;w=%d' % (quota, WINDOW))
        self.slots = slots
        self.counts = Counts(quota=quota, clock=clock)
        self._quota = quota
        self._shared = shared
        self._owed: dict[int, int] = {}
        self._owed_in = 0
        self._asks_again = 0.0
        self._clock = clock

    async def charge(self, user: UUID, scope: Scope) -> None:
        """Charge one request; its scope takes the `Charge`.

        Raises:
            RateLimited: The user has used up the quota.
        """
        number = user.int
        left = self.counts.charge(number, 1)
        if self._shared is not None and left >= 0:
            left = await self._charge_shared(self._shared, number, 1, left)
        scope[CHARGE] = Charge(self, number, 1, left)
        if left < 0:
            raise self._refused(number, 1)

    async def charge_more(self, charge: Charge, weight: int) -> None:
        """Charge what a request weighs besides the first. More than the quota is the quota.

        Raises:
            RateLimited: The user has used up the quota.
        """
        weight = min(weight, self._quota - charge.weight)
        left = self.counts.charge(charge.user, weight)
        if self._shared is not None and left >= 0:
            left = await self._charge_shared(self._shared, charge.user, weight, left)
        if left < 0:
            self.refund(charge.user, charge.weight)  # a request that is refused costs nothing
            charge.left, charge.weight = charge.left + charge.weight, 0
            raise self._refused(charge.user, weight)
        charge.weight += weight
        charge.left = left

    def refund(self, user: int, weight: int) -> None:
        """Take a charge back. Shared counts learn it with the user's next request."""
        self.counts.refund(user, weight)
        if self._shared is not None:
            if self._owed_in != self.counts.window:
                self._owed_in = self.counts.window
                self._owed.clear()
            self._owed[user] = self._owed.get(user, 0) + weight

    async def _charge_shared(self, shared: SharedCounts, user: int, weight: int, left: int) -> int:
        """Count a request for all processes. While the store does not answer, each process counts for itself."""
        if self._clock() < self._asks_again:
            return left
        window = self.counts.window
        try:
            used = await shared.add(f"{user:032x}.{window}", weight - self._owed.pop(user, 0))
        except BusUnavailable as away:
            self._asks_again = self._clock() + _PAUSE_SECONDS
            metrics.RATE_STORE_FAILURES.inc()
            _log.warning("rate_store_unavailable", reason=str(away))
            return left
        return self.counts.learn(user, window=window, used=used)

    def _refused(self, user: int, weight: int) -> RateLimited:
        metrics.REQUESTS_LIMITED.labels(reason="rate").inc()
        return RateLimited(
            f"You may make {self._quota} requests a minute; some count more than once.",
            headers={"Retry-After": str(self.counts.wait(user, weight))},
        )
