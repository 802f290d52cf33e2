"""What users do with their chat channels. The service owns the transaction."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from taskbell.api.chats import repository
from taskbell.api.chats.errors import ChatNotFound, ChatUrlRefused
from taskbell.api.chats.policy import Chat, chat_url_fault
from taskbell.api.chats.schemas import ChatChannel
from taskbell.contract.problems import FieldError
from taskbell.kit.ids import new_id
from taskbell.store.pool import Database


class Chats:
    """The chat channels of a signed-in user: one address for each chat."""

    def __init__(self, database: Database, *, hosts: Collection[str], any_port: bool) -> None:
        """Take the further hosts that are permitted, and whether addresses may have a port."""
        self._database = database
        self._hosts = frozenset(hosts)
        self._any_port = any_port

    async def get(self, actor: UUID, chat: Chat) -> ChatChannel:
        """Read a channel. Raises `ChatNotFound`."""
        async with self._database.acting(actor) as connection:
            found = await repository.get_chat(connection, actor, chat)
        if found is None:
            raise ChatNotFound
        return found

    async def set(self, actor: UUID, chat: Chat, *, url: str) -> tuple[ChatChannel, bool]:
        """Set the address of a channel, and return whether it is new. What waits for a former address is not sent.

        Raises:
            ChatUrlRefused: The address is not an incoming webhook of the chat.
        """
        if fault := chat_url_fault(url, chat=chat, hosts=self._hosts, any_port=self._any_port):
            raise ChatUrlRefused(f"/url: {fault}", errors=(FieldError("/url", "url", fault),))
        async with self._database.acting(actor) as connection:
            return await repository.set_chat(connection, actor, chat, endpoint_id=new_id(), url=url)

    async def delete(self, actor: UUID, chat: Chat) -> None:
        """Forget a channel. Raises `ChatNotFound`."""
        async with self._database.acting(actor) as connection:
            if not await repository.delete_chat(connection, actor, chat):
                raise ChatNotFound
