"""Reads back through the public API what a run of a million left: lists of tasks, change feeds, inboxes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

import httpx
import orjson

from taskbell.capacity.briefing import Account
from taskbell.capacity.million.counters import Counters
from taskbell.capacity.million.ears import ASSIGNED, CREATED, NOTICES
from taskbell.capacity.million.judging import FEED_ASSIGNED, FEED_CREATED, ROW
from taskbell.capacity.million.plan import Plan
from taskbell.capacity.outside import NEWEST

_PAGE: Final = 1000
_AT_ONCE: Final = 4
_PATIENCE_SECONDS: Final = 60.0
_INBOX: Final = {kind: f"inbox {name}" for kind, name in NOTICES.items()}
_EVENTS: Final = {CREATED: FEED_CREATED, ASSIGNED: FEED_ASSIGNED}


class NotRead(Exception):
    """The API did not give a page, however often it was asked."""


class PublicReader:
    """Counts into rows of counters what the API gives."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        plan: Plan,
        counters: Counters,
        *,
        owners: Sequence[Account],
        mates: Sequence[Account],
        tell: Callable[[int], None],
    ) -> None:
        """Take the people of the teams; `tell` hears how many items were read so far in a stage."""
        self._client, self._plan, self._counters = client, plan, counters
        self._owners, self._mates, self._tell = owners, mates, tell
        self._read = 0
        self._last: dict[int, str] = {}
        self.strange = 0
        """Items with a title of this run that stand in a place of another team."""

    async def rows(self) -> None:
        """Count the tasks of all lists; called again, those that came since."""
        await self._each_team(self._rows_of)

    async def feeds(self) -> None:
        """Count the events of the change feeds, as the mates read them."""
        await self._each_team(self._feed_of)

    async def inboxes(self) -> None:
        """Count the notifications of the mates."""
        await self._each_team(self._inbox_of)

    async def _each_team(self, read: Callable[[int], Any]) -> None:
        self._read = 0
        places = asyncio.Semaphore(_AT_ONCE)

        async def one(team: int) -> None:
            async with places:
                await read(team)

        try:
            async with asyncio.TaskGroup() as group:
                for team in range(self._plan.teams):
                    group.create_task(one(team))
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from failed  # the others were cancelled for it

    async def _rows_of(self, team: int) -> None:
        owner = self._owners[team]
        asked = {"workspace_id": owner.workspace_id, "sort": "created_at"}
        if team in self._last:
            asked["last_id"] = self._last[team]
        async for task in self._items("/v1/tasks", owner, asked, after="cursor"):
            self._count(team, ROW, task["title"])
            self._last[team] = task["id"]

    async def _feed_of(self, team: int) -> None:
        mate = self._mates[team]
        async for item in self._items("/v1/events", mate, {"workspace_id": mate.workspace_id}, after="after"):
            event = item["event"]
            if (row := _EVENTS.get(event["type"])) is not None:
                self._count(team, row, event["data"]["title"])

    async def _inbox_of(self, team: int) -> None:
        async for notice in self._items("/v1/notifications", self._mates[team], {}, after="cursor"):
            if (row := _INBOX.get(notice["kind"])) is not None:
                self._count(team, row, notice["title"])

    def _count(self, team: int, row: str, title: str) -> None:
        number = self._plan.number_of(title)
        if number is None or self._plan.team_of(number) != team:
            self.strange += 1
        else:
            self._counters.add(row, number)

    async def _items(
        self, path: str, reader: Account, asked: dict[str, str], *, after: str
    ) -> AsyncIterator[dict[str, Any]]:
        """Every item of a list or feed, page by page."""
        asked = {**asked, "limit": str(_PAGE)}
        while True:
            page = await self._page(path, reader, asked)
            for item in page["items"]:
                yield item
            self._read += len(page["items"])
            self._tell(self._read)
            if not page["meta"]["has_more"]:
                return
            asked = {name: value for name, value in asked.items() if name != "last_id"}
            asked[after] = page["meta"]["next_cursor"]

    async def _page(self, path: str, reader: Account, asked: dict[str, str]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {reader.token}", **NEWEST}
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            pause = 0.5
            try:
                answer = await self._client.get(path, params=asked, headers=headers)
                if answer.status_code == httpx.codes.OK:
                    page: dict[str, Any] = orjson.loads(answer.content)
                    return page
                reason = f"status {answer.status_code}"
                pause = float(answer.headers.get("Retry-After", pause))
            except httpx.TransportError as away:
                reason = type(away).__name__
            if time.monotonic() + pause > deadline:
                raise NotRead(f"GET {path}: {reason}")
            await asyncio.sleep(pause)
