"""A page of the change feed is whole, or it is refused."""

import contextlib
from uuid import UUID

import pytest

from taskbell.api.events.errors import EventCursorExpired
from taskbell.api.events.recent import RecentEvents
from taskbell.api.events.service import ChangeFeed
from taskbell.kit.nats_reader import StreamBounds


class Expiring:
    """A stream of ten messages, which is another one as soon as a reader has been opened."""

    def __init__(self, after):
        self._bounds, self._after = StreamBounds(epoch=1, first=1, last=10), after

    async def bounds(self):
        """What it holds now."""
        return self._bounds

    @contextlib.asynccontextmanager
    async def open(self, **_):
        """Retention takes messages while the reader is opened."""
        self._bounds = self._after
        yield self

    async def batches(self, **_):
        """Nothing is left."""
        for batch in ():
            yield batch


@pytest.mark.parametrize(
    ("after", "cursor"),
    [
        (StreamBounds(epoch=1, first=5, last=10), "1-3"),
        (StreamBounds(epoch=2, first=1, last=10), None),
        (StreamBounds(epoch=2, first=1, last=10), "1-3"),
    ],
)
async def test_what_expires_while_a_reader_is_opened_is_not_skipped(after, cursor):
    """Events after the cursor that are gone by then make it expired; the link leads to the end."""
    feed = ChangeFeed(Expiring(after), RecentEvents(max_bytes=0))
    with pytest.raises(EventCursorExpired) as refused:
        await feed.page(workspace_id=UUID(int=1), reader=UUID(int=2), after=cursor, limit=10)
    assert f"after={after.epoch}-10>" in refused.value.headers["Link"]


@pytest.mark.parametrize(("first", "cursor"), [(4, "1-3"), (5, None)])
async def test_what_is_still_there_is_read(first, cursor):
    """Retention up to the cursor takes nothing that is asked for; without a cursor, what is left is asked for."""
    feed = ChangeFeed(Expiring(StreamBounds(epoch=1, first=first, last=10)), RecentEvents(max_bytes=0))
    page = await feed.page(workspace_id=UUID(int=1), reader=UUID(int=2), after=cursor, limit=10)
    assert str(page.next_cursor) == "1-10"
