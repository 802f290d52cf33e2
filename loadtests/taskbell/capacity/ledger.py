"""Gathers the evidence of a run: database rows, change feeds, the journal, what listeners received."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from taskbell.capacity import journal
from taskbell.capacity.briefing import Account, Briefing, whole_lines
from taskbell.capacity.evidence import Evidence, FeedItem, Heard, is_followed
from taskbell.capacity.repository import NotCounted, count_events, read_database
from taskbell.contract.cursors import EventCursor


class Feeds:
    """The change feeds of all accounts, read incrementally."""

    def __init__(self, client: httpx.Client, accounts: Iterable[Account], *, page: int = 1000) -> None:
        """Begin at the present end of each feed; read up to `page` events at a time."""
        self._client = client
        self._limit = page
        self._readers = {account.user_id: account for account in accounts}
        self._cursors = {user: self._page(user, "latest")["meta"]["next_cursor"] for user in self._readers}
        self.items: dict[str, list[FeedItem]] = {user: [] for user in self._readers}
        self.members = {user: account.workspace_id for user, account in self._readers.items()}

    @property
    def workspaces(self) -> list[str]:
        """Each workspace once."""
        return [*dict.fromkeys(self.members.values())]

    @property
    def events(self) -> int:
        """Different events read so far."""
        return len({item.event for items in self.items.values() for item in items})

    @property
    def length(self) -> int:
        """Items of all feeds read so far."""
        return sum(map(len, self.items.values()))

    def read_on(self) -> None:
        """Read to the end of each feed.

        Raises:
            NotCounted: The event stream was rebuilt during the run, so that the cursors have expired.
            httpx.HTTPError: The API refused, or is away.
        """
        for user, items in self.items.items():
            has_more = True
            while has_more:
                page = self._page(user, self._cursors[user])
                items += [
                    FeedItem(EventCursor.parse(found["cursor"]), found["event"]["id"])
                    for found in page["items"]
                    if is_followed(found["event"]["type"])
                ]
                self._cursors[user] = page["meta"]["next_cursor"]
                has_more = page["meta"]["has_more"]

    def _page(self, user: str, after: str) -> dict[str, Any]:
        reader = self._readers[user]
        asked = {"workspace_id": reader.workspace_id, "after": after, "limit": str(self._limit)}
        headers = {"Authorization": f"Bearer {reader.token}"}
        while True:
            answer = self._client.get("/v1/events", params=asked, headers=headers)
            if answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
                break
            time.sleep(float(answer.headers["Retry-After"]))
        if answer.status_code == httpx.codes.GONE:
            raise NotCounted("the event stream was rebuilt during the run: its cursors have expired")
        page: dict[str, Any] = orjson.loads(answer.raise_for_status().content)
        return page


def listening(briefing: Briefing) -> dict[str, Any]:
    """Return the listeners' last report."""
    lines = whole_lines(briefing.heard_by_second)
    report: dict[str, Any] = orjson.loads(lines[-1]) if lines else {"open": 0, "wanted": 0, "frames": 0}
    return report


async def wait_until_settled(
    briefing: Briefing, feeds: Feeds, *, database_url: str, within: float, every: float = 0.5
) -> None:
    """Wait until rows, feeds and listeners change no more, at most `within` seconds; look every `every` seconds.

    Raises:
        NotCounted: The database or the API does not answer.
    """
    deadline, quiet = time.monotonic() + within, briefing.plan.quiet_seconds
    seen: tuple[int, int, int] | None = None
    changed_at = time.monotonic()
    away: Exception | None = None
    while time.monotonic() < deadline:
        try:
            rows = await count_events(database_url, feeds.workspaces)
            feeds.read_on()
            away = None
        except (NotCounted, httpx.HTTPError) as failed:
            away = failed  # a part may be restarting
            await asyncio.sleep(every)
            continue
        report = listening(briefing)
        now = time.monotonic()
        if (rows, feeds.length, report["frames"]) != seen:
            seen, changed_at = (rows, feeds.length, report["frames"]), now
        waited = now - changed_at
        # Missing events get three times as long before they count as lost.
        complete = feeds.events >= rows and report["open"] == report["wanted"]
        if waited >= (quiet if complete else 3 * quiet):
            return
        await asyncio.sleep(every)
    if away is not None:
        raise NotCounted(f"the platform does not answer: {type(away).__name__} {away}")


@dataclass(frozen=True, slots=True)
class Gathered:
    """The evidence, the counts of the listeners' connections, and failed requests by reason."""

    evidence: Evidence
    connections: dict[str, int]
    failures: dict[str, int]


async def gather(briefing: Briefing, feeds: Feeds, *, database_url: str) -> Gathered:
    """Read and combine the evidence.

    Raises:
        NotCounted: The database is away.
    """
    found = await read_database(database_url, feeds.workspaces)
    told = journal.read(briefing.journal, run=briefing.run, titles=found.titles)
    is_known = briefing.heard.exists()
    heard = orjson.loads(briefing.heard.read_bytes()) if is_known else {"ids": [], "listeners": []}
    ids, listeners = heard["ids"], heard["listeners"]
    evidence = Evidence(
        promised=told.promised,
        members=feeds.members,
        rows=found.rows,
        notices=found.notices,
        event_rows=found.event_rows,
        feeds=feeds.items,
        heard=[
            Heard(one["user"], EventCursor.parse(one["joined"]), [ids[n] for n in one["events"]]) for one in listeners
        ]
        if is_known
        else None,
    )
    connections = {
        "listeners": len(listeners),
        "reconnects": sum(one["reconnects"] for one in listeners),
        "gaps": sum(one["gaps"] for one in listeners),
    }
    return Gathered(evidence, connections, dict(told.failures))
