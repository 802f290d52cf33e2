"""SQL about invitations, within a transaction of the actor."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import asyncpg

from taskbell.api.http.paging import Place, Slice
from taskbell.api.invitations.policy import LetterBounds, Load, Room
from taskbell.api.invitations.schemas import Invitation, InvitationToYou
from taskbell.api.workspaces.policy import Role
from taskbell.kit.ids import bare_uuid, new_id
from taskbell.kit.postgres.errors import RowRefused
from taskbell.kit.postgres.statements import load
from taskbell.store.pool import Connection

_ACCEPT = load(__package__, "accept_invitation")
_CONFIRM_READER = load(__package__, "confirm_reader")
_ANNOUNCE = load(__package__, "announce_invitation")
_DECLINE = load(__package__, "decline_invitation")
_DELETE_ENDED = load(__package__, "delete_ended_invitation")
_FIND_OF_LETTER = load(__package__, "find_invitation_of_letter")
_GET_ROLE = load(__package__, "get_invitation_role")
_INSERT = load(__package__, "insert_invitation")
_INSERT_MEMBER_ADDED = load(__package__, "insert_member_added")
_LIST = load(__package__, "list_invitations")
_LIST_OWN = load(__package__, "list_invitations_to_me")
_LOCK_ACCEPTING = load(__package__, "lock_accepting")
_LOCK_INVITING = load(__package__, "lock_inviting")
_MEASURE = load(__package__, "measure_load")
_MEASURE_ROOM = load(__package__, "measure_room")
_WITHDRAW = load(__package__, "withdraw_invitation")


@dataclass(frozen=True, slots=True)
class Accepted:
    """What an accepted invitation gave; `joined` is False for somebody who was a member already."""

    workspace_id: UUID
    role: Role
    joined: bool


async def measure(connection: Connection, *, workspace_id: UUID, actor: UUID, email: str) -> Load | None:
    """Count what bounds an invitation; None when the actor no longer administers the workspace.

    Other transactions that would add to the same counts wait until this one ends.
    """
    await _LOCK_INVITING.value(connection, workspace_id=workspace_id, actor=actor, email=email)
    row = await _MEASURE.row(connection, workspace_id=workspace_id, email=email)
    return None if row is None else Load(**dict(row.items()))


async def invite(
    connection: Connection, *, workspace_id: UUID, email: str, role: Role, actor: UUID, lifetime: timedelta
) -> Invitation | None:
    """Write an invitation; None when the address is invited already.

    One that was withdrawn is replaced under its id, and so the person is notified once.

    Raises:
        RowRefused: The actor may not do so, or no longer; the transaction is void.
    """
    try:
        former = await _DELETE_ENDED.value(connection, workspace_id=workspace_id, email=email)
        row = await _INSERT.row(
            connection,
            id=new_id() if former is None else former,
            workspace_id=workspace_id,
            email=email,
            role=role.value,
            actor=actor,
            lifetime=lifetime,
        )
    except asyncpg.InsufficientPrivilegeError as refused:
        raise RowRefused from refused
    return None if row is None else Invitation.of(row)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What an address without an account gets.

    Attributes:
        token: What accepts the invitation; it is only in the letter.
        token_hash: What is stored of it.
        mailbox: Hash of the address without its tag.
        retry_for: For how long sending is tried.
    """

    token: str
    token_hash: bytes
    mailbox: bytes
    retry_for: timedelta


async def announce(
    connection: Connection, invitation_id: UUID, *, letter: Letter, bounds: LetterBounds, traceparent: str | None
) -> bool:
    """Notify the account of the address, or have the letter sent there; whether an account was notified."""
    return bool(
        await _ANNOUNCE.value(
            connection,
            id=invitation_id,
            token=letter.token,
            token_hash=letter.token_hash,
            mailbox=letter.mailbox,
            retry_for=letter.retry_for,
            most_to_mailbox=bounds.to_mailbox,
            most_by_user_to_mailbox=bounds.by_user_to_mailbox,
            most_by_user=bounds.by_user,
            traceparent=traceparent,
        )
    )


async def find_of_letter(connection: Connection, token_hash: bytes) -> UUID | None:
    """The invitation to the actor that a letter was about; None when either is worth nothing any more."""
    found = await _FIND_OF_LETTER.value(connection, token_hash=token_hash)
    return None if found is None else bare_uuid(found)


async def confirm_reader(connection: Connection, actor: UUID) -> None:
    """Note that the actor reads the mailbox of the account."""
    await _CONFIRM_READER.count(connection, actor=actor)


async def page(
    connection: Connection, *, workspace_id: UUID, ended: bool, after: Place | None, limit: int
) -> Slice[Invitation]:
    """Invitations of a workspace, by id; with or without those that have ended."""
    past = None if after is None else after.id
    rows = await _LIST.rows(connection, workspace_id=workspace_id, ended=ended, past=past, at_most=limit + 1)
    return Slice.of(rows, limit=limit, item=Invitation.of, place=lambda row: Place(row["id"]))


async def role_of(connection: Connection, *, workspace_id: UUID, invitation_id: UUID) -> Role | None:
    """The role that an invitation of a workspace gives; None when there is no such invitation, or it has ended."""
    found = await _GET_ROLE.value(connection, workspace_id=workspace_id, id=invitation_id)
    return None if found is None else Role(found)


async def withdraw(connection: Connection, invitation_id: UUID) -> bool:
    """End an invitation; False when it has ended already."""
    return bool(await _WITHDRAW.count(connection, id=invitation_id))


async def page_to_actor(connection: Connection, *, after: Place | None, limit: int) -> Slice[InvitationToYou]:
    """Invitations to the actor's address that may be accepted, by id."""
    past = None if after is None else after.id
    rows = await _LIST_OWN.rows(connection, past=past, at_most=limit + 1)
    return Slice.of(rows, limit=limit, item=InvitationToYou.of, place=lambda row: Place(row["id"]))


async def room(connection: Connection, *, actor: UUID, invitation_id: UUID) -> Room | None:
    """What decides whether the actor can accept an invitation; None when there is no such invitation to the actor.

    Other transactions that would add to these counts wait until this one ends.
    """
    await _LOCK_ACCEPTING.value(connection, actor=actor, id=invitation_id)
    row = await _MEASURE_ROOM.row(connection, id=invitation_id)
    return None if row is None else Room(**dict(row.items()))


async def accept(
    connection: Connection, invitation_id: UUID, *, actor: UUID, traceparent: str | None
) -> Accepted | None:
    """Make the actor a member, with the event; the invitation is over. None when there is no such invitation.

    Raises:
        RowRefused: Who made it may no longer do so; the transaction is void.
    """
    try:
        row = await _ACCEPT.row(connection, id=invitation_id, actor=actor)
    except asyncpg.InsufficientPrivilegeError as refused:
        raise RowRefused from refused
    if row is None:
        return None
    accepted = Accepted(bare_uuid(row["workspace_id"]), Role(row["role"]), joined=row["joined"])
    if accepted.joined:
        await _INSERT_MEMBER_ADDED.count(
            connection,
            workspace_id=accepted.workspace_id,
            role=accepted.role.value,
            actor=actor,
            traceparent=traceparent,
        )
    return accepted


async def decline(connection: Connection, invitation_id: UUID) -> bool:
    """Note that the actor declined; False when there is no such invitation."""
    return bool(await _DECLINE.count(connection, id=invitation_id))
