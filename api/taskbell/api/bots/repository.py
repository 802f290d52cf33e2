"""SQL about bots, within a transaction of the actor."""

from __future__ import annotations

from uuid import UUID

from taskbell.api.bots.schemas import Bot
from taskbell.api.http.paging import Place, Slice
from taskbell.kit.postgres.statements import load
from taskbell.store.pool import Connection

_COUNT_MEMBERS = load(__package__, "count_members")
_DELETE_TOKENS = load(__package__, "delete_bot_tokens")
_LIST = load(__package__, "list_bots")
_LOCK_MEMBERS = load(__package__, "lock_members")
_MAKE = load(__package__, "make_bot")


async def members(connection: Connection, workspace_id: UUID) -> int:
    """Count the members of a workspace; other transactions that would add one wait until this one ends."""
    await _LOCK_MEMBERS.value(connection, workspace_id=workspace_id)
    count: int = await _COUNT_MEMBERS.value(connection, workspace_id=workspace_id)
    return count


async def make(
    connection: Connection, *, bot_id: UUID, workspace_id: UUID, name: str, role: str, traceparent: str | None
) -> Bot | None:
    """Write a user, its membership and the event. None when the actor does not administer the workspace any more."""
    row = await _MAKE.row(
        connection, id=bot_id, workspace_id=workspace_id, name=name, role=role, traceparent=traceparent
    )
    return None if row is None else Bot.of(row)


async def page(connection: Connection, workspace_id: UUID, *, after: Place | None, limit: int) -> Slice[Bot]:
    """Bots of a workspace that the actor administers, by id."""
    past = None if after is None else after.id
    rows = await _LIST.rows(connection, workspace_id=workspace_id, only=None, past=past, at_most=limit + 1)
    return Slice.of(rows, limit=limit, item=Bot.of, place=lambda row: Place(row["id"]))


async def find(connection: Connection, workspace_id: UUID, bot_id: UUID) -> Bot | None:
    """A bot of a workspace that the actor administers."""
    row = await _LIST.row(connection, workspace_id=workspace_id, only=bot_id, past=None, at_most=1)
    return None if row is None else Bot.of(row)


async def delete_tokens(connection: Connection, bot_id: UUID) -> None:
    """End all tokens of a bot."""
    await _DELETE_TOKENS.count(connection, bot_id=bot_id)
