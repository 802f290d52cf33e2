"""What users do with tasks. The service owns the transaction; PostgreSQL decides who may."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from taskbell.api.events.recorder import EventRecorder
from taskbell.api.http.paging import CursorInvalid, PageRequest, Slice
from taskbell.api.quotas.service import Quotas
from taskbell.api.tasks import access, repository
from taskbell.api.tasks.errors import ChangeForbidden, MoveInvalid, TaskNotFound, TaskVersionMismatch
from taskbell.api.tasks.lists import Listing
from taskbell.api.tasks.policy import FIELDS, Neighbour, Outcome, not_members, rule_broken, spread
from taskbell.api.tasks.repository import Document, Moved
from taskbell.api.tasks.schemas import TaskCreate, TaskFields, TaskMove, TaskPatch, TaskReplace
from taskbell.api.workspaces.membership import require_role
from taskbell.api.workspaces.policy import Role
from taskbell.contract.events import EventType
from taskbell.contract.problems import FieldError
from taskbell.contract.tokens import Claims
from taskbell.kit.postgres.errors import RowRefused
from taskbell.kit.trace import traceparent
from taskbell.store.pool import Database
from taskbell.store.reads import Reads


class TaskService:
    """Tasks on behalf of a signed-in user."""

    def __init__(
        self,
        database: Database,
        reads: Reads,
        *,
        recorder: EventRecorder,
        quotas: Quotas,
        reminder_leads: Sequence[timedelta],
    ) -> None:
        """Take the primary, what answers reads, the recorder of events, the quotas, and the leads of reminders."""
        self._database = database
        self._reads = reads
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
                await self._require_members(actor, workspace_id, wanted.assignee_ids)
            raise ChangeForbidden from refused
        assigned = [EventType.TASK_ASSIGNED] if wanted.assignee_ids else []
        await self._recorder.committed(EventType.TASK_CREATED, *assigned)
        return created

    async def _require_members(self, actor: Claims, workspace_id: UUID, assignees: Sequence[UUID]) -> None:
        async with self._database.acting(actor.user_id) as connection:
            members = await access.members_among(connection, workspace_id=workspace_id, users=assignees)
        if strangers := {*assignees} - members:
            raise not_members(assignees, strangers)

    async def get(self, actor: Claims, task_id: UUID) -> Document:
        """Read a task.

        Raises:
            TaskNotFound: The actor sees no such task.
        """
        found = await repository.get(self._reads, actor=actor.user_id, task_id=task_id)
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
            after = await repository.place_of(self._reads, actor=actor.user_id, task_id=last_id, sort=listing.sort)
            if after is None:
                raise CursorInvalid("Nothing is known of the task that last_id names.")
        found = await repository.page(
            self._reads, actor=actor.user_id, listing=listing, after=after, limit=wanted.limit
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
        return await self._change(actor, task_id, wanted, sent=wanted.model_fields_set, version=version)

    async def replace(self, actor: Claims, task_id: UUID, wanted: TaskReplace, *, version: int | None) -> Document:
        """Set all fields. Raises what `patch` raises, and `MoveInvalid` when another workspace is named."""
        return await self._change(
            actor, task_id, wanted, sent=FIELDS, version=version, workspace_id=wanted.workspace_id
        )

    async def _change(
        self,
        actor: Claims,
        task_id: UUID,
        wanted: TaskFields,
        *,
        sent: Iterable[str],
        version: int | None,
        workspace_id: UUID | None = None,
    ) -> Document:
        try:
            found = await repository.change(
                self._database,
                actor=actor.user_id,
                task_id=task_id,
                only_version=version,
                only_workspace=workspace_id,
                sent=list(sent),
                **{name: getattr(wanted, name) for name in FIELDS},
                held=self._quotas.held(),
                brimful=self._quotas.brimful(),
                leads=self._leads,
                traceparent=traceparent(),
            )
        except RowRefused as refused:
            # The actor was removed or demoted since the task was locked: what is left of it decides.
            raise await self._refusal(actor, task_id) from refused
        if found.document is not None:
            if found.outcome is Outcome.CHANGED:
                await self._recorder.committed(*found.kinds)
            return found.document
        if found.outcome is Outcome.OVER_QUOTA and found.workspace_id is not None:
            raise self._quotas.exceeded(found.workspace_id, grows=found.grows)
        broken = rule_broken(found.outcome, assignees=wanted.assignee_ids, strangers=found.strangers)
        raise broken or await self._refusal(actor, task_id)

    async def _refusal(self, actor: Claims, task_id: UUID) -> TaskNotFound | ChangeForbidden:
        async with self._database.acting(actor.user_id) as connection:
            return await access.refusal(connection, task_id)

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
        place: dict[str, Any] = {
            "actor": actor.user_id,
            "task_id": task_id,
            "anchor_id": wanted.before or wanted.after,
            "goes_before": wanted.before is not None,
            "held": self._quotas.held(),
            "traceparent": traceparent(),
        }
        try:
            found = await repository.move(self._database, **place)
            written = 1
            if found.outcome is Outcome.USED_UP:
                found, written = await self._move_among_neighbours(place)
        except RowRefused as refused:
            raise await self._refusal(actor, task_id) from refused
        if found.document is not None:
            if found.outcome is Outcome.CHANGED:
                await self._recorder.committed(*[EventType.TASK_MOVED] * written)
            return found.document
        if found.outcome is Outcome.OVER_QUOTA and found.workspace_id is not None:
            raise self._quotas.exceeded(found.workspace_id)
        raise await self._move_refusal(actor, task_id, wanted, found.outcome)

    async def _move_among_neighbours(self, place: Mapping[str, Any]) -> tuple[Moved, int]:
        """Move a task to a place without a free position: neighbours make room. Returns how many tasks have moved."""
        take = 8
        async with self._database.acting(place["actor"], prunes=False) as connection:
            # Other moves are kept out from here on. One of them, or a deletion, may have made room meanwhile.
            while (found := await repository.move(connection, **place)).outcome is Outcome.USED_UP:
                below, above = await repository.neighbours(
                    connection, gap=found, task_id=place["task_id"], count=take + 1
                )
                room = spread(below, above, take=take) if above else None
                if room is not None:
                    positions = [Neighbour(id=place["task_id"], position=room.position), *room.neighbours]
                    told = {name: place[name] for name in ("task_id", "actor", "traceparent")}
                    return await repository.respread(connection, gap=found, positions=positions, **told)
                take *= 2
        return found, 1

    async def _move_refusal(
        self, actor: Claims, task_id: UUID, wanted: TaskMove, outcome: Outcome
    ) -> TaskNotFound | ChangeForbidden | MoveInvalid:
        """Why a task cannot go next to another: one is missing, they are in two workspaces, or they are the same."""
        anchor_id, pointer = (wanted.before, "/before") if wanted.before else (wanted.after, "/after")
        assert anchor_id is not None  # noqa: S101 -- the schema asks for exactly one
        async with self._database.acting(actor.user_id) as connection:
            if outcome is not Outcome.NO_PLACE:
                return await access.refusal(connection, task_id)
            if not await repository.is_seen(connection, task_id=task_id):  # it was deleted meanwhile
                return TaskNotFound()
            if not await repository.is_seen(connection, task_id=anchor_id):
                message = "there is no such task to move next to"
                return TaskNotFound(message, errors=(FieldError(pointer, "anchor_not_found", message),))
        message = "name another task of the same workspace"
        return MoveInvalid(message, errors=(FieldError(pointer, "anchor_elsewhere", message),))
