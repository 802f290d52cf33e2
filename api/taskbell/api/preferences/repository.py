"""SQL about preferences, within a transaction of the actor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from taskbell.api.preferences.schemas import AlertChannel, Decision, Preference, StoredPreference
from taskbell.contract.notices import Kind
from taskbell.kit.ids import bare_uuid
from taskbell.kit.postgres.statements import load
from taskbell.store.pool import Connection

_DECIDE = load(__package__, "decide")
_DELETE = load(__package__, "delete_preferences")
_INSERT = load(__package__, "insert_preferences")
_LIST = load(__package__, "list_preferences")
_LIST_OWN_WORKSPACES = load(__package__, "list_own_workspaces")
_LIST_READY = load(__package__, "list_ready")
_LOCK = load(__package__, "lock_preferences")


async def list_preferences(connection: Connection, actor: UUID) -> list[StoredPreference]:
    """The actor's preferences about all workspaces and about those that the actor belongs to."""
    return [StoredPreference.of(row) for row in await _LIST.rows(connection, user_id=actor)]


async def own_workspaces(connection: Connection, actor: UUID, wanted: Iterable[UUID]) -> set[UUID]:
    """Those of some workspaces that the actor belongs to."""
    rows = await _LIST_OWN_WORKSPACES.rows(connection, user_id=actor, workspaces=list(wanted))
    return {bare_uuid(row["workspace_id"]) for row in rows}


async def replace(connection: Connection, actor: UUID, wanted: Sequence[Preference]) -> None:
    """Replace all preferences of the actor; others that would do so wait until this transaction ends."""
    await _LOCK.value(connection, user_id=actor)
    await _DELETE.count(connection, user_id=actor)
    await _INSERT.count(
        connection,
        user_id=actor,
        workspaces=[item.workspace_id for item in wanted],
        kinds=[item.kind for item in wanted],
        channels=[item.channel for item in wanted],
        enabled=[item.enabled for item in wanted],
    )


async def decide(connection: Connection, actor: UUID, workspace_id: UUID | None) -> list[Decision]:
    """What the preferences come to, for each kind and channel."""
    rows = await _DECIDE.rows(
        connection, user_id=actor, workspace_id=workspace_id, kinds=list(Kind), channels=list(AlertChannel)
    )
    return [Decision.of(row) for row in rows]


async def list_ready(connection: Connection, actor: UUID) -> list[AlertChannel]:
    """Channels that can reach the actor."""
    row = await _LIST_READY.row(connection, user_id=actor)
    return [] if row is None else [channel for channel in AlertChannel if row[channel.value]]
