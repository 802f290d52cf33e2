"""The sweeps' SQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import structlog

from taskbell.kit.postgres.connection import Session, open_session
from taskbell.kit.postgres.errors import FAILED, describe, translating
from taskbell.kit.postgres.statements import load
from taskbell.store import partitions
from taskbell.sweeper import erasures
from taskbell.sweeper.errors import BatchTooSlow, SweepInterrupted
from taskbell.sweeper.policy import LONGEST_PAUSE, Part, span_to_check

_FIRE_DUE = load(__package__, "fire_due")
_SELECT_NEXT = load(__package__, "select_next")
_MEASURE_OLDEST = load(__package__, "measure_oldest")
_READ_CLOCK = load(__package__, "read_clock")
_FOLD_REPORTS = load(__package__, "fold_reports")
_CHECK_REPORTS = load(__package__, "check_reports")
_SELECT_REPORT_STATE = load(__package__, "select_report_state")
_DELETE_SESSIONS = load(__package__, "delete_sessions")
_DELETE_LOGIN_ATTEMPTS = load(__package__, "delete_login_attempts")
_DELETE_DELETED_TASKS = load(__package__, "delete_deleted_tasks")
_DELETE_JOB_LOG = load(__package__, "delete_job_log")
_DELETE_INVITATIONS = load(__package__, "delete_invitations")
_DELETE_INVITATION_LETTERS = load(__package__, "delete_invitation_letters")
_DELETE_EMAIL_CONFIRMATIONS = load(__package__, "delete_email_confirmations")
_DELETE_PASSWORD_RESETS = load(__package__, "delete_password_resets")
_DELETE_KEPT_ANSWERS = load(__package__, "delete_kept_answers")
_OUTLIVED = {
    "sessions": _DELETE_SESSIONS,
    "login_attempts": _DELETE_LOGIN_ATTEMPTS,
    "deleted_tasks": _DELETE_DELETED_TASKS,
    "job_log": _DELETE_JOB_LOG,
    "invitations": _DELETE_INVITATIONS,
    "invitation_letters": _DELETE_INVITATION_LETTERS,
    "email_confirmations": _DELETE_EMAIL_CONFIRMATIONS,
    "password_resets": _DELETE_PASSWORD_RESETS,
    "kept_answers": _DELETE_KEPT_ANSWERS,
}
_DELETED_AT_ONCE = 5000
_FOLDED_AT_ONCE = 10_000
_log = structlog.get_logger(__name__)
OUTLIVED_TABLES = tuple(_OUTLIVED)
"""Tables whose old rows maintenance deletes: sessions (with their refresh tokens), throttles, tombstones, job log,
expired invitations and their letters, confirmations of addresses, resets of passwords and kept answers."""
_SWEEP_SECONDS = 40.0
"""Longer than the role's statement_timeout (30 s): the server ends a slow batch, and the session can be used again."""
_SWEEP_SETTINGS = {"application_name": "taskbell-sweeper"}
"""Nothing else: PgBouncer refuses what it does not know. The role has the rest (`taskbell.store.roles`)."""
_MAINTENANCE_SECONDS = 310.0
_MAINTENANCE_SETTINGS = {"application_name": "taskbell-maintenance", "lock_timeout": "5s", "statement_timeout": "300s"}
"""Dropping a partition locks its table for a moment: better to try again later than to hold up requests."""


def _interrupted(error: BaseException) -> SweepInterrupted:
    if isinstance(error, asyncpg.QueryCanceledError):
        return BatchTooSlow(describe(error))
    return SweepInterrupted(describe(error))


_AWAY = translating(_interrupted, errors=FAILED)


@dataclass(frozen=True, slots=True)
class Fired:
    """The outcome of one reminder.

    Attributes:
        lateness: Seconds since it had to fire.
        outcome: `fired`, `repeated` or `void`.
        told: How many people were notified.
    """

    lateness: float
    outcome: str
    told: int


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Session]:
    """Connect as the sweeper. Raises `SweepInterrupted` when PostgreSQL is away, as every use of the session does."""
    async with open_session(url, away=_AWAY, settings=_SWEEP_SETTINGS, statement_seconds=_SWEEP_SECONDS) as session:
        yield session


