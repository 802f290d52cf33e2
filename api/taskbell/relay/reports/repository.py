"""The sums of reports, in PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from taskbell.kit.postgres.connection import Session, open_session
from taskbell.kit.postgres.statements import load
from taskbell.relay.errors import AWAY

_FOLD_REPORTS = load(__package__, "fold_reports")
_MEASURE_REPORTS = load(__package__, "measure_reports")
_AT_ONCE = 10_000
"""Events in a transaction: a second of work, and so what a relay that is killed leaves to be done again."""
_STATEMENT_SECONDS = 310.0
_SETTINGS = {
    "application_name": "taskbell-relay-reports",
    # Once after an upgrade all open tasks are counted in one statement.
    "statement_timeout": "300s",
    # A plan made while a table was empty is kept while it fills.
    "enable_seqscan": "off",
    "jit": "off",
}


@asynccontextmanager
async def folding(url: str) -> AsyncIterator[Folding]:
    """Connect as the relay. Raises `DatabaseUnavailable` when PostgreSQL is away."""
    async with open_session(url, away=AWAY, settings=_SETTINGS, statement_seconds=_STATEMENT_SECONDS) as session:
        yield Folding(session)


class Folding:
    """Sums events up. Every call raises `DatabaseUnavailable` when PostgreSQL is away."""

    def __init__(self, session: Session, *, at_once: int = _AT_ONCE) -> None:
        """Take a session, which the caller closes, and about how many events are folded in one transaction."""
        self._session = session
        self._at_once = at_once

    async def fold(self) -> None:
        """Fold all events that are settled, unless another program is at it."""
        while True:
            looked = await _FOLD_REPORTS.value(self._session, at_most=self._at_once)
            if looked is None or looked < self._at_once:
                return

    async def measure(self) -> tuple[float, int]:
        """How long the oldest event that is not folded waits, in seconds, and how many sums were repaired so far."""
        (row,) = await _MEASURE_REPORTS.rows(self._session)
        return row["lag"], row["repaired"]
