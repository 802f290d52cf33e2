"""What an actor may do with a task, as every feature about tasks asks it. Within a transaction of the actor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from taskbell.api.tasks import repository
from taskbell.api.tasks.errors import ChangeForbidden, TaskNotFound
from taskbell.store.pool import Connection


async def lock_task(connection: Connection, task_id: UUID) -> dict[str, Any]:
    """Lock a task that the actor may change until the transaction ends, and read it. One round trip.

    Raises:
        TaskNotFound: The actor sees no such task.
        ChangeForbidden: The actor may only read it.
    """
    task = await repository.lock(connection, task_id=task_id)
    if task is None:
        raise await refusal(connection, task_id)
    return task


async def require_task(connection: Connection, task_id: UUID) -> None:
    """Check that the actor sees a task. One round trip. Raises `TaskNotFound`."""
    if not await repository.is_seen(connection, task_id=task_id):
        raise TaskNotFound


async def members_among(connection: Connection, *, workspace_id: UUID, users: Sequence[UUID]) -> set[UUID]:
    """Of some users, the members of a workspace that the actor belongs to. One round trip."""
    return await repository.members_among(connection, workspace_id=workspace_id, users=users)


async def refusal(connection: Connection, task_id: UUID) -> TaskNotFound | ChangeForbidden:
    """Why a change found no row: there is no such task, or the actor may only read it. One round trip."""
    return ChangeForbidden() if await repository.is_seen(connection, task_id=task_id) else TaskNotFound()
