"""SQL about chat channels, within a transaction of the actor."""

from __future__ import annotations

from uuid import UUID

from taskbell.api.chats.policy import Chat
from taskbell.api.chats.schemas import ChatChannel
from taskbell.kit.ids import bare_uuid
from taskbell.kit.postgres.statements import load
from taskbell.store.pool import Connection

_DELETE = load(__package__, "delete_chat")
_DELETE_OTHERS = load(__package__, "delete_other_chats")
_GET = load(__package__, "get_chat")
_LOCK = load(__package__, "lock_chat")
_SET = load(__package__, "set_chat")


async def get_chat(connection: Connection, actor: UUID, chat: Chat) -> ChatChannel | None:
    """The actor's channel in a chat, or None."""
    row = await _GET.row(connection, user_id=actor, kind=chat)
    return None if row is None else ChatChannel.of(row)


async def set_chat(
    connection: Connection, actor: UUID, chat: Chat, *, endpoint_id: UUID, url: str
) -> tuple[ChatChannel, bool]:
    """Set the address, and forget any other one; returns whether there was no channel before."""
    await _LOCK.value(connection, user_id=actor, kind=chat)
    had_one = await _GET.row(connection, user_id=actor, kind=chat) is not None
    (row,) = await _SET.rows(connection, id=endpoint_id, kind=chat, url=url)
    await _DELETE_OTHERS.count(connection, user_id=actor, kind=chat, keep=bare_uuid(row["id"]))
    return ChatChannel.of(row), not had_one


async def delete_chat(connection: Connection, actor: UUID, chat: Chat) -> bool:
    """Delete the channel; returns whether there was one."""
    return await _DELETE.count(connection, user_id=actor, kind=chat) > 0
