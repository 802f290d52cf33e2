"""One replica as a process sees it: how far it is, whether it answers, and a pool of connections to it."""

from __future__ import annotations

import asyncio
import contextlib
import time

import asyncpg
import structlog

from taskbell.contract.problems import ProblemCode, Refused
from taskbell.kit.postgres.connection import Session, open_session
from taskbell.kit.postgres.errors import AWAY, FAILED, StatementTooSlow, describe, translating
from taskbell.kit.postgres.pool import Connection, Pool, open_lender
from taskbell.kit.postgres.statements import load
from taskbell.store.log_positions import CatchingUp
from taskbell.store.pool import RequestTooSlow

_SELECT = load(__package__, "select_replica_position")
_SERVER = load(__package__, "select_server")
_EVERY = 0.1
_PATIENCE = 0.5
"""Seconds for connecting, for one look, and for a free connection."""
_PAUSE = 0.2
_SOON = 0.01
_HURRY = 0.2
"""For how many seconds a replica that has to catch up is looked at every `_SOON`."""
_FRESH = 0.7
"""How old the last look may be, in seconds: an older one tells nothing, because this process was held up."""

_log = structlog.get_logger(__name__)


class ReplicaLost(Refused):
    """A replica did not answer, or cannot answer a statement. The primary can."""

    code = ProblemCode.UNAVAILABLE


class NoReplica(OSError):
    """A server is no replica of the primary, or a URL leads to several servers."""


_LOST: tuple[type[BaseException], ...] = (
    *AWAY,
    asyncpg.SerializationError,  # recovery needed what the statement still read
    asyncpg.DeadlockDetectedError,  # the same
    asyncpg.SyntaxOrAccessError,  # a migration has not arrived there yet
    asyncpg.InvalidAuthorizationSpecificationError,  # nor a new password
    asyncpg.InvalidCatalogNameError,  # nor the database
)
"""Failures of a replica that the primary need not share."""


def _refusal(lost: BaseException) -> Refused:
    return RequestTooSlow() if isinstance(lost, StatementTooSlow) else ReplicaLost(describe(lost))


class Replica:
    """A streaming replica. `run` is a role for `kit.looper`: it looks at the server and keeps the pool.

    The pool is cut as soon as the server does not answer, so that no statement waits for a server that is gone.
    """

    def __init__(self, url: str, *, name: str, pool_size: int, statement_seconds: float) -> None:
        """Take its URL under the program's role, a name without secrets, and the bounds of the pool."""
        self.name = name
        self._url = url
        self._pool_size = pool_size
        self._statement_seconds = statement_seconds
        self._progress = CatchingUp()
        self._pool: Pool | None = None
        self._seen_at = float("-inf")
        self._passed = 0
        self._cluster: int | None = None
        self._server: str | None = None
        self._told: tuple[str, str] | None = None
        self._asked = asyncio.Event()
        self._hurries_until = 0.0

    @property
    def pool(self) -> Pool | None:
        """Connections to it; None while it does not answer."""
        return self._pool

    @property
    def lag(self) -> float:
        """Seconds by which it is behind what was last seen of the primary."""
        return self._progress.lag

    @property
    def behind(self) -> int:
        """Bytes of the log by which it is behind."""
        return self._progress.behind

    def is_well(self, now: float, *, most_lag: float) -> bool:
        """Whether it answers, and lags by at most so many seconds."""
        return self._pool is not None and now - self._seen_at < _FRESH and self._progress.lag <= most_lag

    def holds(self, *, since: float, position: int | None) -> bool:
        """Whether it shows all that was seen until a moment, and all up to a position, if there is one."""
        return self._progress.caught_up_at > since and (position is None or position < self._passed)

    def knows_primary(self, now: float) -> bool:
        """Whether the primary was looked at lately, too."""
        return now - self._progress.newest < _FRESH

    def primary_is(self, cluster: int) -> None:
        """Take whose replica it has to be."""
        self._cluster = cluster

    def primary_was(self, moment: float, end: int) -> None:
        """Take a look at the primary: the moment at which it began, and the end of the log."""
        self._progress.primary_was(moment, end)

    def look_soon(self) -> None:
        """Look at the server until it has come to the last look at the primary, for whoever is bound to that."""
        self._hurries_until = time.monotonic() + _HURRY
        self._asked.set()

    async def run(self) -> None:
        """Look at the server until cancelled."""
        try:
            while True:
                try:
                    async with open_session(
                        self._url,
                        away=translating(_refusal, errors=FAILED),
                        statement_seconds=_PATIENCE,
                        connect_seconds=_PATIENCE,
                    ) as session:
                        await self._follow(session)
                except Refused as lost:
                    self._tell("replica_lost", reason=lost.detail)
                finally:
                    self._cut()
                await asyncio.sleep(_PAUSE)
        finally:
            self._cut()

    async def _follow(self, session: Session) -> None:
        server = await _SERVER.row(session)
        assert server is not None  # noqa: S101 -- it has no condition
        self._server = server["server"]
        # What was known of it is void: after a crash it may have gone back.
        self._progress = CatchingUp()
        while True:
            await self._look(session)
            if self._cluster not in {None, server["cluster"]}:
                raise ReplicaLost("it replicates another PostgreSQL")
            if self._pool is None:
                self._pool = await self._open_pool()
                self._tell("replica_found", reason="")
            await self._until_due()

    async def _until_due(self) -> None:
        await asyncio.sleep(_SOON)
        if self._progress.lag > 0 and time.monotonic() < self._hurries_until:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_EVERY - _SOON):
                await self._asked.wait()
        self._asked.clear()

    async def _look(self, session: Session) -> None:
        row = await _SELECT.row(session)
        assert row is not None  # noqa: S101 -- it has no condition
        if row["replayed"] is None:
            raise ReplicaLost("it is no replica")
        self._passed = int(row["passed"])
        self._progress.replica_is(row["replayed"])
        self._seen_at = time.monotonic()

    async def _open_pool(self) -> Pool:
        lender = await open_lender(
            self._url,
            most=self._pool_size,
            statement_seconds=self._statement_seconds,
            connect_seconds=_PATIENCE,
            check=self._same_server,
        )
        return Pool(lender, away=translating(_refusal, errors=_LOST), patience=_PATIENCE, span="read replica")

    async def _same_server(self, connection: Connection) -> None:
        """Refuse a connection to another server than the one that is looked at: its position is not known."""
        row = await _SERVER.row(connection)
        if row is None or row["server"] != self._server:
            self._tell("replica_ambiguous", reason="its URL leads to several servers: give each its own URL")
            raise NoReplica("another server behind the same URL")

    def _cut(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.terminate()

    def _tell(self, event: str, *, reason: str) -> None:
        """Log what has changed, once."""
        if (event, reason) != self._told:
            self._told = (event, reason)
            (_log.warning if reason else _log.info)(event, replica=self.name, reason=reason)
