"""How users follow tasks. Every member may, viewers too: it changes what they hear, and nothing for others."""

from __future__ import annotations

from uuid import UUID

from taskbell.api.subscriptions import repository
from taskbell.api.subscriptions.schemas import Subscription, SubscriptionState
from taskbell.api.tasks import access
from taskbell.api.tasks.errors import TaskNotFound
from taskbell.kit.postgres.errors import RowRefused
from taskbell.store.pool import Database
from taskbell.store.reads import Reads


class Subscriptions:
    """Subscriptions of a signed-in user. Every method raises `TaskNotFound` when the actor sees no such task."""

    def __init__(self, database: Database, reads: Reads) -> None:
        """Take the primary, and what answers reads."""
        self._database = database
        self._reads = reads

    async def get(self, actor: UUID, task_id: UUID) -> Subscription:
        """Read how the actor follows a task."""
        found = await repository.get(self._reads, actor=actor, task_id=task_id)
        if found is None:
            raise TaskNotFound
        return found

    async def put(self, actor: UUID, task_id: UUID, state: SubscriptionState) -> Subscription:
        """Set how the actor follows a task."""
        try:
            async with self._database.acting(actor) as connection:
                found = await repository.put(connection, actor=actor, task_id=task_id, state=state)
        except RowRefused as refused:
            raise TaskNotFound from refused
        if found is None:
            raise TaskNotFound
        return found

    async def delete(self, actor: UUID, task_id: UUID) -> None:
        """Let the actor hear of a task only as its creator, assignee or commenter. Repeating it changes nothing."""
        async with self._database.acting(actor) as connection:
            await access.require_task(connection, task_id)
            await repository.delete(connection, actor=actor, task_id=task_id)
