"""What can be done with tasks. The service owns the transaction; PostgreSQL decides who may."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from taskbell.api import metrics
from taskbell.api.tasks import paging, repository
from taskbell.api.tasks.errors import (
    AssigneeNotMember,
    ChangeForbidden,
    CursorInvalid,
    MoveInvalid,
    TaskNotFound,
    TaskVersionMismatch,
    WorkspaceNotFound,
)
from taskbell.api.tasks.policy import Neighbour, below_first, change, middle, spread
from taskbell.api.tasks.repository import Document
from taskbell.api.tasks.schemas import Sort, TaskCreate, TaskMove, TaskPatch, TaskReplace
from taskbell.api.tasks.selection import Selection
from taskbell.contract.events import EventType
from taskbell.contract.problems import FieldError
from taskbell.contract.subjects import RELAY_POKE
from taskbell.contract.tokens import Claims
from taskbell.kit import trace
from taskbell.kit.nats_bus import Pokes
from taskbell.store.pool import Connection, Database

_WRITTEN = {kind: metrics.EVENTS_WRITTEN.labels(type=kind.value) for kind in EventType}


def _traceparent() -> str | None:
    context = trace.current.get()
    return None if context is None else str(context)


class TaskService:
    """Tasks on behalf of a signed-in user."""

    def __init__(self, *, database: Database, pokes: Pokes, reminder_leads: Sequence[timedelta]) -> None:
        """Take the database, the pokes that wake the relay after a commit, and how long before due to remind."""
        self._database = database
        self._pokes = pokes
        self._leads = reminder_leads

    async def create(self, actor: Claims, wanted: TaskCreate) -> str:
        """Create a task; returns its document.

        Raises:
            WorkspaceNotFound: The actor is no member of the workspace.
            ChangeForbidden: The actor may only read there.
            AssigneeNotMember: Somebody who shall do it is no member of the workspace.
        """
        workspace_id = wanted.workspace_id or actor.workspace_id
        fields = {**wanted.__dict__, "workspace_id": workspace_id}
        try:
            document = await repository.create(
                self._database,
                actor=actor.user_id,
                fields=fields,
                leads=self._leads,
                traceparent=_traceparent(),
            )
        except repository.RowRefused as refused:
            role = await repository.role(self._database, actor=actor.user_id, workspace_id=workspace_id)
            if role is None:
                raise WorkspaceNotFound from refused
            if role != "viewer":
                async with self._database.acting(actor.user_id) as connection:
                    await self._require_members(
                        connection, workspace_id, wanted.assignee_ids, newly=wanted.assignee_ids
                    )
            raise ChangeForbidden from refused
        await self._written(EventType.TASK_CREATED, *([EventType.TASK_ASSIGNED] if wanted.assignee_ids else []))
        return document

    @staticmethod
    async def _require_members(
        connection: Connection, workspace_id: UUID, assignees: Sequence[UUID], *, newly: Sequence[UUID]
    ) -> None:
        members = await repository.members_among(connection, workspace_id=workspace_id, users=newly)
        told = tuple(
            FieldError(f"/assignee_ids/{place}", "assignee_not_member", "only members of the workspace can be assigned")
            for place, user in enumerate(assignees)
            if user in newly and user not in members
        )
        if told:
            raise AssigneeNotMember(errors=told)

    async def require_member(self, actor: Claims, workspace_id: UUID) -> None:
        """Let only members of a workspace pass.

        Raises:
            WorkspaceNotFound: The actor is none.
        """
        if await repository.role(self._database, actor=actor.user_id, workspace_id=workspace_id) is None:
            raise WorkspaceNotFound

    async def get(self, actor: Claims, task_id: UUID) -> Document:
        """Read a task.

        Raises:
            TaskNotFound: There is none that the actor may see.
        """
        found = await repository.get(self._database, actor=actor.user_id, task_id=task_id)
        if found is None:
            raise TaskNotFound
        return found

    async def page(
        self,
        actor: Claims,
        *,
        selection: Selection,
        sort: Sort,
        cursor: str | None,
        last_id: UUID | None,
        limit: int,
        workspace_id: UUID | None = None,
    ) -> tuple[repository.Page, str | None]:
        """Read a page and the cursor of the next one. `workspace_id` is the workspace that the client named, if any.

        Raises:
            CursorInvalid: The cursor is of another list, or nothing is known of the task `last_id` names.
            WorkspaceNotFound: The actor is no member of the workspace.
        """
        order = paging.order_of(sort)
        bound_to = paging.fingerprint(sort, *selection.conditions, *selection.arguments)
        after = None
        if cursor is not None:
            after = paging.decode_cursor(cursor, bound_to=bound_to, order=order)
        elif last_id is not None:
            after = await repository.place_of(
                self._database, actor=actor.user_id, task_id=last_id, field=sort.value.lstrip("-")
            )
            if after is None:
                raise CursorInvalid("Nothing is known of the task that last_id names.")
        found = await repository.page(
            self._database, actor=actor.user_id, selection=selection, order=order, after=after, limit=limit
        )
        if not found.documents and workspace_id is not None:  # an empty page alone does not tell a foreign workspace
            role = await repository.role(self._database, actor=actor.user_id, workspace_id=workspace_id)
            if role is None:
                raise WorkspaceNotFound
        following = None if found.last is None else paging.encode_cursor(found.last, bound_to=bound_to)
        return found, following

    async def patch(self, actor: Claims, task_id: UUID, wanted: TaskPatch, *, version: int | None) -> Document:
        """Change the fields that were sent. A change that changes nothing writes nothing.

        Raises:
            TaskNotFound: There is none that the actor may see.
            ChangeForbidden: The actor may only read it.
            TaskVersionMismatch: It has another version than the one asked for.
        """
        return await self._change(
            actor, task_id, {name: getattr(wanted, name) for name in wanted.model_fields_set}, version=version
        )

    async def replace(self, actor: Claims, task_id: UUID, wanted: TaskReplace, *, version: int | None) -> Document:
        """Set all fields; raises what `patch` raises, and `MoveInvalid` when another workspace is named."""
        return await self._change(actor, task_id, dict(wanted.__dict__), version=version)

    async def _change(self, actor: Claims, task_id: UUID, wanted: dict[str, Any], *, version: int | None) -> Document:
        workspace_id = wanted.pop("workspace_id", None)
        async with self._database.acting(actor.user_id) as connection:
            task = await repository.lock(connection, task_id=task_id)
            if task is None:
                raise await self._refusal(connection, task_id)
            if version is not None and task["version"] != version:
                raise TaskVersionMismatch
            if workspace_id is not None and workspace_id != task["workspace_id"]:
                message = "a task does not move to another workspace"
                raise MoveInvalid(message, errors=(FieldError("/workspace_id", "workspace_immutable", message),))
            decided = change(task, wanted)
            if not decided.facts:
                return Document(text=task["document"], version=task["version"])
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
                traceparent=_traceparent(),
            )
        await self._written(*(kind for kind, _ in decided.facts))
        return changed

    async def delete(self, actor: Claims, task_id: UUID, *, version: int | None) -> None:
        """Delete a task.

        Raises:
            TaskNotFound: There is none that the actor may see.
            ChangeForbidden: The actor may only read it.
            TaskVersionMismatch: It has another version than the one asked for.
        """
        async with self._database.acting(actor.user_id) as connection:
            deleted = await repository.delete(
                connection, task_id=task_id, version=version, actor=actor.user_id, traceparent=_traceparent()
            )
            if not deleted:
                if version is not None and await repository.lock(connection, task_id=task_id) is not None:
                    raise TaskVersionMismatch
                raise await self._refusal(connection, task_id)
        await self._written(EventType.TASK_DELETED)

    async def move(self, actor: Claims, task_id: UUID, wanted: TaskMove) -> Document:
        """Put a task right before or right after another one.

        One row changes, unless the gap is used up: then neighbours make room in the same transaction. Moves within a
        workspace take turns, so two moves to one spot never end on one position.

        Raises:
            TaskNotFound: One of the two is none that the actor may see.
            ChangeForbidden: The actor may only read it.
            MoveInvalid: The other task is not in its workspace, or is itself.
        """
        anchor_id = wanted.before or wanted.after
        assert anchor_id is not None  # noqa: S101 -- the schema asks for exactly one
        traceparent = _traceparent()
        async with self._database.acting(actor.user_id) as connection:
            workspace_id = await repository.lock_order(connection, task_id=task_id)
            if workspace_id is None:
                raise await self._refusal(connection, task_id)
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
            moved = await repository.move(
                connection, workspace_id=workspace_id, positions=places, actor=actor.user_id, traceparent=traceparent
            )
            if task_id not in moved:  # deleted while this move waited for its turn
                raise TaskNotFound
        await self._written(*(EventType.TASK_MOVED for _ in moved))
        return moved[task_id]

    async def _places(
        self, connection: Connection, *, workspace_id: UUID, task_id: UUID, lower: int | None, upper: int | None
    ) -> list[Neighbour]:
        """Decide the moved task's position, and those of neighbours that must make room."""
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
            if not above:  # what was over the gap was deleted meanwhile
                return [Neighbour(id=task_id, position=await repository.next_position(connection))]
            room = spread(below, above, take=take)
            if room is not None:
                return [Neighbour(id=task_id, position=room.position), *room.neighbours]
            take *= 2

    async def _reread(self, connection: Connection, task_id: UUID) -> Document:
        task = await repository.lock(connection, task_id=task_id)
        if task is None:
            raise TaskNotFound
        return Document(text=task["document"], version=task["version"])

    async def _refusal(self, connection: Connection, task_id: UUID) -> TaskNotFound | ChangeForbidden:
        """Why a change met no row: nothing there, or nothing the actor may change."""
        return ChangeForbidden() if await repository.is_seen(connection, task_id=task_id) else TaskNotFound()

    async def _move_refusal(
        self, connection: Connection, task_id: UUID, anchor_id: UUID, *, pointer: str
    ) -> TaskNotFound | MoveInvalid:
        """Why two tasks share no order: one is not there, or they are of two workspaces, or one and the same."""
        if not await repository.is_seen(connection, task_id=task_id):  # deleted meanwhile
            return TaskNotFound()
        if not await repository.is_seen(connection, task_id=anchor_id):
            message = "there is no such task to move next to"
            return TaskNotFound(message, errors=(FieldError(pointer, "anchor_not_found", message),))
        message = "name another task of the same workspace"
        return MoveInvalid(message, errors=(FieldError(pointer, "anchor_elsewhere", message),))

    async def _written(self, *kinds: EventType) -> None:
        for kind in kinds:
            _WRITTEN[kind].inc()
        await self._pokes.send(RELAY_POKE)
