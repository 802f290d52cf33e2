"""SQL about workspaces and memberships, within a transaction of the actor."""

from __future__ import annotations

from uuid import UUID

from taskbell.api.http.paging import Place, Slice
from taskbell.api.workspaces.policy import UNDO, Role
from taskbell.api.workspaces.schemas import DeletedWorkspace, Member, Workspace
from taskbell.kit.postgres.statements import load
from taskbell.store.pool import Connection

_CHANGE_ROLE = load(__package__, "change_role")
_COUNT_OWN_WORKSPACES = load(__package__, "count_own_workspaces")
_COUNT_OWNERS = load(__package__, "count_owners")
_DELETE_MEMBER = load(__package__, "delete_member")
_DELETE_WORKSPACE = load(__package__, "delete_workspace")
_GET_MEMBER = load(__package__, "get_member")
_GET_ROLE = load(__package__, "get_role")
_GET_WORKSPACE = load(__package__, "get_workspace")
_INSERT_MEMBER = load(__package__, "insert_member")
_INSERT_WORKSPACE = load(__package__, "insert_workspace")
_IS_PERSONAL = load(__package__, "is_personal")
_LIST_DELETED = load(__package__, "list_deleted_workspaces")
_LIST_MEMBERS = load(__package__, "list_members")
_LIST_WORKSPACES = load(__package__, "list_workspaces")
_LOCK_OWN_WORKSPACES = load(__package__, "lock_own_workspaces")
_LOCK_WORKSPACE = load(__package__, "lock_workspace")
_PAUSE_WEBHOOKS = load(__package__, "pause_webhooks")
_RENAME_WORKSPACE = load(__package__, "rename_workspace")
_RESTORE_WORKSPACE = load(__package__, "restore_workspace")


async def reserve_workspace(connection: Connection, actor: UUID) -> int:
    """Count the actor's workspaces; other transactions that would add one wait until this one ends."""
    await _LOCK_OWN_WORKSPACES.value(connection, actor=actor)
    count: int = await _COUNT_OWN_WORKSPACES.value(connection, actor=actor)
    return count


async def add_workspace(connection: Connection, *, workspace_id: UUID, name: str, owner: UUID) -> Workspace:
    """Write a workspace and its owner's membership."""
    created_at = await _INSERT_WORKSPACE.value(connection, id=workspace_id, name=name, owner=owner)
    await _INSERT_MEMBER.count(connection, user_id=owner, workspace_id=workspace_id, role=Role.OWNER.value)
    return Workspace(id=workspace_id, name=name, role=Role.OWNER, created_at=created_at)


async def list_workspaces(connection: Connection, *, actor: UUID, after: Place | None, limit: int) -> Slice[Workspace]:
    """Workspaces the actor belongs to, by id."""
    past = None if after is None else after.id
    rows = await _LIST_WORKSPACES.rows(connection, actor=actor, past=past, at_most=limit + 1)
    return Slice.of(rows, limit=limit, item=Workspace.of, place=lambda row: Place(row["id"]))


async def get_workspace(connection: Connection, *, actor: UUID, workspace_id: UUID) -> Workspace | None:
    """A workspace the actor belongs to, or None."""
    row = await _GET_WORKSPACE.row(connection, actor=actor, workspace_id=workspace_id)
    return None if row is None else Workspace.of(row)


async def rename_workspace(
    connection: Connection, *, workspace_id: UUID, name: str, actor: UUID, traceparent: str | None
) -> bool:
    """Write another name and its event; False when the name is the same."""
    return bool(
        await _RENAME_WORKSPACE.count(
            connection, workspace_id=workspace_id, name=name, actor=actor, traceparent=traceparent
        )
    )


async def delete_workspace(connection: Connection, workspace_id: UUID, *, traceparent: str | None) -> str:
    """Hide a workspace of the actor, with the event: `deleted`, `personal`, or `refused` to who owns it no more."""
    outcome: str = await _DELETE_WORKSPACE.value(
        connection, workspace_id=workspace_id, keep=UNDO, traceparent=traceparent
    )
    return outcome


