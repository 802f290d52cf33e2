"""Reads the change feed from the stream, which is in the order that WebSockets deliver."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from taskbell.api.events.errors import EventCursorExpired, EventCursorMalformed, EventsUnavailable
from taskbell.api.events.recent import RecentEvents
from taskbell.api.http.paging import PAGE_BYTES
from taskbell.contract.cursors import CursorMalformed, EventCursor
from taskbell.contract.events import is_personal
from taskbell.contract.subjects import HEADER_AUDIENCE, parse_event_subject, workspace_filter
from taskbell.kit.nats_replay import ReplayInterrupted, StreamMessage, StreamReplays

LATEST = "latest"
"""The cursor that means the end of the stream."""
_PATIENCE = 0.5
"""Seconds to wait until this process has read what the stream already holds; it is milliseconds behind."""


@dataclass(frozen=True, slots=True)
class FeedPage:
    """Events after a cursor.

    Attributes:
        items: Each event's cursor and CloudEvents document.
        next_cursor: Where to continue; the last page has one too, so that a client can poll.
        has_more: Whether more events follow now.
    """

    items: Sequence[tuple[EventCursor, bytes]]
    next_cursor: EventCursor
    has_more: bool


class ChangeFeed:
    """The change feed of workspaces. Callers must check the membership before."""

    def __init__(
        self, replays: StreamReplays, recent: RecentEvents, *, polled: Callable[[], None] = lambda: None
    ) -> None:
        """Take the replays of the stream and its newest events; `polled` is called for each page."""
        self._replays = replays
        self._recent = recent
        self._polled = polled

    async def page(self, *, workspace_id: UUID, reader: UUID, after: str | None, limit: int) -> FeedPage:
        """Read up to `limit` events after a cursor, or from the oldest kept one; personal ones only to their audience.

        Raises:
            EventCursorMalformed: The cursor is malformed, or is ahead of the stream.
            EventCursorExpired: Events after it are gone, or the stream was rebuilt.
            EventsUnavailable: NATS does not answer.
        """
        self._polled()
        try:
            bounds = await self._replays.bounds()
            if bounds.epoch is None:
                raise EventsUnavailable(headers={"Retry-After": "1"})
            end = EventCursor(epoch=bounds.epoch, sequence=bounds.last)
            if after == LATEST:
                return FeedPage(items=(), next_cursor=end, has_more=False)
            begin = EventCursor(epoch=bounds.epoch, sequence=max(bounds.first - 1, 0))
            cursor = begin if after is None else _parse(after)
            if cursor.epoch != end.epoch or cursor.sequence < begin.sequence:
                raise _expired(workspace_id, end)
            if cursor.sequence > end.sequence:
                raise EventCursorMalformed
            kept = None if after is None else cursor.sequence
            found = await self._remembered(workspace_id, reader=reader, cursor=cursor, end=end)
            if found is None:
                found = await self._read(
                    workspace_id, reader=reader, cursor=cursor, kept=kept, end=end, limit=limit + 1
                )
        except ReplayInterrupted as away:
            raise EventsUnavailable(headers={"Retry-After": "1"}) from away
        found, has_more = _one_page(found, limit=limit)
        items = [(EventCursor(cursor.epoch, message.sequence), message.data) for message in found]
        return FeedPage(items=items, next_cursor=items[-1][0] if has_more else end, has_more=has_more)

    async def _remembered(
        self, workspace_id: UUID, *, reader: UUID, cursor: EventCursor, end: EventCursor
    ) -> list[StreamMessage] | None:
        """All events between the cursor and the end, if memory holds them. The end is known, so none can be missing."""
        if cursor == end:
            return []
        found = await self._recent.between(cursor, end, workspace_id=str(workspace_id), patience=_PATIENCE)
        return None if found is None else [event for event in found if _is_for(event, reader)]

    async def _read(
        self,
        workspace_id: UUID,
        *,
        reader: UUID,
        cursor: EventCursor,
        kept: int | None,
        end: EventCursor,
        limit: int,
    ) -> list[StreamMessage]:
        found: list[StreamMessage] = []
        subjects = [workspace_filter(workspace_id)]
        async with self._replays.open(subjects=subjects, after=cursor.sequence, until=end.sequence) as replay:
            # Check again after opening: the replay does not know what retention removed in between.
            now = await self._replays.bounds()
            if now.epoch != cursor.epoch or (kept is not None and kept < now.first - 1):
                latest = EventCursor(epoch=now.epoch or end.epoch, sequence=now.last)
                raise _expired(workspace_id, latest)
            async for batch in replay.batches(at_most=limit):
                found += [message for message in batch if _is_for(message, reader)]
                if len(found) >= limit or (len(found) > 1 and sum(len(each.data) for each in found) > PAGE_BYTES):
                    break
        return found


def _one_page(found: list[StreamMessage], *, limit: int) -> tuple[list[StreamMessage], bool]:
    """The events of one page, which ends before it is larger than `PAGE_BYTES`, and whether there are more."""
    items: list[StreamMessage] = []
    size = 0
    for message in found:
        size += len(message.data)
        if items and (len(items) == limit or size > PAGE_BYTES):
            return items, True
        items.append(message)
    return items, False


def _expired(workspace_id: UUID, latest: EventCursor) -> EventCursorExpired:
    link = f'</v1/events?workspace_id={workspace_id}&after={latest}>; rel="latest"'
    return EventCursorExpired(headers={"Link": link})


def _is_for(message: StreamMessage, reader: UUID) -> bool:
    _, event_type = parse_event_subject(message.subject)
    return not is_personal(event_type) or str(reader) in message.headers.get(HEADER_AUDIENCE, "")


def _parse(text: str) -> EventCursor:
    try:
        return EventCursor.parse(text)
    except CursorMalformed as malformed:
        raise EventCursorMalformed from malformed
