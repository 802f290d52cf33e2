"""What members do with workspaces. The service owns the transaction."""

from __future__ import annotations

from uuid import UUID

from taskbell.api.events.recorder import EventRecorder
from taskbell.api.http.paging import PageRequest, Slice
from taskbell.api.workspaces import repository
from taskbell.api.workspaces.errors import (
    AccountNotFound,
    AlreadyMember,
    LastOwnerKept,
    MemberNotFound,
    PersonalWorkspaceKept,
    RoleInsufficient,
    WorkspaceNotFound,
)
from taskbell.api.workspaces.membership import require_role
from taskbell.api.workspaces.policy import Role, may_change_membership
from taskbell.api.workspaces.schemas import Member, Workspace
from taskbell.contract.events import EventType
from taskbell.kit.ids import new_id
from taskbell.kit.trace import traceparent
from taskbell.store.pool import Database


class Workspaces:
    """Workspaces on behalf of a signed-in user."""

    def __init__(self, database: Database, *, recorder: EventRecorder) -> None:
        """Take the database and the recorder of events."""
        self._database = database
        self._recorder = recorder

    async def create(self, actor: UUID, *, name: str) -> Workspace:
        """Found a workspace; the founder owns it."""
        async with self._database.acting(actor) as connection:
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

    async def members(self, actor: UUID, workspace_id: UUID, wanted: PageRequest) -> Slice[Member]:
        """Read a page of members, by user id. Raises `WorkspaceNotFound`."""
        async with self._database.acting(actor) as connection:
            await require_role(connection, actor=actor, workspace_id=workspace_id)
            return await repository.list_members(
                connection, workspace_id=workspace_id, after=wanted.after, limit=wanted.limit
            )

    async def add_member(self, actor: UUID, workspace_id: UUID, *, email: str, role: Role) -> Member:
        """Let an account belong to a workspace; `email` is normalised already.

        Raises:
            WorkspaceNotFound: The actor does not belong to it.
            RoleInsufficient: The actor may not give this role.
            AccountNotFound: Nobody has this address.
            AlreadyMember: Its account is a member.
        """
        try:
            member = await self._add_member(actor, workspace_id, email=email, role=role)
        except repository.RowRefused:
            # The actor was removed or demoted since the role was read: what is left of it decides.
            async with self._database.acting(actor) as connection:
                await require_role(connection, actor=actor, workspace_id=workspace_id)
            raise RoleInsufficient from None
        await self._recorder.committed(EventType.MEMBER_ADDED)
        return member

    async def _add_member(self, actor: UUID, workspace_id: UUID, *, email: str, role: Role) -> Member:
        async with self._database.acting(actor) as connection:
            own = await require_role(connection, actor=actor, workspace_id=workspace_id)
            if not may_change_membership(actor=own, of=role):
                raise RoleInsufficient
            user_id = await repository.find_user(connection, email)
            if user_id is None:
                raise AccountNotFound
            added = await repository.add_member(
                connection,
                workspace_id=workspace_id,
                user_id=user_id,
                role=role,
                actor=actor,
                traceparent=traceparent(),
            )
            if not added:
                raise AlreadyMember
            member = await repository.get_member(connection, workspace_id=workspace_id, user_id=user_id)
            if member is None:
                raise WorkspaceNotFound
            return member

    async def remove_member(self, actor: UUID, workspace_id: UUID, user_id: UUID) -> None:
        """End a membership: another's by owners and admins, one's own by everybody.

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
        await self._recorder.committed(EventType.MEMBER_REMOVED)
