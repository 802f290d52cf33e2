"""Reads apart from changes: which server answers a read-only statement of a user."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from taskbell.kit.postgres.pool import Pool
from taskbell.kit.postgres.statements import Reader
from taskbell.store import metrics
from taskbell.store.consistency import current
from taskbell.store.pool import Database, DatabaseUnavailable, shared
from taskbell.store.replicas import Replica, ReplicaLost

__all__ = ["Reader", "Reads"]

_MOST_AHEAD = 2
"""By how many statements a replica may be busier than the primary before the primary takes a share of its reads."""

_BY_REPLICA = metrics.READS.labels(answered_by="replica")
_RECENT = metrics.READS.labels(answered_by="primary_recent")
_SHARED = metrics.READS.labels(answered_by="primary_shared")
_AWAY = metrics.READS.labels(answered_by="primary_away")
_REPEATED = metrics.READS.labels(answered_by="primary_repeated")


class Reads:
    """Answers read-only statements of users, from a replica that holds what the user has seen, else from the primary.

    A user keeps to one replica, so that one read never shows less than the one before. What a user changed, or read
    from the primary, binds the user to the primary until the replica holds it, too. That is remembered by moments: a
    replica holds what was seen until the last look at the primary whose log it has replayed.

    A replica that is busier than the primary by more than two statements of this process shares its reads with it: one
    replica next to a primary that has little to write serves nearly twice the reads.

    Reads that decide what somebody may do, or what is written next, do not belong here: they ask `Database`.
    """

    def __init__(
        self,
        primary: Database,
        replicas: Sequence[Replica] = (),
        *,
        most_lag: float = 1.0,
        most_users: int = 65_536,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the servers, by how many seconds a replica may lag, and how many users are remembered."""
        self._primary = primary
        self._replicas = replicas
        self._most_lag = most_lag
        self._most_users = most_users
        self._clock = clock
        self._bound: dict[int, float] = {}
        self._all_bound = float("-inf")

    def of(self, actor: UUID) -> Reader:
        """What runs the statements of one request of a user. Without replicas it is the primary.

        What belongs to a shared transaction reads what that has written, so the primary.
        """
        replicas = self._replicas
        if not replicas or shared() is not None:
            return self._primary
        user = actor.int
        replica = replicas[user % len(replicas)]  # the last bits of a UUIDv7 are random
        if not replica.is_well(self._clock(), most_lag=self._most_lag):
            _AWAY.inc()
            return _FromPrimary(self, user)
        request = current.get()
        wanted = None if request is None else request.wanted
        if not replica.holds(since=self._bound.get(user, self._all_bound), position=wanted):
            _RECENT.inc()
            return _FromPrimary(self, user)
        pool = replica.pool
        assert pool is not None  # noqa: S101 -- a replica that is well has one
        if pool.under_way > self._primary.under_way + _MOST_AHEAD and replica.knows_primary(self._clock()):
            _SHARED.inc()
            return _FromPrimary(self, user, otherwise=pool)
        return _FromReplica(self, user, pool)

    def bind(self, user: int) -> None:
        """Remember that a user has changed something, or seen the primary, until now.

        Called after the fact and before the user learns of it. Users beyond the bound are not forgotten: then everybody
        is bound until now, which costs the primary a moment.
        """
        if not self._replicas:
            return
        now = self._clock()
        if len(self._bound) >= self._most_users:
            self._bound.clear()
            self._all_bound = now
        self._bound[user] = now

    def measure(self) -> None:
        """Set the metrics of the replicas."""
        now = self._clock()
        for replica in self._replicas:
            usable = replica.is_well(now, most_lag=self._most_lag)
            metrics.REPLICA_USABLE.labels(replica=replica.name).set(usable)
            away = replica.pool is None or not math.isfinite(replica.lag)
            metrics.REPLICA_LAG.labels(replica=replica.name).set(math.nan if away else replica.lag)
            metrics.REPLICA_BEHIND.labels(replica=replica.name).set(math.nan if away else replica.behind)

    async def from_primary(self, user: int, method: str, query: str, *arguments: Any, timeout: float | None) -> Any:  # noqa: ASYNC109 -- asyncpg's own
        """Run a statement on the primary; the user is bound to what it showed."""
        found = await getattr(self._primary, method)(query, *arguments, timeout=timeout)
        self.bind(user)
        request = current.get()
        if request is not None:
            request.from_primary = True
        return found


class _Routed:
    """The three ways of running a statement, as one."""

    __slots__ = ("_reads", "_user")

    def __init__(self, reads: Reads, user: int) -> None:
        self._reads = reads
        self._user = user

    async def _run(self, method: str, query: str, arguments: tuple[Any, ...], limit: float | None) -> Any:
        return await self._reads.from_primary(self._user, method, query, *arguments, timeout=limit)

    async def fetch(self, query: str, *arguments: Any, timeout: float | None = None) -> list[asyncpg.Record]:  # noqa: ASYNC109 -- asyncpg's own
        """Run one statement; return its rows."""
        found: list[asyncpg.Record] = await self._run("fetch", query, arguments, timeout)
        return found

    async def fetchrow(self, query: str, *arguments: Any, timeout: float | None = None) -> asyncpg.Record | None:  # noqa: ASYNC109 -- asyncpg's own
        """Run one statement; return its first row, or None."""
        found: asyncpg.Record | None = await self._run("fetchrow", query, arguments, timeout)
        return found

    async def fetchval(self, query: str, *arguments: Any, timeout: float | None = None) -> Any:  # noqa: ASYNC109 -- asyncpg's own
        """Run one statement; return the first column of its first row, or None."""
        return await self._run("fetchval", query, arguments, timeout)


class _FromPrimary(_Routed):
    """Asks the primary; when it is away and has not answered yet, a replica that could have been asked instead."""

    __slots__ = ("_otherwise",)

    def __init__(self, reads: Reads, user: int, *, otherwise: Pool | None = None) -> None:
        super().__init__(reads, user)
        self._otherwise = otherwise

    async def _run(self, method: str, query: str, arguments: tuple[Any, ...], limit: float | None) -> Any:
        otherwise, self._otherwise = self._otherwise, None
        try:
            return await super()._run(method, query, arguments, limit)
        except DatabaseUnavailable:
            if otherwise is None:
                raise
            return await getattr(otherwise, method)(query, *arguments, timeout=limit)


class _FromReplica(_Routed):
    """Asks a replica; when that fails, the primary, which then answers the rest of the request."""

    __slots__ = ("_pool",)

    def __init__(self, reads: Reads, user: int, pool: Pool) -> None:
        super().__init__(reads, user)
        self._pool: Pool | None = pool

    async def _run(self, method: str, query: str, arguments: tuple[Any, ...], limit: float | None) -> Any:
        if self._pool is not None:
            try:
                found = await getattr(self._pool, method)(query, *arguments, timeout=limit)
            except ReplicaLost:
                self._pool = None
                _REPEATED.inc()
            else:
                _BY_REPLICA.inc()
                return found
        return await super()._run(method, query, arguments, limit)
