"""What users do with comments. The service owns the transaction; PostgreSQL decides who may."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from taskbell.api.comments import repository
from taskbell.api.comments.errors import CommentNotFound, DeletionForbidden, MentionedNotMember
from taskbell.api.comments.schemas import CommentCreate
from taskbell.api.events.recorder import EventRecorder
from taskbell.api.http.paging import PageRequest, Slice
from taskbell.api.quotas.service import Quotas
from taskbell.api.tasks import access
from taskbell.api.tasks.errors import TaskNotFound
from taskbell.contract.events import EventType
from taskbell.contract.problems import FieldError
from taskbell.kit.postgres.errors import RowRefused
from taskbell.kit.trace import traceparent
from taskbell.store.pool import Connection, Database
from taskbell.store.reads import Reads


class Comments:
    """Comments on behalf of a signed-in user."""

    def __init__(self, database: Database, reads: Reads, *, recorder: EventRecorder, quotas: Quotas) -> None:
        """Take the primary, what answers reads, the recorder of events, and the quotas."""
        self._database = database
        self._reads = reads
        self._recorder = recorder
        self._quotas = quotas

    async def create(self, actor: UUID, task_id: UUID, wanted: CommentCreate) -> str:
        """Write a comment; returns its document.

        Raises:
            TaskNotFound: The actor sees no such task.
            ChangeForbidden: The actor may only read it.
            MentionedNotMember: Somebody who is mentioned is not a member of the workspace.
            QuotaExceeded: The workspace has written too much for now.
            StorageFull: Its tasks take as much as they may.
        """
        try:
            written = await self._create_allowed(actor, task_id, wanted)
        except RowRefused as refused:
            # The actor was removed or demoted since the task was locked: what is left of it decides.
            async with self._database.acting(actor) as connection:
                raise await access.refusal(connection, task_id) from refused
        told = [EventType.NOTIFICATION_CREATED] * written.notified
        await self._recorder.committed(EventType.COMMENT_CREATED, *told)
        return written.document

    async def _create_allowed(self, actor: UUID, task_id: UUID, wanted: CommentCreate) -> repository.Written:
        async with self._database.acting(actor) as connection:
            task = await access.lock_task(connection, task_id)
            self._quotas.check(task["workspace_id"], grows=True)
            await _require_members(connection, task["workspace_id"], wanted.mention_ids)
            return await repository.create(
                connection,
                task=task,
                actor=actor,
                body=wanted.body,
                mention_ids=wanted.mention_ids,
                traceparent=traceparent(),
            )

    async def page(self, actor: UUID, task_id: UUID, wanted: PageRequest) -> Slice[str]:
        """Read a page of documents, oldest first.

        Raises:
            TaskNotFound: The actor sees no such task.
        """
        found = await repository.page(self._reads, actor=actor, task_id=task_id, after=wanted.after, limit=wanted.limit)
        if found is None:
            raise TaskNotFound
        return found

    async def delete(self, actor: UUID, task_id: UUID, comment_id: UUID) -> None:
        """Delete a comment.

        Raises:
            TaskNotFound: The actor sees no such task.
            CommentNotFound: It has no such comment.
            DeletionForbidden: The actor neither wrote it nor administers the workspace, or may only read there.
        """
        async with self._database.acting(actor) as connection:
            deleted = await repository.delete(
                connection, task_id=task_id, comment_id=comment_id, actor=actor, traceparent=traceparent()
            )
            if not deleted:
                await access.require_task(connection, task_id)
                seen = await repository.exists(connection, task_id=task_id, comment_id=comment_id)
                raise DeletionForbidden if seen else CommentNotFound
        await self._recorder.committed(EventType.COMMENT_DELETED)


async def _require_members(connection: Connection, workspace_id: UUID, mentioned: Sequence[UUID]) -> None:
    if not mentioned:
        return
    members = await access.members_among(connection, workspace_id=workspace_id, users=mentioned)
    told = tuple(
        FieldError(f"/mention_ids/{place}", "mentioned_not_member", "only members of the workspace can be mentioned")
        for place, user in enumerate(mentioned)
        if user not in members
    )
    if told:
        raise MentionedNotMember(errors=told)
