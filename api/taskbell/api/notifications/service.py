"""What users do with their inbox."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from taskbell.api.events.recorder import EventRecorder
from taskbell.api.http.paging import PageRequest, Slice
from taskbell.api.notifications import repository
from taskbell.api.notifications.errors import NotificationNotFound
from taskbell.contract.events import EventType
from taskbell.kit.trace import traceparent
from taskbell.store.pool import Database
from taskbell.store.reads import Reads

_AT_ONCE = 1000


class Notifications:
    """The inbox of a signed-in user."""

    def __init__(self, database: Database, reads: Reads, *, recorder: EventRecorder) -> None:
        """Take the primary, what answers reads, and the recorder of events."""
        self._database = database
        self._reads = reads
        self._recorder = recorder

    async def page(self, actor: UUID, wanted: PageRequest, *, unread: bool) -> tuple[Slice[str], int]:
        """Read a page of documents, newest first, of all notifications or the unread ones; and how many are unread."""
        return await repository.page(self._reads, actor=actor, unread=unread, after=wanted.after, limit=wanted.limit)

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
        async with self._database.acting(actor, prunes=False) as connection:
            marked = await repository.mark(
                connection,
                read=read,
                ids=ids,
                limit=_AT_ONCE,
                traceparent=traceparent(),
            )
        if marked:
            kind = EventType.NOTIFICATION_READ if read else EventType.NOTIFICATION_UNREAD
            await self._recorder.committed(*(kind for _ in marked))
        return marked
