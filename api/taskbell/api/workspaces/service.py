"""What members do with workspaces. The service owns the transaction."""

from __future__ import annotations

from uuid import UUID

from taskbell.api.events.recorder import EventRecorder
from taskbell.api.http.paging import PageRequest, Slice
from taskbell.api.workspaces import repository
from taskbell.api.workspaces.errors import (
    BotOwnsNothing,
    LastOwnerKept,
    MemberNotFound,
    OwnersOnly,
    PersonalWorkspaceKept,
    PersonalWorkspaceNeeded,
    RoleInsufficient,
    TooManyWorkspaces,
    WorkspaceNotFound,
)
from taskbell.api.workspaces.membership import require_role
from taskbell.api.workspaces.policy import Role, may_change_membership
from taskbell.api.workspaces.schemas import DeletedWorkspace, Member, Workspace
from taskbell.contract.events import EventType
from taskbell.kit.ids import new_id
from taskbell.kit.trace import traceparent
from taskbell.store.pool import Database


class Workspaces:
    """Workspaces on behalf of a signed-in user."""

    def __init__(self, database: Database, *, recorder: EventRecorder, most: int) -> None:
        """Take the database, the recorder of events, and to how many workspaces a user may belong."""
        self._database = database
        self._recorder = recorder
        self.most = most

    async def create(self, actor: UUID, *, name: str) -> Workspace:
        """Found a workspace; the founder owns it. Raises `TooManyWorkspaces`."""
        async with self._database.acting(actor) as connection:
            if await repository.reserve_workspace(connection, actor) >= self.most:
                raise TooManyWorkspaces(f"A user belongs to at most {self.most} workspaces.")
            return await repository.add_workspace(connection, workspace_id=new_id(), name=name, owner=actor)

    async def get(self, actor: UUID, workspace_id: UUID) -> Workspace:
        """Read one. Raises `WorkspaceNotFound` also when it is not the actor's."""
        async with self._database.acting(actor) as connection:
            found = await repository.get_workspace(connection, actor=actor, workspace_id=workspace_id)
        if found is None:
            raise WorkspaceNotFound
        return found

    async def page(self, actor: UUID, wanted: PageRequest) -> Slice[Workspace]:
        """Read a page of the actor's workspaces, by id."""
        async with self._database.acting(actor) as connection:
            return await repository.list_workspaces(connection, actor=actor, after=wanted.after, limit=wanted.limit)

    async def rename(self, actor: UUID, workspace_id: UUID, *, name: str) -> Workspace:
        """Give a workspace another name. Raises `WorkspaceNotFound`, `RoleInsufficient`."""
        async with self._database.acting(actor) as connection:
            own = await require_role(connection, actor=actor, workspace_id=workspace_id)
            if not may_change_membership(actor=own, of=Role.VIEWER):
                raise RoleInsufficient
            renamed = await repository.rename_workspace(
                connection, workspace_id=workspace_id, name=name, actor=actor, traceparent=traceparent()
            )
            found = await repository.get_workspace(connection, actor=actor, workspace_id=workspace_id)
        if found is None:
            raise WorkspaceNotFound
        if renamed:
            await self._recorder.committed(EventType.WORKSPACE_RENAMED)
        return found

    async def delete(self, actor: UUID, workspace_id: UUID) -> None:
        """Hide a workspace from everybody; its owners may restore it for some days.

        Raises:
            WorkspaceNotFound: The actor does not belong to it.
            OwnersOnly: The actor does not own it.
            PersonalWorkspaceNeeded: It is somebody's personal one.
        """
        async with self._database.acting(actor) as connection:
            if await require_role(connection, actor=actor, workspace_id=workspace_id) is not Role.OWNER:
                raise OwnersOnly
            outcome = await repository.delete_workspace(connection, workspace_id, traceparent=traceparent())
            if outcome == "personal":
                raise PersonalWorkspaceNeeded
            if outcome != "deleted":
                raise WorkspaceNotFound
        await self._recorder.committed(EventType.WORKSPACE_DELETED)

    async def restore(self, actor: UUID, workspace_id: UUID) -> Workspace:
        """Bring a deleted workspace back, with all that it had. One that is not deleted stays as it is.

        Raises:
            WorkspaceNotFound: There is no such workspace that the actor owned, or it is too late.
            OwnersOnly: It is not deleted, and the actor does not own it.
        """
        async with self._database.acting(actor) as connection:
            restored = await repository.restore_workspace(connection, workspace_id, traceparent=traceparent())
            if await require_role(connection, actor=actor, workspace_id=workspace_id) is not Role.OWNER:
                raise OwnersOnly
        if restored:
            await self._recorder.committed(EventType.WORKSPACE_RESTORED)
        return await self.get(actor, workspace_id)

    async def deleted(self, actor: UUID, wanted: PageRequest) -> Slice[DeletedWorkspace]:
        """Read a page of the workspaces that the actor may restore, by id."""
        async with self._database.acting(actor) as connection:
            return await repository.list_deleted(connection, after=wanted.after, limit=wanted.limit)

    async def members(self, actor: UUID, workspace_id: UUID, wanted: PageRequest) -> Slice[Member]:
        """Read a page of members, by user id. Raises `WorkspaceNotFound`."""
        async with self._database.acting(actor) as connection:
            await require_role(connection, actor=actor, workspace_id=workspace_id)
            return await repository.list_members(
                connection, workspace_id=workspace_id, after=wanted.after, limit=wanted.limit
            )

    async def change_role(self, actor: UUID, workspace_id: UUID, user_id: UUID, *, role: Role) -> Member:
        """Give a member another role; the webhooks of one who no longer administers the workspace are paused.

        Raises:
            WorkspaceNotFound: The actor does not belong to it.
            MemberNotFound: The user does not.
            RoleInsufficient: The actor may not give this role, or not take the former one away.
            PersonalWorkspaceKept: It is the user's own.
            BotOwnsNothing: The member is a bot.
            LastOwnerKept: Nobody would own the workspace.
        """
        told = 0
        async with self._database.acting(actor) as connection:
            own = await require_role(connection, actor=actor, workspace_id=workspace_id)
            if not may_change_membership(actor=own, of=role):
                raise RoleInsufficient
            owners = await repository.lock_owners(connection, workspace_id)
            found = await repository.get_member(connection, workspace_id=workspace_id, user_id=user_id)
            if found is None:
                raise MemberNotFound
            member, is_bot = found
            if not may_change_membership(actor=own, of=member.role):
                raise RoleInsufficient
            if member.role is role:
                return member
            if await repository.is_personal(connection, workspace_id=workspace_id, user_id=user_id):
                raise PersonalWorkspaceKept
            if is_bot and role is Role.OWNER:
                raise BotOwnsNothing
            if member.role is Role.OWNER and owners < 2:
                raise LastOwnerKept
            changed = await repository.change_role(
                connection,
                workspace_id=workspace_id,
                user_id=user_id,
                former=member.role,
                role=role,
                actor=actor,
                traceparent=traceparent(),
            )
            if not changed:
                raise MemberNotFound
            told = await repository.pause_webhooks(
                connection, workspace_id=workspace_id, user_id=user_id, traceparent=traceparent()
            )
        await self._recorder.committed(EventType.MEMBER_ROLE_CHANGED, *[EventType.NOTIFICATION_CREATED] * told)
        return member.model_copy(update={"role": role})

    async def remove_member(self, actor: UUID, workspace_id: UUID, user_id: UUID) -> None:
        """End a membership: another's by owners and admins, one's own by everybody. The user's webhooks are paused.

        Raises:
            WorkspaceNotFound: The actor does not belong to it.
            MemberNotFound: The user does not.
            RoleInsufficient: The actor may not remove the user.
            PersonalWorkspaceKept: It is the user's own.
            LastOwnerKept: Nobody would own the workspace.
        """
        async with self._database.acting(actor) as connection:
            own = await require_role(connection, actor=actor, workspace_id=workspace_id)
            if user_id != actor and not may_change_membership(actor=own, of=Role.VIEWER):
                raise RoleInsufficient
            of = await repository.role_of(connection, workspace_id=workspace_id, user_id=user_id)
            if of is None:
                raise MemberNotFound
            if user_id != actor and not may_change_membership(actor=own, of=of):
                raise RoleInsufficient
            if await repository.is_personal(connection, workspace_id=workspace_id, user_id=user_id):
                raise PersonalWorkspaceKept
            if of is Role.OWNER and await repository.lock_owners(connection, workspace_id) < 2:
                raise LastOwnerKept
            removed = await repository.remove_member(
                connection, workspace_id=workspace_id, user_id=user_id, actor=actor, traceparent=traceparent()
            )
            if not removed:
                raise MemberNotFound
            told = await repository.pause_webhooks(
                connection, workspace_id=workspace_id, user_id=user_id, traceparent=traceparent()
            )
        await self._recorder.committed(EventType.MEMBER_REMOVED, *[EventType.NOTIFICATION_CREATED] * told)
