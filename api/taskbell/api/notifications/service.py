"""What a person can do with their inbox."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from taskbell.api import metrics
from taskbell.api.notifications import repository
from taskbell.api.notifications.errors import NotificationNotFound
from taskbell.api.notifications.repository import Inbox
from taskbell.contract.events import EventType
from taskbell.contract.subjects import RELAY_POKE
from taskbell.kit import trace
from taskbell.kit.nats_bus import Pokes
from taskbell.store.pool import Database

_AT_ONCE = 1000


class Notifications:
    """The inbox of a signed-in user."""

    def __init__(self, database: Database, *, pokes: Pokes) -> None:
        """Take the database, and the pokes that wake the relay after a commit."""
        self._database = database
        self._pokes = pokes

    async def page(self, actor: UUID, *, unread: bool, after: UUID | None, limit: int) -> Inbox:
        """Read a page, newest first, of all notifications or of the unread ones."""
        return await repository.page(self._database, actor=actor, unread=unread, after=after, limit=limit)

    async def mark(self, actor: UUID, notification_id: UUID, *, read: bool) -> str:
        """Mark one as read or not; returns its document.

        Raises:
            NotificationNotFound: The actor has none of this id.
        """
        marked = await self._mark(actor, read=read, ids=[notification_id])
        found = marked[0] if marked else None
        found = found or await repository.get(self._database, actor=actor, notification_id=notification_id)
        if found is None:
            raise NotificationNotFound
        return found

    async def read(self, actor: UUID, ids: Sequence[UUID] | None) -> int:
        """Mark those listed as read, or all there are now, a thousand in a transaction; returns how many changed."""
        count = 0
        while True:
            marked = len(await self._mark(actor, read=True, ids=ids))
            count += marked
            if marked < _AT_ONCE:
                return count

    async def _mark(self, actor: UUID, *, read: bool, ids: Sequence[UUID] | None) -> Sequence[str]:
        context = trace.current.get()
        async with self._database.acting(actor) as connection:
            marked = await repository.mark(
                connection,
                read=read,
                ids=ids,
                limit=_AT_ONCE,
                traceparent=None if context is None else str(context),
            )
        if marked:
            kind = EventType.NOTIFICATION_READ if read else EventType.NOTIFICATION_UNREAD
            metrics.EVENTS_WRITTEN.labels(type=kind.value).inc(len(marked))
            await self._pokes.send(RELAY_POKE)
        return marked
