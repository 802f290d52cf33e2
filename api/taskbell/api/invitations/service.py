"""What users do with invitations. The service owns the transaction."""

from __future__ import annotations

import secrets
from datetime import timedelta
from hashlib import sha256
from uuid import UUID

from taskbell.api.accounts.policy import mailbox_of
from taskbell.api.events.recorder import EventRecorder
from taskbell.api.http.paging import PageRequest, Slice
from taskbell.api.invitations import repository
from taskbell.api.invitations.errors import (
    AlreadyInvited,
    AlreadyMember,
    EmailNotConfirmed,
    InvitationNotFound,
    InvitationsNotPermitted,
    WorkspaceFull,
)
from taskbell.api.invitations.policy import Bounds, refusal
from taskbell.api.invitations.schemas import Invitation, InvitationToYou
from taskbell.api.workspaces.errors import RoleInsufficient, TooManyWorkspaces
from taskbell.api.workspaces.membership import require_role
from taskbell.api.workspaces.policy import Role, may_change_membership
from taskbell.api.workspaces.schemas import Workspace
from taskbell.api.workspaces.service import Workspaces
from taskbell.contract.events import EventType
from taskbell.kit.postgres.errors import RowRefused
from taskbell.kit.trace import traceparent
from taskbell.store.pool import Connection, Database

_RETRIED_FOR = timedelta(hours=1)


