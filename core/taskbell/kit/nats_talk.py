"""Messages between processes that run now, by core NATS: they may be lost, and nobody keeps them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError


class Talk:
    """One subject on which all processes of a kind speak and listen."""

    def __init__(self, client: Client, subject: str) -> None:
        """Take a connection, which the caller closes."""
        self._client = client
        self._subject = subject

    @property
    def is_up(self) -> bool:
        """Whether there is a connection, so that others may hear."""
        return self._client.is_connected

    async def say(self, body: bytes) -> bool:
        """Send a message without waiting; return whether there is a connection that took it."""
        if not self._client.is_connected:
            return False
        try:
            await self._client.publish(self._subject, body)
        except NatsError:
            return False
        return True

    @asynccontextmanager
    async def heard_by(self, hear: Callable[[bytes], Awaitable[None]]) -> AsyncIterator[None]:
        """Call `hear` for every message in the length of the block, one's own included."""

        async def on_message(message: Msg) -> None:
            await hear(message.data)

        subscription = await self._client.subscribe(self._subject, cb=on_message)
        try:
            yield
        finally:
            with suppress(NatsError):  # a connection that is gone has no subscriptions either
                await subscription.unsubscribe()
