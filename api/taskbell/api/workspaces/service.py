"""What members do with workspaces. The service owns the transaction."""

from __future__ import annotations

from uuid import UUID

from taskbell.api import metrics
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
from taskbell.api.workspaces.policy import Role, may_change_membership
from taskbell.api.workspaces.repository import MemberRow, WorkspaceRow
from taskbell.contract.events import EventType
from taskbell.contract.subjects import RELAY_POKE
from taskbell.kit import trace
from taskbell.kit.ids import new_id
from taskbell.kit.nats_bus import Pokes
from taskbell.store.pool import Connection, Database


class Workspaces:
    """Workspaces on behalf of a signed-in user."""

    def __init__(self, database: Database, *, pokes: Pokes) -> None:
        self._database = database
        self._pokes = pokes

    async def create(self, actor: UUID, *, name: str) -> WorkspaceRow:
        """Found a workspace; the founder owns it."""
        async with self._database.acting(actor) as connection:
            return await repository.add_workspace(connection, workspace_id=new_id(), name=name, owner=actor)

    async def get(self, actor: UUID, workspace_id: UUID) -> WorkspaceRow:
        """Read one. Raises `WorkspaceNotFound` also when it is not the actor's."""
        async with self._database.acting(actor) as connection:
            found = await repository.get_workspace(connection, actor=actor, workspace_id=workspace_id)
        if found is None:
            raise WorkspaceNotFound
        return found

    async def page(self, actor: UUID, *, past: UUID | None, limit: int) -> tuple[list[WorkspaceRow], bool]:
        """Workspaces of the actor after an id, and whether more follow."""
        async with self._database.acting(actor) as connection:
            found = await repository.list_workspaces(connection, actor=actor, past=past, at_most=limit + 1)
        return found[:limit], len(found) > limit

    async def members(
        self, actor: UUID, workspace_id: UUID, *, past: UUID | None, limit: int
    ) -> tuple[list[MemberRow], bool]:
        """Members after an id, and whether more follow. Raises `WorkspaceNotFound`."""
        async with self._database.acting(actor) as connection:
            await _role(connection, actor=actor, workspace_id=workspace_id)
            found = await repository.list_members(connection, workspace_id=workspace_id, past=past, at_most=limit + 1)
        return found[:limit], len(found) > limit

    async def add_member(self, actor: UUID, workspace_id: UUID, *, email: str, role: Role) -> MemberRow:
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
                await _role(connection, actor=actor, workspace_id=workspace_id)
            raise RoleInsufficient from None
        await self._written(EventType.MEMBER_ADDED)
        return member

    async def _add_member(self, actor: UUID, workspace_id: UUID, *, email: str, role: Role) -> MemberRow:
        async with self._database.acting(actor) as connection:
            own = await _role(connection, actor=actor, workspace_id=workspace_id)
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
                traceparent=_traceparent(),
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
            own = await _role(connection, actor=actor, workspace_id=workspace_id)
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
                connection, workspace_id=workspace_id, user_id=user_id, actor=actor, traceparent=_traceparent()
            )
            if not removed:
                raise MemberNotFound
        await self._written(EventType.MEMBER_REMOVED)

    async def _written(self, kind: EventType) -> None:
        metrics.EVENTS_WRITTEN.labels(type=kind.value).inc()
        await self._pokes.send(RELAY_POKE)


async def _role(connection: Connection, *, actor: UUID, workspace_id: UUID) -> Role:
    found = await repository.role_of(connection, workspace_id=workspace_id, user_id=actor)
    if found is None:
        raise WorkspaceNotFound
    return found


def _traceparent() -> str | None:
    context = trace.current.get()
    return None if context is None else str(context)
