"""SQL about quotas. It is not about a user, so it has no actor."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from taskbell.kit.postgres.statements import load
from taskbell.store.pool import Database

_SELECT_REFUSED = load(__package__, "select_refused")


@dataclass(frozen=True, slots=True)
class Over:
    """A workspace that is over a quota: for how many seconds it may write nothing, and whether its tasks are full."""

    workspace_id: UUID
    refused_for: float
    tasks_full: bool


async def refused(database: Database) -> list[Over]:
    """Read all of them."""
    return [Over(*row) for row in await _SELECT_REFUSED.rows(database)]
