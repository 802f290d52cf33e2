"""Whether an actor belongs to a workspace: the one check that every feature asks."""

from __future__ import annotations

from uuid import UUID

from taskbell.api.workspaces.errors import WorkspaceNotFound
from taskbell.api.workspaces.policy import Role
from taskbell.kit.postgres.statements import Executor, load

_ROLE = load(__package__, "select_actor_role")


async def require_role(on: Executor, *, actor: UUID, workspace_id: UUID) -> Role:
    """The actor's role in a workspace. One round trip, in a transaction of the actor or on its own.

    Raises:
        WorkspaceNotFound: The actor is not a member.
    """
    found = await _ROLE.value(on, actor=actor, workspace_id=workspace_id)
    if found is None:
        raise WorkspaceNotFound
    return Role(found)
