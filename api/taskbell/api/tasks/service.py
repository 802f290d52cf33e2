"""What users do with tasks. The service owns the transaction; PostgreSQL decides who may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from taskbell.api.events.recorder import EventRecorder
from taskbell.api.http.paging import CursorInvalid, PageRequest, Slice
from taskbell.api.quotas.service import Quotas
from taskbell.api.tasks import access, repository
from taskbell.api.tasks.errors import (
    AssigneeNotMember,
    ChangeForbidden,
    MoveInvalid,
    TaskNotFound,
    TaskVersionMismatch,
)
from taskbell.api.tasks.lists import Listing
from taskbell.api.tasks.policy import Neighbour, below_first, change, middle, spread
from taskbell.api.tasks.repository import Document
from taskbell.api.tasks.schemas import TaskCreate, TaskMove, TaskPatch, TaskReplace
from taskbell.api.workspaces.membership import require_role
from taskbell.api.workspaces.policy import Role
from taskbell.contract.events import EventType
from taskbell.contract.problems import FieldError
from taskbell.contract.tokens import Claims
from taskbell.kit.postgres.errors import RowRefused
from taskbell.kit.trace import traceparent
from taskbell.store.pool import Connection, Database


class TaskService:
    """Tasks on behalf of a signed-in user."""

    def __init__(
        self, database: Database, *, recorder: EventRecorder, quotas: Quotas, reminder_leads: Sequence[timedelta]
    ) -> None:
        """Take the database, the recorder of events, the quotas, and how long before a due time to remind of it."""
        self._database = database
        self._quotas = quotas
        self._recorder = recorder
        self._leads = reminder_leads

    async def create(self, actor: Claims, wanted: TaskCreate) -> Document:
        """Create a task.

        Raises:
            WorkspaceNotFound: The actor is not a member of the workspace.
            ChangeForbidden: The actor may only read there.
            AssigneeNotMember: An assignee is not a member of the workspace.
            QuotaExceeded: The workspace has written too much for now.
            StorageFull: Its tasks take as much as they may.
        """
        workspace_id = wanted.workspace_id or actor.workspace_id
        if (refusal := self._quotas.refusal(workspace_id, grows=True)) is not None:
            await require_role(self._database, actor=actor.user_id, workspace_id=workspace_id)
            raise refusal
        values = {**wanted.__dict__, "workspace_id": workspace_id, "leads": self._leads}
        try:
            created = await repository.create(self._database, actor=actor.user_id, traceparent=traceparent(), **values)
        except RowRefused as refused:
            role = await require_role(self._database, actor=actor.user_id, workspace_id=workspace_id)
            if role is not Role.VIEWER:
                async with self._database.acting(actor.user_id) as connection:
                    await self._require_members(
                        connection, workspace_id, wanted.assignee_ids, newly=wanted.assignee_ids
                    )
            raise ChangeForbidden from refused
        assigned = [EventType.TASK_ASSIGNED] if wanted.assignee_ids else []
        await self._recorder.committed(EventType.TASK_CREATED, *assigned)
        return created

    @staticmethod
    async def _require_members(
        connection: Connection, workspace_id: UUID, assignees: Sequence[UUID], *, newly: Sequence[UUID]
    ) -> None:
        members = await access.members_among(connection, workspace_id=workspace_id, users=newly)
        told = tuple(
            FieldError(f"/assignee_ids/{place}", "assignee_not_member", "only members of the workspace can be assigned")
            for place, user in enumerate(assignees)
            if user in newly and user not in members
        )
        if told:
            raise AssigneeNotMember(errors=told)

    async def get(self, actor: Claims, task_id: UUID) -> Document:
        """Read a task.

        Raises:
            TaskNotFound: The actor sees no such task.
        """
        found = await repository.get(self._database, actor=actor.user_id, task_id=task_id)
        if found is None:
            raise TaskNotFound
        return found

    async def page(
        self,
        actor: Claims,
        listing: Listing,
        wanted: PageRequest,
        *,
        last_id: UUID | None,
        workspace_id: UUID | None = None,
    ) -> Slice[str]:
        """Read a page of documents.

        Args:
            actor: Who reads.
            listing: Which tasks, in which order.
            wanted: Which page.
            last_id: The task to continue after when there is no cursor.
            workspace_id: The workspace that the client named, if any.

        Raises:
            CursorInvalid: The cursor is of another list, or nothing is known of the task `last_id` names.
            WorkspaceNotFound: The actor is not a member of the workspace.
        """
        after = None if wanted.after is None else listing.check(wanted.after)
        if after is None and last_id is not None:
            after = await repository.place_of(self._database, actor=actor.user_id, task_id=last_id, sort=listing.sort)
            if after is None:
                raise CursorInvalid("Nothing is known of the task that last_id names.")
        found = await repository.page(
            self._database, actor=actor.user_id, listing=listing, after=after, limit=wanted.limit
        )
        if not found.items and workspace_id is not None:  # empty, or of a workspace that the actor does not see
            await require_role(self._database, actor=actor.user_id, workspace_id=workspace_id)
        return found

    async def patch(self, actor: Claims, task_id: UUID, wanted: TaskPatch, *, version: int | None) -> Document:
        """Change the fields that were sent. A change that changes nothing writes nothing.

        Raises:
            TaskNotFound: The actor sees no such task.
            ChangeForbidden: The actor may only read it.
            TaskVersionMismatch: It has another version than the one asked for.
        """
        return await self._change(
            actor, task_id, {name: getattr(wanted, name) for name in wanted.model_fields_set}, version=version
        )

    async def replace(self, actor: Claims, task_id: UUID, wanted: TaskReplace, *, version: int | None) -> Document:
        """Set all fields. Raises what `patch` raises, and `MoveInvalid` when another workspace is named."""
        return await self._change(actor, task_id, dict(wanted.__dict__), version=version)

    async def _change(self, actor: Claims, task_id: UUID, wanted: dict[str, Any], *, version: int | None) -> Document:
        try:
            return await self._change_allowed(actor, task_id, wanted, version=version)
        except RowRefused as refused:
            # The actor was removed or demoted since the task was locked: what is left of it decides.
            async with self._database.acting(actor.user_id) as connection:
                raise await access.refusal(connection, task_id) from refused

    async def _change_allowed(
        self, actor: Claims, task_id: UUID, wanted: dict[str, Any], *, version: int | None
    ) -> Document:
        workspace_id = wanted.pop("workspace_id", None)
        async with self._database.acting(actor.user_id) as connection:
            task = await access.lock_task(connection, task_id)
            if version is not None and task["version"] != version:
                raise TaskVersionMismatch
            if workspace_id is not None and workspace_id != task["workspace_id"]:
                message = "a task does not move to another workspace"
                raise MoveInvalid(message, errors=(FieldError("/workspace_id", "workspace_immutable", message),))
            decided = change(task, wanted)
            if not decided.facts:
                return _document(task)
            grows = len(decided.values["description"] or "") > len(task["description"] or "")
            self._quotas.check(task["workspace_id"], grows=grows)
            if decided.assigned:
                await self._require_members(
                    connection, task["workspace_id"], wanted["assignee_ids"], newly=decided.assigned
                )
            changed = await repository.update(
                connection,
                task=task,
                change=decided,
                actor=actor.user_id,
                leads=self._leads,
                traceparent=traceparent(),
            )
        await self._recorder.committed(*(kind for kind, _ in decided.facts))
        return changed

    async def delete(self, actor: Claims, task_id: UUID, *, version: int | None) -> None:
        """Delete a task.

        Raises:
            TaskNotFound: The actor sees no such task.
            ChangeForbidden: The actor may only read it.
            TaskVersionMismatch: It has another version than the one asked for.
        """
        async with self._database.acting(actor.user_id) as connection:
            deleted = await repository.delete(
                connection, task_id=task_id, version=version, actor=actor.user_id, traceparent=traceparent()
            )
            if not deleted:
                if version is not None and await repository.lock(connection, task_id=task_id) is not None:
                    raise TaskVersionMismatch
                raise await access.refusal(connection, task_id)
        await self._recorder.committed(EventType.TASK_DELETED)

    async def move(self, actor: Claims, task_id: UUID, wanted: TaskMove) -> Document:
        """Put a task right before or right after another one.

        One row changes, unless the gap is full: then neighbours make room in the same transaction. Moves within a
        workspace take turns, so two moves to one place never end on the same position.

        Raises:
            TaskNotFound: The actor does not see one of the two.
            ChangeForbidden: The actor may only read it.
            MoveInvalid: The other task is in another workspace, or is the same task.
        """
        anchor_id = wanted.before or wanted.after
        assert anchor_id is not None  # noqa: S101 -- the schema asks for exactly one
        async with self._database.acting(actor.user_id, prunes=False) as connection:
            workspace_id = await repository.lock_order(connection, task_id=task_id)
            if workspace_id is None:
                raise await access.refusal(connection, task_id)
            self._quotas.check(workspace_id)
            gap = await repository.gap(connection, workspace_id=workspace_id, task_id=task_id, anchor_id=anchor_id)
            if gap is None or anchor_id == task_id:
                pointer = "/before" if wanted.before else "/after"
                raise await self._move_refusal(connection, task_id, anchor_id, pointer=pointer)
            lower, upper = gap.bounds(before=wanted.before is not None)
            if (lower is None or lower < gap.moved) and (upper is None or gap.moved < upper):
                return await self._reread(connection, task_id)
            places = await self._places(
                connection, workspace_id=workspace_id, task_id=task_id, lower=lower, upper=upper
            )
            moved, changed = await repository.move(
                connection,
                workspace_id=workspace_id,
                moved_id=task_id,
                positions=places,
                actor=actor.user_id,
                traceparent=traceparent(),
            )
            if moved is None:  # deleted while this move waited for its turn, or the actor may only read it now
                raise await access.refusal(connection, task_id)
        await self._recorder.committed(*[EventType.TASK_MOVED] * changed)
        return moved

    async def _places(
        self, connection: Connection, *, workspace_id: UUID, task_id: UUID, lower: int | None, upper: int | None
    ) -> list[Neighbour]:
        """Decide the position of the moved task, and those of neighbours that must make room."""
        if upper is None:
            return [Neighbour(id=task_id, position=await repository.next_position(connection))]
        position = below_first(upper) if lower is None else middle(lower, upper)
        if position is not None:
            return [Neighbour(id=task_id, position=position)]
        take = 8
        while True:
            below, above = await repository.neighbours(
                connection, workspace_id=workspace_id, task_id=task_id, lower=lower, upper=upper, count=take + 1
            )
            if not above:  # the tasks above the gap were deleted meanwhile
                return [Neighbour(id=task_id, position=await repository.next_position(connection))]
            room = spread(below, above, take=take)
            if room is not None:
                return [Neighbour(id=task_id, position=room.position), *room.neighbours]
            take *= 2

    async def _reread(self, connection: Connection, task_id: UUID) -> Document:
        return _document(await access.lock_task(connection, task_id))

    async def _move_refusal(
        self, connection: Connection, task_id: UUID, anchor_id: UUID, *, pointer: str
    ) -> TaskNotFound | MoveInvalid:
        """Why a task cannot go next to another: one is missing, they are in two workspaces, or they are the same."""
        if not await repository.is_seen(connection, task_id=task_id):  # it was deleted meanwhile
            return TaskNotFound()
        if not await repository.is_seen(connection, task_id=anchor_id):
            message = "there is no such task to move next to"
            return TaskNotFound(message, errors=(FieldError(pointer, "anchor_not_found", message),))
        message = "name another task of the same workspace"
        return MoveInvalid(message, errors=(FieldError(pointer, "anchor_elsewhere", message),))


def _document(task: Mapping[str, Any]) -> Document:
    return Document(id=task["id"], text=task["document"], version=task["version"])
