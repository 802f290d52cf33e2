"""SQL about workspaces and memberships, within a transaction of the actor."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from taskbell.api.workspaces.policy import Role
from taskbell.kit.ids import bare_uuid
from taskbell.store.pool import Connection


class RowRefused(Exception):
    """Row-level security did not admit the row: what the actor was allowed a statement ago is over."""


@dataclass(frozen=True, slots=True)
class WorkspaceRow:
    """A workspace with the actor's role in it."""

    id: UUID
    name: str
    role: Role
    created_at: datetime


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A member with the account's public part."""

    user_id: UUID
    email: str
    name: str
    role: Role
    created_at: datetime


async def add_workspace(connection: Connection, *, workspace_id: UUID, name: str, owner: UUID) -> WorkspaceRow:
    """Write a workspace and its founder's membership."""
    created_at = await connection.fetchval(
        "INSERT INTO workspaces (id, name, created_by) VALUES ($1, $2, $3) RETURNING created_at",
        workspace_id,
        name,
        owner,
    )
    await connection.execute(
        "INSERT INTO memberships (user_id, workspace_id, role) VALUES ($1, $2, 'owner')", owner, workspace_id
    )
    return WorkspaceRow(id=workspace_id, name=name, role=Role.OWNER, created_at=created_at)


async def list_workspaces(
    connection: Connection, *, actor: UUID, past: UUID | None, at_most: int
) -> list[WorkspaceRow]:
    """Workspaces the actor belongs to, by id."""
    rows = await connection.fetch(
        "SELECT w.id, w.name, m.role, w.created_at FROM memberships m JOIN workspaces w ON w.id = m.workspace_id"
        " WHERE m.user_id = $1 AND ($2::uuid IS NULL OR w.id > $2) ORDER BY w.id LIMIT $3",
        actor,
        past,
        at_most,
    )
    return [_workspace(row) for row in rows]


async def get_workspace(connection: Connection, *, actor: UUID, workspace_id: UUID) -> WorkspaceRow | None:
    """A workspace the actor belongs to, or None."""
    row = await connection.fetchrow(
        "SELECT w.id, w.name, m.role, w.created_at FROM memberships m JOIN workspaces w ON w.id = m.workspace_id"
        " WHERE m.user_id = $1 AND m.workspace_id = $2",
        actor,
        workspace_id,
    )
    return None if row is None else _workspace(row)


async def list_members(
    connection: Connection, *, workspace_id: UUID, past: UUID | None, at_most: int
) -> list[MemberRow]:
    """Members of a workspace that the actor belongs to, by id."""
    rows = await connection.fetch(
        "SELECT user_id, email, name, role, created_at FROM taskbell.members_of($1, $2, $3)",
        workspace_id,
        past,
        at_most,
    )
    return [
        MemberRow(
            user_id=bare_uuid(row["user_id"]),
            email=row["email"],
            name=row["name"],
            role=Role(row["role"]),
            created_at=row["created_at"],
        )
        for row in rows
    ]


async def get_member(connection: Connection, *, workspace_id: UUID, user_id: UUID) -> MemberRow | None:
    """One member; None when there is none, or when the actor belongs to the workspace no more."""
    before = UUID(int=user_id.int - 1)
    found = await list_members(connection, workspace_id=workspace_id, past=before, at_most=1)
    return found[0] if found and found[0].user_id == user_id else None


async def find_user(connection: Connection, email: str) -> UUID | None:
    """The account with this address, or None."""
    found = await connection.fetchval("SELECT id FROM taskbell.account_by_email($1)", email)
    return None if found is None else bare_uuid(found)


async def role_of(connection: Connection, *, workspace_id: UUID, user_id: UUID) -> Role | None:
    """A member's role as far as the actor may see it, else None."""
    found = await connection.fetchval(
        "SELECT role FROM memberships WHERE workspace_id = $1 AND user_id = $2", workspace_id, user_id
    )
    return None if found is None else Role(found)


async def is_personal(connection: Connection, *, workspace_id: UUID, user_id: UUID) -> bool:
    """Whether a workspace that the actor belongs to is a user's personal one."""
    return bool(await connection.fetchval("SELECT taskbell.is_personal($1, $2)", workspace_id, user_id))


async def lock_owners(connection: Connection, workspace_id: UUID) -> int:
    """Let one transaction at a time change who owns a workspace; how many do."""
    await connection.execute("SELECT 1 FROM workspaces WHERE id = $1 FOR NO KEY UPDATE", workspace_id)
    count: int = await connection.fetchval(
        "SELECT count(*) FROM memberships WHERE workspace_id = $1 AND role = 'owner'", workspace_id
    )
    return count


async def add_member(
    connection: Connection, *, workspace_id: UUID, user_id: UUID, role: Role, actor: UUID, traceparent: str | None
) -> bool:
    """Write a membership and its event; False when the user is a member already.

    Raises:
        RowRefused: The actor may not, or may no longer; the transaction is void.
    """
    try:
        added = await connection.fetchval(
            "INSERT INTO memberships (user_id, workspace_id, role) VALUES ($1, $2, $3)"
            " ON CONFLICT DO NOTHING RETURNING true",
            user_id,
            workspace_id,
            role.value,
        )
        if added is None:
            return False
        await connection.execute(
            "INSERT INTO events (workspace_id, type, subject_id, actor_id, audience, traceparent, data)"
            " VALUES ($1, 'member.added', $2, $4, ARRAY[$2::uuid], $5,"
            " json_build_object('id', $2::uuid, 'workspace_id', $1::uuid, 'role', $3::text))",
            workspace_id,
            user_id,
            role.value,
            actor,
            traceparent,
        )
    except asyncpg.InsufficientPrivilegeError as refused:
        raise RowRefused from refused
    return True


async def remove_member(
    connection: Connection, *, workspace_id: UUID, user_id: UUID, actor: UUID, traceparent: str | None
) -> bool:
    """Delete a membership and write its event; False when it was gone already.

    One statement: who leaves by themselves may still write the event, since the policy sees the statement's snapshot.
    """
    removed = await connection.fetchval(
        "WITH gone AS (DELETE FROM memberships WHERE workspace_id = $1 AND user_id = $2 RETURNING role)"
        " INSERT INTO events (workspace_id, type, subject_id, actor_id, audience, traceparent, data)"
        " SELECT $1, 'member.removed', $2, $3, ARRAY[$2::uuid], $4,"
        " json_build_object('id', $2::uuid, 'workspace_id', $1::uuid, 'role', gone.role) FROM gone RETURNING true",
        workspace_id,
        user_id,
        actor,
        traceparent,
    )
    return removed is True


def _workspace(row: asyncpg.Record) -> WorkspaceRow:
    return WorkspaceRow(id=bare_uuid(row["id"]), name=row["name"], role=Role(row["role"]), created_at=row["created_at"])
