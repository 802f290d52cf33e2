"""Throttling of guesses and registrations: each is counted before it is made, and a right guess is not counted."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar
from weakref import WeakValueDictionary

from taskbell.api.accounts import repository
from taskbell.api.accounts.errors import SignInThrottled
from taskbell.api.accounts.policy import Attempts, Source, charge, refund, remaining_wait
from taskbell.store.pool import Database

T = TypeVar("T")
_QUEUE_WAIT = timedelta(seconds=1)
WAITING = 24
"""How many attempts of one source may wait in a process."""
_REMEMBERED = 1.0
"""Seconds for which a process refuses without asking the database again, so that a flood costs no statements."""
_MOST_REMEMBERED = 10_000
_CLEAN_EVERY = 16
"""A process deletes expired counts with every so many attempts; each deletion takes more rows than these can add."""


class _Turns(asyncio.Lock):
    """The lock of one source, and how many attempts wait for it."""

    waiting = 0


class Throttle:
    """Counts attempts in PostgreSQL, for all processes; see `policy` for whose failures count against whom."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turns: WeakValueDictionary[bytes, _Turns] = WeakValueDictionary()
        self._paused: OrderedDict[bytes, tuple[float, float]] = OrderedDict()
        self._attempts = 0

    @asynccontextmanager
    async def attempt(self, source: Source, *, place: Callable[[], AbstractContextManager[T]]) -> AsyncIterator[T]:
        """Make one attempt in the block: an exception leaves it counted as failed.

        A process makes the attempts of one source one after the other, so that many honest sign-ins at the same time
        do not look like guesses. `place` is held during the attempt, but not while it waits for its turn; an attempt
        that gets no place is not counted.

        Raises:
            SignInThrottled: It is too early for another attempt, or too many wait already.
        """
        charged: Mapping[bytes, Attempts] = {}

        def forgive(found: Mapping[bytes, Attempts], _now: datetime) -> Mapping[bytes, Attempts]:
            refunded = {
                key: refund(each, charged=charged[key], allowed=source.allowances[key]) for key, each in found.items()
            }
            refunded[source.own] = replace(refunded[source.own], failures=0, blocked_until=None)
            return refunded

        async with self._turn(source.own):
            self._refuse_paused(source.allowances)
            with place() as held:
                charged = await self._charge(source)
                yield held
                await repository.change_attempts(self._database, list(source.allowances), forgive)

    async def count(self, source: Source) -> None:
        """Count what is limited whether it succeeds or not. Raises `SignInThrottled` like `attempt`."""
        async with self._turn(source.own):
            self._refuse_paused(source.allowances)
            await self._charge(source)

    async def forget(self, source: Source) -> None:
        """Forget all failures under the keys of a source: its owner has proved otherwise who it is."""

        def cleared(found: Mapping[bytes, Attempts], _now: datetime) -> Mapping[bytes, Attempts]:
            return {key: replace(each, failures=0, blocked_until=None) for key, each in found.items()}

        await repository.change_attempts(self._database, list(source.allowances), cleared)
        for key in source.allowances:
            self._paused.pop(key, None)

    async def _charge(self, source: Source) -> Mapping[bytes, Attempts]:
        pauses: dict[bytes, timedelta] = {}
        charged: dict[bytes, Attempts] = {}

        def admit(found: Mapping[bytes, Attempts], now: datetime) -> Mapping[bytes, Attempts]:
            pauses.update({key: remaining_wait(each, now=now) for key, each in found.items()})
            wait = max(pauses.values())
            if wait > timedelta(0):
                raise SignInThrottled(wait)
            charged.update({key: charge(each, allowed=source.allowances[key], now=now) for key, each in found.items()})
            return charged

        self._attempts += 1
        if self._attempts % _CLEAN_EVERY == 0:
            await repository.delete_expired_attempts(self._database)
        try:
            await repository.change_attempts(self._database, list(source.allowances), admit)
        except SignInThrottled:
            self._remember(pauses)
            raise
        return charged

    def _remember(self, pauses: Mapping[bytes, timedelta]) -> None:
        now = time.monotonic()
        for key, wait in pauses.items():
            if wait > timedelta(0):
                self._paused[key] = (now + _REMEMBERED, now + wait.total_seconds())
        while len(self._paused) > _MOST_REMEMBERED:
            self._paused.popitem(last=False)

    def _refuse_paused(self, keys: Iterable[bytes]) -> None:
        now = time.monotonic()
        for key in keys:
            remembered, ends = self._paused.get(key, (0.0, 0.0))
            if now < min(remembered, ends):
                raise SignInThrottled(timedelta(seconds=ends - now))
            self._paused.pop(key, None)

    @asynccontextmanager
    async def _turn(self, own: bytes) -> AsyncIterator[None]:
        turns = self._turns.setdefault(own, _Turns())
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