async def restore_workspace(connection: Connection, workspace_id: UUID, *, traceparent: str | None) -> bool:
    """Bring back a deleted workspace that the actor owned, with the event; False when there is none."""
    return bool(await _RESTORE_WORKSPACE.value(connection, workspace_id=workspace_id, traceparent=traceparent))


async def list_deleted(connection: Connection, *, after: Place | None, limit: int) -> Slice[DeletedWorkspace]:
    """Workspaces that the actor may restore, by id."""
    past = None if after is None else after.id
    rows = await _LIST_DELETED.rows(connection, past=past, at_most=limit + 1)
    return Slice.of(rows, limit=limit, item=DeletedWorkspace.of, place=lambda row: Place(row["id"]))


async def list_members(connection: Connection, *, workspace_id: UUID, after: Place | None, limit: int) -> Slice[Member]:
    """Members of a workspace that the actor belongs to, by user id."""
    past = None if after is None else after.id
    rows = await _LIST_MEMBERS.rows(connection, workspace_id=workspace_id, past=past, at_most=limit + 1)
    return Slice.of(rows, limit=limit, item=Member.of, place=lambda row: Place(row["user_id"]))


async def role_of(connection: Connection, *, workspace_id: UUID, user_id: UUID) -> Role | None:
    """A member's role, or None when the actor may not see it."""
    found = await _GET_ROLE.value(connection, workspace_id=workspace_id, user_id=user_id)
    return None if found is None else Role(found)


async def is_personal(connection: Connection, *, workspace_id: UUID, user_id: UUID) -> bool:
    """Whether a workspace that the actor belongs to is a user's personal one."""
    return bool(await _IS_PERSONAL.value(connection, workspace_id=workspace_id, user_id=user_id))


async def lock_owners(connection: Connection, workspace_id: UUID) -> int:
    """Count the owners of a workspace; other transactions that would change them wait until this one ends."""
    await _LOCK_WORKSPACE.count(connection, id=workspace_id)
    count: int = await _COUNT_OWNERS.value(connection, workspace_id=workspace_id)
    return count


async def get_member(connection: Connection, *, workspace_id: UUID, user_id: UUID) -> tuple[Member, bool] | None:
    """A member of a workspace that the actor belongs to, and whether it is a bot."""
    row = await _GET_MEMBER.row(connection, workspace_id=workspace_id, user_id=user_id)
    return None if row is None else (Member.of(row), row["is_bot"])


async def change_role(
    connection: Connection,
    *,
    workspace_id: UUID,
    user_id: UUID,
    former: Role,
    role: Role,
    actor: UUID,
    traceparent: str | None,
) -> bool:
    """Write a member's other role and its event; False when the former role is not theirs any more."""
    return bool(
        await _CHANGE_ROLE.count(
            connection,
            workspace_id=workspace_id,
            user_id=user_id,
            former=former.value,
            role=role.value,
            actor=actor,
            traceparent=traceparent,
        )
    )


async def remove_member(
    connection: Connection, *, workspace_id: UUID, user_id: UUID, actor: UUID, traceparent: str | None
) -> bool:
    """Delete a membership and write its event; False when it was gone already."""
    return bool(
        await _DELETE_MEMBER.count(
            connection, workspace_id=workspace_id, user_id=user_id, actor=actor, traceparent=traceparent
        )
    )


async def pause_webhooks(connection: Connection, *, workspace_id: UUID, user_id: UUID, traceparent: str | None) -> int:
    """Switch off the webhooks of a user who no longer administers a workspace; how many owners were notified."""
    told: int = await _PAUSE_WEBHOOKS.value(
        connection, workspace_id=workspace_id, user_id=user_id, traceparent=traceparent
    )
    return told
