"""How much workspaces write and store, in PostgreSQL, by the database's clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from taskbell.kit.ids import lowest_id
from taskbell.kit.postgres.connection import Session, open_session
from taskbell.kit.postgres.statements import load
from taskbell.relay.errors import AWAY

_COUNT_REFUSED = load(__package__, "count_refused")
_COUNT_TASKS = load(__package__, "count_tasks")
_LAST_MEASURED = load(__package__, "last_measured")
_MEASURE_USAGE = load(__package__, "measure_usage")
_STATEMENT_SECONDS = 30.0
_SETTLED = timedelta(seconds=3)
"""Events this old have committed: an id is made shortly before its transaction ends."""
_FIRST_LOOK = timedelta(hours=1)
_LONGEST_LOOK = timedelta(minutes=10)
_DAY = timedelta(days=1)
_SETTINGS = {
    "application_name": "taskbell-relay-usage",
    # A plan made while a table was empty is kept while it fills.
    "enable_seqscan": "off",
    "jit": "off",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What one workspace may write in a day, and store in tasks, in bytes."""

    daily: int
    tasks: int


@asynccontextmanager
async def measuring(url: str, quota: Quota) -> AsyncIterator[Usage]:
    """Connect as the relay. Raises `DatabaseUnavailable` when PostgreSQL is away."""
    async with open_session(url, away=AWAY, settings=_SETTINGS, statement_seconds=_STATEMENT_SECONDS) as session:
        yield Usage(session, quota)


class Usage:
    """Measures and counts. Every call raises `DatabaseUnavailable` when PostgreSQL is away."""

    def __init__(self, session: Session, quota: Quota) -> None:
        """Take a session, which the caller closes. It goes on where the last relay ended."""
        self._session = session
        self._quota = quota
        self._until: datetime | None = None

    async def measure(self) -> list[UUID]:
        """Add what was written since the last call, or in the last day; return workspaces to count the tasks of.

        What is older has sunk from every level. Each statement reads a few minutes, so that a long time without an
        active relay is made up for, however much was written in it.
        """
        clock = await _LAST_MEASURED.row(self._session)
        assert clock is not None  # noqa: S101 -- an aggregate always has a row
        now = clock["now"]
        since = max(self._until or clock["last"] or now - _FIRST_LOOK, now - _DAY)
        uncounted = dict[UUID, None]()
        while since < now - _SETTLED:
            until = min(since + _LONGEST_LOOK, now - _SETTLED)
            rows = await _MEASURE_USAGE.rows(
                self._session,
                first_id=lowest_id(since),
                next_id=lowest_id(until),
                until=until,
                daily=self._quota.daily,
                tasks=self._quota.tasks,
            )
            uncounted |= dict.fromkeys(row["workspace_id"] for row in rows if row["is_uncounted"])
            self._until = since = until
        return list(uncounted)

    async def count_tasks(self, workspace_id: UUID) -> None:
        """Count what the tasks of a workspace take."""
        await _COUNT_TASKS.count(self._session, workspace_id=workspace_id, tasks=self._quota.tasks)

    async def refused(self) -> tuple[int, int]:
        """How many workspaces may write nothing for now, and how many may not let their tasks grow."""
        (row,) = await _COUNT_REFUSED.rows(self._session)
        return row["refused"], row["full"]
