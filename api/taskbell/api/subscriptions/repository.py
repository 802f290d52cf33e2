"""Subscriptions in PostgreSQL. Each call is one round trip."""

from __future__ import annotations

from uuid import UUID

import asyncpg

from taskbell.api.subscriptions.schemas import Subscription, SubscriptionState
from taskbell.kit.postgres.errors import RowRefused
from taskbell.kit.postgres.statements import load
from taskbell.store.pool import Connection
from taskbell.store.reads import Reads

_DELETE = load(__package__, "delete_subscription")
_GET = load(__package__, "get_subscription")
_SET = load(__package__, "set_subscription")


async def get(reads: Reads, *, actor: UUID, task_id: UUID) -> Subscription | None:
    """How the actor follows a task; None when the actor sees no such task."""
    row = await _GET.row(reads.of(actor), actor=actor, task_id=task_id)
    return None if row is None else Subscription(**dict(row.items()))


async def put(connection: Connection, *, actor: UUID, task_id: UUID, state: SubscriptionState) -> Subscription | None:
    """Set how the actor follows a task, in the actor's transaction; None when the actor sees no such task.

    Raises:
        RowRefused: The task was deleted or the actor removed in this moment; the transaction is void.
    """
    try:
        row = await _SET.row(connection, actor=actor, task_id=task_id, state=state.value)
    except (asyncpg.InsufficientPrivilegeError, asyncpg.ForeignKeyViolationError) as refused:
        raise RowRefused from refused
    return None if row is None else Subscription(**dict(row.items()))


async def delete(connection: Connection, *, actor: UUID, task_id: UUID) -> None:
    """Follow a task no longer, in the actor's transaction."""
    await _DELETE.count(connection, actor=actor, task_id=task_id)
