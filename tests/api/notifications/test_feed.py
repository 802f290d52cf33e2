"""Notifications in the change feed: each member reads their own, and nobody else's."""

import contextlib
from uuid import UUID

import pytest

from taskbell.api.events.recent import RecentEvents
from taskbell.api.events.service import ChangeFeed
from taskbell.contract.events import EventType, is_personal
from taskbell.contract.subjects import HEADER_AUDIENCE, event_subject
from taskbell.kit.nats_reader import StreamBounds
from taskbell.kit.nats_replay import StreamMessage

ANN, BOB, WORKSPACE = UUID(int=1), UUID(int=2), UUID(int=3)


class Stream:
    """A stream of a few messages, read in batches of two."""

    def __init__(self, *events):
        self._messages = [
            StreamMessage(
                number, event_subject(workspace_id=WORKSPACE, event_type=kind), {HEADER_AUDIENCE: str(user)}, b"{}"
            )
            for number, (kind, user) in enumerate(events, 1)
        ]

    async def bounds(self):
        """Everything."""
        return StreamBounds(epoch=1, first=1, last=len(self._messages))

    @contextlib.asynccontextmanager
    async def open(self, *, subjects, after, until):
        """This object is its own replay."""
        self._rest = [message for message in self._messages if after < message.sequence <= until]
        yield self

    async def batches(self, *, at_most):
        """Two at a time."""
        for start in range(0, len(self._rest), 2):
            yield self._rest[start : start + 2]


@pytest.mark.parametrize("reader", [ANN, BOB])
@pytest.mark.parametrize("limit", [1, 2, 10])
async def test_a_reader_gets_all_but_others_notifications(reader, limit):
    """Page by page everything of the workspace comes in order, of the personal events only one's own."""
    kinds = (EventType.TASK_CREATED, EventType.NOTIFICATION_CREATED, EventType.NOTIFICATION_READ)
    events = [(kind, user) for kind in kinds for user in (ANN, BOB)] * 3
    feed, found, after, more = ChangeFeed(Stream(*events), RecentEvents(max_bytes=0)), [], None, True
    while more:
        page = await feed.page(workspace_id=WORKSPACE, reader=reader, after=after, limit=limit)
        found += [cursor.sequence for cursor, _ in page.items]
        after, more = str(page.next_cursor), page.has_more
    assert found == [
        number for number, (kind, user) in enumerate(events, 1) if not kind.startswith("notification") or user == reader
    ]
    assert after == f"1-{len(events)}"


def test_what_is_personal():
    """Notifications are, also of types yet unknown; everything else is for all who may read the workspace."""
    assert {kind for kind in EventType if is_personal(kind)} == {
        EventType.NOTIFICATION_CREATED,
        EventType.NOTIFICATION_READ,
        EventType.NOTIFICATION_UNREAD,
    }
    assert is_personal("notification.archived")
