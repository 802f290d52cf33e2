"""The SQL of the walks: over the tasks for stale ones, over the users for their digests."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfoNotFoundError

import structlog

from taskbell.kit.ids import lowest_id
from taskbell.kit.postgres.connection import Session
from taskbell.kit.postgres.statements import load
from taskbell.sweeper.local_days import DueDigest, due_digest
from taskbell.sweeper.policy import Shard
from taskbell.sweeper.walk import Step

_READ_CLOCK = load(__package__, "read_clock")
_TELL_STALE = load(__package__, "tell_stale")
_SELECT_DIGESTS = load(__package__, "select_digests")
_WRITE_DIGESTS = load(__package__, "write_digests")
_WALKED_AT_ONCE = 5000
"""Tasks that one step looks at: most need no notification, and some milliseconds read them."""
_NIL = UUID(int=0)
_log = structlog.get_logger(__name__)


class StaleTasks:
    """A walk over the tasks that are old enough to be stale. Its place is the id of a task."""

    def __init__(self, session: Session, *, shard: Shard, stale_after: timedelta) -> None:
        """Take a session, which the caller closes, the part of the tasks to tell of, and when a task is stale."""
        self._session = session
        self._shard = shard
        self._stale_after = stale_after
        self._after = _NIL
        self._until: UUID | None = None

    async def step(self, *, at_most: int) -> Step:
        """See `Walker.step`."""
        if self._until is None:
            now: datetime = await _READ_CLOCK.value(self._session)
            self._until = lowest_id(now - self._stale_after)  # no status is older than its task
        (row,) = await _TELL_STALE.rows(
            self._session,
            after=self._after,
            until=self._until,
            walk_at_most=_WALKED_AT_ONCE,
            tell_at_most=at_most,
            stale_after=self._stale_after,
            shard=self._shard.number,
            shards=self._shard.count,
        )
        walked, found, fired, told, last = row
        self._after = last or self._after
        return Step(walked, fired, told, is_last=walked < _WALKED_AT_ONCE and found < at_most)


class Digests:
    """A walk over the users who want a daily digest. Its place is a time of the day and the id of a user."""

    def __init__(self, session: Session, *, shard: Shard) -> None:
        """Take a session, which the caller closes, and the part of the users."""
        self._session = session
        self._shard = shard
        self._after: tuple[time, UUID] = (time(), _NIL)

    async def step(self, *, at_most: int) -> Step:
        """See `Walker.step`. Whose digest is due is decided by the database's clock."""
        rows = await _SELECT_DIGESTS.rows(
            self._session,
            after_at=self._after[0],
            after_id=self._after[1],
            at_most=at_most,
            shard=self._shard.number,
            shards=self._shard.count,
        )
        asked = [(row, _due(row["now"], row["id"], row["digest_at"], row["time_zone"])) for row in rows]
        due = [(row, digest) for row, digest in asked if digest]
        fired = told = 0
        if due:
            (found,) = await _WRITE_DIGESTS.rows(
                self._session,
                people=[row["id"] for row, _ in due],
                workspaces=[row["personal_workspace_id"] for row, _ in due],
                days=[digest.day for _, digest in due],
                untils=[digest.until for _, digest in due],
            )
            fired, told = found
        if rows:
            self._after = (rows[-1]["digest_at"], rows[-1]["id"])
        return Step(len(rows), fired, told, is_last=len(rows) < at_most)


def _due(now: datetime, user: UUID, at: time, zone: str) -> DueDigest | None:
    try:
        return due_digest(now, at=at, zone=zone)
    except (
        ZoneInfoNotFoundError,
        OSError,
        ValueError,
    ) as unknown:  # written by a release that knows more zones than this one
        _log.warning("digest_zone_unknown", user_id=str(user), zone=zone, reason=str(unknown))
        return due_digest(now, at=at, zone="UTC")