class Invitations:
    """Invitations on behalf of a signed-in user."""

    def __init__(
        self,
        database: Database,
        *,
        workspaces: Workspaces,
        recorder: EventRecorder,
        bounds: Bounds,
        lifetime: timedelta,
        needs_confirmed_email: bool,
    ) -> None:
        """Take the parts, how many invitations there may be, how long each can be accepted, and by whom."""
        self._database = database
        self._workspaces = workspaces
        self._recorder = recorder
        self._bounds = bounds
        self._lifetime = lifetime
        self._needs_confirmed_email = needs_confirmed_email

    async def invite(self, actor: UUID, workspace_id: UUID, *, email: str, role: Role) -> Invitation:
        """Invite an address, which is normalised already; the result tells nothing of its account.

        Raises:
            WorkspaceNotFound: The actor does not belong to the workspace.
            RoleInsufficient: The actor may not give this role.
            AlreadyMember: The account of the address is a member.
            AlreadyInvited: The address is invited already.
            WorkspaceFull: The workspace has enough members.
            TooManyInvitations: There are enough invitations.
        """
        try:
            invitation, told = await self._invite(actor, workspace_id, email=email, role=role)
        except RowRefused as refused:
            # The actor was removed or demoted since the role was read: what is left of it decides.
            async with self._database.acting(actor) as connection:
                await require_role(connection, actor=actor, workspace_id=workspace_id)
            raise RoleInsufficient from refused
        # The relay is poked in any case: an address with an account takes as long as one without.
        await self._recorder.committed(*[EventType.NOTIFICATION_CREATED] * told)
        return invitation

    async def _invite(self, actor: UUID, workspace_id: UUID, *, email: str, role: Role) -> tuple[Invitation, bool]:
        async with self._database.acting(actor) as connection:
            own = await require_role(connection, actor=actor, workspace_id=workspace_id)
            if not may_change_membership(actor=own, of=role):
                raise RoleInsufficient
            load = await repository.measure(connection, workspace_id=workspace_id, actor=actor, email=email)
            if load is None:
                raise RowRefused
            if (refused := refusal(load, self._bounds)) is not None:
                raise refused
            invitation = await repository.invite(
                connection, workspace_id=workspace_id, email=email, role=role, actor=actor, lifetime=self._lifetime
            )
            if invitation is None:
                raise AlreadyInvited
            return invitation, await self._announce(connection, invitation)

    async def _announce(self, connection: Connection, invitation: Invitation) -> bool:
        token = secrets.token_urlsafe(32)
        letter = repository.Letter(
            token=token,
            token_hash=_digest(token),
            mailbox=mailbox_of(invitation.email),
            retry_for=min(_RETRIED_FOR, self._lifetime),
        )
        return await repository.announce(
            connection, invitation.id, letter=letter, bounds=self._bounds.letters, traceparent=traceparent()
        )

    async def page(self, actor: UUID, workspace_id: UUID, wanted: PageRequest, *, ended: bool) -> Slice[Invitation]:
        """Read a page of a workspace's invitations, by id. Raises `WorkspaceNotFound`, `InvitationsNotPermitted`."""
        async with self._database.acting(actor) as connection:
            await _require_administrator(connection, actor, workspace_id)
            return await repository.page(
                connection, workspace_id=workspace_id, ended=ended, after=wanted.after, limit=wanted.limit
            )

    async def withdraw(self, actor: UUID, workspace_id: UUID, invitation_id: UUID) -> None:
        """End an invitation of a workspace.

        Raises:
            WorkspaceNotFound: The actor does not belong to the workspace.
            InvitationsNotPermitted: The actor does not administer it.
            InvitationNotFound: It has no such invitation.
            RoleInsufficient: The actor may not give the role of the invitation.
        """
        async with self._database.acting(actor) as connection:
            own = await _require_administrator(connection, actor, workspace_id)
            role = await repository.role_of(connection, workspace_id=workspace_id, invitation_id=invitation_id)
            if role is not None and not may_change_membership(actor=own, of=role):
                raise RoleInsufficient
            if role is None or not await repository.withdraw(connection, invitation_id):
                raise InvitationNotFound

    async def page_to(self, actor: UUID, wanted: PageRequest) -> Slice[InvitationToYou]:
        """Read a page of the invitations to the actor, by id."""
        async with self._database.acting(actor) as connection:
            return await repository.page_to_actor(connection, after=wanted.after, limit=wanted.limit)

    async def accept(self, actor: UUID, invitation_id: UUID) -> Workspace:
        """Let the actor belong to the workspace; returns it.

        Raises:
            InvitationNotFound: The actor has no such invitation, or who made it may no longer do so.
            EmailNotConfirmed: The actor's address must be confirmed first.
            AlreadyMember: The actor belongs to the workspace.
            TooManyWorkspaces: The actor belongs to enough workspaces.
            WorkspaceFull: The workspace has enough members.
        """
        return await self._join(actor, invitation_id)

    async def accept_by_mail(self, actor: UUID, token: str) -> Workspace:
        """Accept by the token of a letter, which confirms the actor's address, too: it came there.

        Raises:
            InvitationNotFound: The token is unknown or used, the invitation has ended or is for another address, or the
                actor changed the password since the letter was sent.
            Refused: As `accept`.
        """
        return await self._join(actor, _digest(token))

    async def _join(self, actor: UUID, by: UUID | bytes) -> Workspace:
        try:
            workspace_id = await self._accept(actor, by)
        except RowRefused as refused:
            raise InvitationNotFound from refused
        await self._recorder.committed(EventType.MEMBER_ADDED)
        return await self._workspaces.get(actor, workspace_id)

    async def _accept(self, actor: UUID, by: UUID | bytes) -> UUID:
        async with self._database.acting(actor) as connection:
            invitation_id = by if isinstance(by, UUID) else await repository.find_of_letter(connection, by)
            if invitation_id is None:
                raise InvitationNotFound
            if isinstance(by, bytes):
                await repository.confirm_reader(connection, actor)
            room = await repository.room(connection, actor=actor, invitation_id=invitation_id)
            if room is None:
                raise InvitationNotFound
            if self._needs_confirmed_email and not room.confirmed:
                raise EmailNotConfirmed
            if room.workspaces >= self._workspaces.most:
                raise TooManyWorkspaces(f"A user belongs to at most {self._workspaces.most} workspaces.")
            if room.members >= self._bounds.members:
                raise WorkspaceFull(f"A workspace has at most {self._bounds.members} members.")
            accepted = await repository.accept(connection, invitation_id, actor=actor, traceparent=traceparent())
            if accepted is None:
                raise InvitationNotFound
            if not accepted.joined:
                raise AlreadyMember
            return accepted.workspace_id

    async def decline(self, actor: UUID, invitation_id: UUID) -> None:
        """Decline an invitation; nobody is told. Raises `InvitationNotFound`."""
        async with self._database.acting(actor) as connection:
            if not await repository.decline(connection, invitation_id):
                raise InvitationNotFound


async def _require_administrator(connection: Connection, actor: UUID, workspace_id: UUID) -> Role:
    role = await require_role(connection, actor=actor, workspace_id=workspace_id)
    if role not in {Role.OWNER, Role.ADMIN}:
        raise InvitationsNotPermitted
    return role


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
