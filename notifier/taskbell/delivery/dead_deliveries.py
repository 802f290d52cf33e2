"""Deliveries that were given up, as people see them and send them again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from taskbell.delivery.claims import document_of
from taskbell.delivery.repository import AWAY, SECONDS
from taskbell.kit.postgres.connection import Session, open_session
from taskbell.kit.postgres.statements import load

_GET_DEAD = load(__package__, "get_dead")
_LIST_DEAD = load(__package__, "list_dead")
_REVIVE_DEAD = load(__package__, "revive_dead")
_OF_THE_EVENT = frozenset({"subject_id", "actor_id", "event_traceparent", "event_time", "data"})
"""Columns that the document contains."""


class DeadDeliveries:
    """Deliveries that were given up, for a person to read and to send again. Raises `LedgerUnavailable` ."""

    def __init__(self, session: Session) -> None:
        """Take a session under `taskbell_delivery` or the owner, which the caller closes."""
        self._session = session

    async def page(self, *, past: UUID | None, limit: int) -> list[dict[str, Any]]:
        """Some of them, without their payload, the oldest first."""
        return [dict(row) for row in await _LIST_DEAD.rows(self._session, past=past, at_most=limit)]

    async def get(self, delivery_id: UUID) -> dict[str, Any] | None:
        """One with everything that is known of it, or None."""
        row = await _GET_DEAD.row(self._session, id=delivery_id)
        if row is None:
            return None
        found = dict(row) | {"payload": document_of(row) or None}
        return {name: value for name, value in found.items() if name not in _OF_THE_EVENT}

    async def redrive(self, delivery_ids: Sequence[UUID]) -> int:
        """Begin them again, at once and for as long as they first had. Returns how many of them were dead."""
        return await _REVIVE_DEAD.count(self._session, ids=list(delivery_ids))


@asynccontextmanager
async def dead_deliveries(url: str) -> AsyncIterator[DeadDeliveries]:
    """Connect for the length of the block. Raises `LedgerUnavailable`."""
    async with open_session(url, away=AWAY, statement_seconds=SECONDS) as session:
        yield DeadDeliveries(session)
