"""Throttling of password guesses: each is counted before it is made, and not counted if it was right."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

from taskbell.api.accounts import repository
from taskbell.api.accounts.errors import SignInThrottled
from taskbell.api.accounts.policy import Attempts, ThrottleKeys, charge, refund, remaining_wait
from taskbell.store.pool import Database

_QUEUE_WAIT = timedelta(seconds=1)
WAITING = 24
"""How many attempts for an account from one address may wait in a process."""


class _Turns(asyncio.Lock):
    """The lock of one pair of account and address, and how many attempts wait for it."""

    waiting = 0


class Throttle:
    """Lets an account from one address fail `allowed` times in 15 minutes; see `policy` for the wider limits."""

    def __init__(self, database: Database, *, allowed: int) -> None:
        self._database = database
        self._allowed = allowed
        self._turns: WeakValueDictionary[bytes, _Turns] = WeakValueDictionary()

    @asynccontextmanager
    async def attempt(
        self, *, email: str, address: str, place: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> AsyncIterator[None]:
        """Make one attempt in the block: an exception leaves it counted as failed.

        A process makes the attempts for an account from one address one after the other, so that many honest
        sign-ins at the same time do not look like guesses. `place` is held during the attempt, but not while it waits
        for its turn; an attempt that gets no place is not counted.

        Raises:
            SignInThrottled: It is too early for another attempt, or too many wait already.
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

        async with self._turn(keys.pair):
            with place():
                await repository.change_attempts(self._database, list(allowances), admit)
                yield
                await repository.change_attempts(self._database, list(allowances), forgive)

    @asynccontextmanager
    async def _turn(self, pair: bytes) -> AsyncIterator[None]:
        turns = self._turns.setdefault(pair, _Turns())
        if turns.waiting >= WAITING:
            raise SignInThrottled(_QUEUE_WAIT)
        turns.waiting += 1
        try:
            await turns.acquire()
        finally:
            turns.waiting -= 1
        try:
            yield
        finally:
            turns.release()
