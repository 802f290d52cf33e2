"""How late reminders are, read from PostgreSQL by the database's clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from taskbell.kit.postgres.connection import Session, open_session
from taskbell.kit.postgres.statements import load
from taskbell.relay.errors import AWAY

_MEASURE_FIRED = load(__package__, "measure_fired")
_MEASURE_OVERDUE = load(__package__, "measure_overdue")
_STATEMENT_SECONDS = 10.0
_SETTINGS = {
    "application_name": "taskbell-relay-lateness",
    # A plan made while a table was empty is kept while it fills.
    "enable_seqscan": "off",
    "jit": "off",
}


@dataclass(frozen=True, slots=True)
class Overdue:
    """Reminders that are due and have not fired.

    Attributes:
        reminders: How many, counted up to a bound.
        oldest: The age of the oldest, in seconds.
    """

    reminders: int
    oldest: float


@dataclass(frozen=True, slots=True)
class FiredBucket:
    """Reminders that fired about equally late.

    Attributes:
        place: Number of the bounds that their lateness has reached.
        reminders: How many.
        seconds: The sum of their lateness.
    """

    place: int
    reminders: int
    seconds: float


@asynccontextmanager
async def watching(url: str) -> AsyncIterator[Punctuality]:
    """Connect as the relay. Raises `DatabaseUnavailable` when PostgreSQL is away."""
    async with open_session(url, away=AWAY, settings=_SETTINGS, statement_seconds=_STATEMENT_SECONDS) as session:
        yield Punctuality(session)


class Punctuality:
    """Measures how late reminders are. Every call raises `DatabaseUnavailable` when PostgreSQL is away."""

    def __init__(self, session: Session) -> None:
        """Take a session, which the caller closes. What fired before is not counted."""
        self._session = session
        self._seen: str | None = None

    async def overdue(self, *, at_most: int) -> Overdue:
        """Count what is due now and has not fired. One round trip."""
        (row,) = await _MEASURE_OVERDUE.rows(self._session, at_most=at_most)
        return Overdue(*row)

    async def fired(self, *, bounds: Sequence[float]) -> list[FiredBucket]:
        """Count what has fired since the previous call, each reminder once; nothing at the first call."""
        rows = await _MEASURE_FIRED.rows(self._session, seen=self._seen, bounds=bounds)
        self._seen = rows[0]["snapshot"]
        return [FiredBucket(place, reminders, seconds) for _, place, reminders, seconds in rows if place is not None]
