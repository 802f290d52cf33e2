"""Throttling of password guesses: counted before they are made, taken back when they were right."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

from taskbell.api.accounts import repository
from taskbell.api.accounts.errors import SignInThrottled
from taskbell.api.accounts.policy import Attempts, ThrottleKeys, charge, refund, remaining_wait
from taskbell.api.db.pool import Database


class Throttle:
    """Lets an account from one address fail `allowed` times in 15 minutes; see `policy` for the wider limits."""

    def __init__(self, database: Database, *, allowed: int) -> None:
        self._database = database
        self._allowed = allowed
        self._turns: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def attempt(self, *, email: str, address: str) -> AsyncIterator[None]:
        """Make one attempt in the block: an exception leaves it counted as failed.

        A process makes the attempts for an account from one address one after the other, so that many honest
        sign-ins at the same time do not look like guesses.

        Raises:
            SignInThrottled: It is too early for another attempt.
        """
        keys = ThrottleKeys.of(email=email, address=address)
        allowances = keys.allowances(self._allowed)

        def admit(found: Mapping[bytes, Attempts], now: datetime) -> Mapping[bytes, Attempts]:
            wait = max(remaining_wait(each, now=now) for each in found.values())
            if wait > timedelta(0):
                raise SignInThrottled(wait)
            return {key: charge(each, allowed=allowances[key], now=now) for key, each in found.items()}

        def forgive(found: Mapping[bytes, Attempts], _now: datetime) -> Mapping[bytes, Attempts]:
            refunded = {key: refund(each, allowed=allowances[key]) for key, each in found.items()}
            refunded[keys.pair] = replace(refunded[keys.pair], failures=0, blocked_until=None)
            return refunded

        turn = self._turns.setdefault(keys.pair, asyncio.Lock())
        async with turn:
            await repository.change_attempts(self._database, list(allowances), admit)
            yield
            await repository.change_attempts(self._database, list(allowances), forgive)