@asynccontextmanager
async def sweeping(url: str) -> AsyncIterator[Reminders]:
    """Connect as the sweeper. Raises `SweepInterrupted` when PostgreSQL is away."""
    async with connected(url) as session:
        yield Reminders(session)


class Reminders:
    """The reminders of all workspaces. Every call raises `SweepInterrupted` when PostgreSQL is away."""

    def __init__(self, session: Session) -> None:
        """Take a session, which the caller closes."""
        self._session = session

    async def fire(self, part: Part, *, at_most: int) -> list[Fired]:
        """Fire what is due in a part and no other sweep is firing, the longest due first. One transaction.

        Raises:
            BatchTooSlow: The server ended it, so that nothing of it was fired; the session can be used again.
        """
        rows = await _FIRE_DUE.rows(self._session, at_most=at_most, **_selecting(part))
        return [Fired(*row) for row in rows]

    async def next_in(self, part: Part) -> float | None:
        """Seconds until the next reminder of a part, None if that is longer than a pause. One round trip."""
        seconds: float | None = await _SELECT_NEXT.value(self._session, ahead=LONGEST_PAUSE, **_selecting(part))
        return seconds

    async def oldest(self, part: Part) -> float:
        """Seconds for which the oldest reminder of a part has been due; 0 if none is due. One round trip."""
        seconds: float = await _MEASURE_OLDEST.value(self._session, **_selecting(part))
        return seconds


def _selecting(part: Part) -> dict[str, Any]:
    """The arguments by which statements select a part."""
    return {
        "kind": part.kind.value,
        "shard": part.shard.number,
        "shards": part.shard.count,
        "leads": part.leads or None,
    }


@asynccontextmanager
async def maintaining(url: str) -> AsyncIterator[Maintenance]:
    """Connect as the schema's owner. Raises `SweepInterrupted` when PostgreSQL is away, or a pooler answers."""
    async with open_session(
        url, away=_AWAY, settings=_MAINTENANCE_SETTINGS, statement_seconds=_MAINTENANCE_SECONDS, direct=True
    ) as session:
        yield Maintenance(session)


class Maintenance:
    """Keeps the database small. Every call raises `SweepInterrupted` when it fails."""

    def __init__(self, session: Session) -> None:
        """Take a session, which the caller closes."""
        self._session = session

    async def now(self) -> datetime:
        """The database's time."""
        found: datetime = await _READ_CLOCK.value(self._session)
        return found

    async def make_partitions(self, settings: partitions.MaintenanceSettings, *, now: datetime) -> partitions.Report:
        """Make the partitions that will be needed, and count the rows in the default partitions."""
        async with self._session.connection() as connection:
            return await partitions.maintain(connection, settings=settings, now=now)

    async def check_reports(self, *, now: datetime, event_retention: timedelta) -> dict[str, int]:
        """Fold the events that no relay has, and compare the sums of recent days with their events.

        Returns how many events were folded, and how many sums were wrong; they are right afterwards.
        """
        folded = 0
        while looked := await _FOLD_REPORTS.value(self._session, at_most=_FOLDED_AT_ONCE):
            folded += looked
            if looked < _FOLDED_AT_ONCE:
                break
        (state,) = await _SELECT_REPORT_STATE.rows(self._session)
        since, until = span_to_check(now, retention=event_retention, **state)
        repaired = await _CHECK_REPORTS.value(self._session, since=since, until=until)
        if repaired:
            _log.warning("reports_repaired", cells=repaired, since=since.isoformat())
        return {"folded": folded, "repaired": repaired}

    async def drop_expired(self, retention: Mapping[str, timedelta], *, now: datetime) -> list[str]:
        """Drop the partitions that are older than their table's retention. Returns their names."""
        async with self._session.connection() as connection:
            return await partitions.drop_expired(connection, retention=retention, now=now)

    async def erase(self) -> int:
        """Erase what is left of deleted accounts and of workspaces without members. Returns of how many."""
        return await erasures.erase(self._session)

    async def delete_outlived(self, table: str) -> int:
        """Delete what a table keeps no longer, some thousand rows in a transaction. Returns how many."""
        deleted = 0
        while True:
            count = await _OUTLIVED[table].count(self._session, at_most=_DELETED_AT_ONCE)
            deleted += count
            if count < _DELETED_AT_ONCE:
                return deleted
