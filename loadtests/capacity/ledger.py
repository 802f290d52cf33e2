"""Gathers the evidence of a run: rows through the owner's address, the change feed, and what was written and heard."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any

import asyncpg
import httpx
import orjson

from capacity.briefing import Account, Briefing, whole_lines
from capacity.conservation import Evidence, FeedItem, Heard
from taskbell.contract.cursors import EventCursor

QUIET_SECONDS = 5.0
"""The listeners have got everything when nothing came for so long."""


async def count_events(database_url: str, workspaces: list[str]) -> int:
    """How many rows of events about tasks there are."""
    connection = await asyncpg.connect(database_url)
    try:
        query = "SELECT count(*) FROM events WHERE workspace_id = ANY ($1::uuid[]) AND type LIKE 'task.%'"
        return int(await connection.fetchval(query, workspaces))
    finally:
        await connection.close()


async def read_rows(
    database_url: str, workspaces: list[str]
) -> tuple[list[tuple[str, str]], list[tuple[str, str, str]], dict[str, int] | None]:
    """Tasks (id, title), events (id, type, task), and `assigned` notifications by task, None without their table."""
    connection = await asyncpg.connect(database_url)
    try:
        tasks = await connection.fetch("SELECT id, title FROM tasks WHERE workspace_id = ANY ($1::uuid[])", workspaces)
        events = await connection.fetch(
            "SELECT id, type, subject_id FROM events WHERE workspace_id = ANY ($1::uuid[]) AND type LIKE 'task.%'",
            workspaces,
        )
        notified = None
        if await connection.fetchval("SELECT to_regclass('notifications') IS NOT NULL"):
            counted = await connection.fetch(
                "SELECT task_id, count(*) FROM notifications"
                " WHERE kind = 'assigned' AND workspace_id = ANY ($1::uuid[]) GROUP BY task_id",
                workspaces,
            )
            notified = {str(task): int(number) for task, number in counted}
    finally:
        await connection.close()
    return (
        [(str(task), title) for task, title in tasks],
        [(str(event), kind, str(subject)) for event, kind, subject in events],
        notified,
    )


class Feeds:
    """The change feeds of the teams, read on from where the last reading ended."""

    def __init__(self, client: httpx.Client, accounts: Iterable[Account]) -> None:
        """Stand at the present end of each feed."""
        self._client = client
        self._readers = {account.workspace_id: account for account in accounts}
        self._cursors = {
            workspace: self._page(workspace, "latest")["meta"]["next_cursor"] for workspace in self._readers
        }
        self.items: dict[str, list[FeedItem]] = {workspace: [] for workspace in self._readers}

    @property
    def count(self) -> int:
        """Events read so far."""
        return sum(map(len, self.items.values()))

    def read_on(self) -> None:
        """Read to the end of each feed.

        Raises:
            httpx.HTTPError: The API refused, or is away.
        """
        for workspace, items in self.items.items():
            has_more = True
            while has_more:
                page = self._page(workspace, self._cursors[workspace])
                items += [_item(found) for found in page["items"] if found["event"]["type"].startswith("task.")]
                self._cursors[workspace] = page["meta"]["next_cursor"]
                has_more = page["meta"]["has_more"]

    def _page(self, workspace: str, after: str) -> dict[str, Any]:
        answer = self._client.get(
            "/v1/events",
            params={"workspace_id": workspace, "after": after, "limit": 1000},
            headers={"Authorization": f"Bearer {self._readers[workspace].token}"},
        ).raise_for_status()
        page: dict[str, Any] = orjson.loads(answer.content)
        return page


def _item(found: dict[str, Any]) -> FeedItem:
    event = found["event"]
    return FeedItem(EventCursor.parse(found["cursor"]), event["id"], event["type"], event["subject"])


def listening(briefing: Briefing) -> dict[str, Any]:
    """What the listeners last reported; `open` is 0 before."""
    lines = whole_lines(briefing.heard_by_second)
    return orjson.loads(lines[-1]) if lines else {"open": 0, "wanted": 0, "frames": 0}


async def wait_until_settled(briefing: Briefing, feeds: Feeds, *, database_url: str, within: float) -> None:
    """Wait until the rows, the feeds and the listeners have come to rest, at most so many seconds."""
    deadline = time.monotonic() + within
    seen: tuple[int, int, int] | None = None
    changed_at = time.monotonic()
    while time.monotonic() < deadline:
        rows = await count_events(database_url, list(feeds.items))
        feeds.read_on()
        report = listening(briefing)
        now = time.monotonic()
        if (rows, feeds.count, report["frames"]) != seen:
            seen, changed_at = (rows, feeds.count, report["frames"]), now
        waited = now - changed_at
        # What is not there yet gets three times as long before it counts as lost.
        complete = feeds.count >= rows and report["open"] == report["wanted"]
        if waited >= (QUIET_SECONDS if complete else 3 * QUIET_SECONDS):
            return
        await asyncio.sleep(0.5)


async def gather(
    briefing: Briefing, feeds: Feeds, *, database_url: str
) -> tuple[Evidence, dict[str, int], dict[str, int]]:
    """Put the evidence together; with how the listeners' connections fared, and failed requests by reason."""
    rows, event_rows, notified = await read_rows(database_url, list(feeds.items))
    written = orjson.loads(briefing.written.read_bytes())
    heard = orjson.loads(briefing.heard.read_bytes())
    ids = heard["ids"]
    evidence = Evidence(
        attempted=set(written["attempted"]),
        acknowledged=written["acknowledged"],
        assigned=written["assigned"],
        rows=rows,
        event_rows=event_rows,
        feed=feeds.items,
        heard=[
            Heard(found["workspace"], EventCursor.parse(found["joined"]), [ids[n] for n in found["events"]])
            for found in heard["listeners"]
        ],
        notified=notified,
    )
    connections = {
        "listeners": len(heard["listeners"]),
        "reconnects": sum(found["reconnects"] for found in heard["listeners"]),
        "gaps": sum(found["gaps"] for found in heard["listeners"]),
    }
    return evidence, connections, written["failures"]
