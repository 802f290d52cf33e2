"""What users do with their preferences. The service owns the transaction."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from taskbell.api.preferences import repository
from taskbell.api.preferences.errors import WorkspacesUnknown
from taskbell.api.preferences.schemas import EffectivePreferences, Preference, Preferences
from taskbell.api.workspaces.membership import require_role
from taskbell.contract.problems import FieldError
from taskbell.store.pool import Connection, Database

_ERRORS_TOLD = 50


class AlertPreferences:
    """The preferences of a signed-in user."""

    def __init__(self, database: Database) -> None:
        """Take the primary."""
        self._database = database

    async def get(self, actor: UUID) -> Preferences:
        """Read all of them."""
        async with self._database.acting(actor) as connection:
            return Preferences(items=await repository.list_preferences(connection, actor))

    async def replace(self, actor: UUID, wanted: Sequence[Preference]) -> Preferences:
        """Replace all of them. Raises `WorkspacesUnknown` for workspaces that the actor does not belong to."""
        async with self._database.acting(actor) as connection:
            await _check_workspaces(connection, actor, wanted)
            await repository.replace(connection, actor, wanted)
            return Preferences(items=await repository.list_preferences(connection, actor))

    async def effective(self, actor: UUID, workspace_id: UUID | None) -> EffectivePreferences:
        """Tell what they come to, in one workspace or in general. Raises `WorkspaceNotFound`."""
        async with self._database.acting(actor) as connection:
            if workspace_id is not None:
                await require_role(connection, actor=actor, workspace_id=workspace_id)
            return EffectivePreferences(
                workspace_id=workspace_id,
                ready=await repository.list_ready(connection, actor),
                items=await repository.decide(connection, actor, workspace_id),
            )


async def _check_workspaces(connection: Connection, actor: UUID, wanted: Sequence[Preference]) -> None:
    named = {item.workspace_id for item in wanted if item.workspace_id is not None}
    if not named:
        return
    unknown = named - await repository.own_workspaces(connection, actor, named)
    if not unknown:
        return
    message = "you do not belong to this workspace"
    errors = tuple(
        FieldError(f"/items/{number}/workspace_id", "workspace_unknown", message)
        for number, item in enumerate(wanted)
        if item.workspace_id in unknown
    )
    raise WorkspacesUnknown(errors=errors[:_ERRORS_TOLD])
