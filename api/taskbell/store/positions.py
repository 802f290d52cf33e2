"""Where the primary is: looked at regularly for the replicas, and at once for answers that tell a position."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence

import asyncpg
import structlog

from taskbell.kit.postgres.connection import Session, open_session
from taskbell.kit.postgres.errors import FAILED, describe, translating
from taskbell.kit.postgres.statements import load
from taskbell.store.consistency import LATEST
from taskbell.store.log_positions import end_of_log
from taskbell.store.replicas import Replica

_SELECT = load(__package__, "select_primary_position")
_SERVER = load(__package__, "select_server")
_EVERY = 0.1
_PATIENCE = 0.5
"""Seconds for connecting, for one look, and for an answer that waits for one."""
_PAUSE = 0.2

_log = structlog.get_logger(__name__)


class PrimaryNotSeen(Exception):
    """The primary cannot be looked at for now."""


_NOT_SEEN = translating(lambda lost: PrimaryNotSeen(describe(lost)), errors=FAILED)


class PrimaryPositions:
    """Looks at the primary, on a connection of its own. `run` is a role for `kit.looper`."""

    def __init__(self, url: str, *, replicas: Sequence[Replica] = ()) -> None:
        """Take the primary's URL, and the replicas that are told of each look."""
        self._url = url
        self._replicas = replicas
        self._asked = asyncio.Event()
        self._waiting: list[asyncio.Future[int]] = []
        self._is_seen = True

    async def after_now(self) -> int:
        """The position of everything that anybody can have seen by now; `LATEST` if the primary does not tell it.

        However many ask at once, one look answers them.
        """
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        self._asked.set()
        try:
            async with asyncio.timeout(_PATIENCE):
                return await answer
        except TimeoutError:
            return LATEST

    async def run(self) -> None:
        """Look until cancelled: ten times a second if there are replicas, and whenever somebody asks."""
        while True:
            with contextlib.suppress(PrimaryNotSeen):
                await self._look_until_lost()
            await asyncio.sleep(_PAUSE)

    async def _look_until_lost(self) -> None:
        waiting: list[asyncio.Future[int]] = []
        try:
            async with open_session(
                self._url, away=_NOT_SEEN, statement_seconds=_PATIENCE, connect_seconds=_PATIENCE
            ) as session:
                server = await _SERVER.row(session)
                assert server is not None  # noqa: S101 -- it has no condition
                for replica in self._replicas:
                    replica.primary_is(server["cluster"])
                while True:
                    await self._until_due()
                    waiting, self._waiting = self._waiting, []
                    position = await self._look(session)
                    if waiting:  # somebody read the primary: let the replicas be asked again soon
                        for replica in self._replicas:
                            replica.look_soon()
                    for each in waiting:
                        if not each.done():
                            each.set_result(position)
        except PrimaryNotSeen as lost:
            if self._is_seen:
                _log.warning("primary_not_seen", reason=str(lost))
            self._is_seen = False
            raise
        finally:
            self._waiting = [each for each in (*waiting, *self._waiting) if not each.done()]

    async def _until_due(self) -> None:
        if not self._waiting:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_EVERY if self._replicas else None):
                    await self._asked.wait()
        self._asked.clear()

    async def _look(self, session: Session) -> int:
        began = time.monotonic()
        row: asyncpg.Record | None = await _SELECT.row(session)
        assert row is not None  # noqa: S101 -- it has no condition
        end = end_of_log(row["log_end"], page=row["page"], segment=row["segment"])
        for replica in self._replicas:
            replica.primary_was(began, end)
        self._is_seen = True
        return int(row["next"]) - 1
