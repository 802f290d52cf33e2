"""Gathers the evidence of a run: database rows, change feeds, the journal, what listeners received."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from taskbell.capacity import journal, titles
from taskbell.capacity.briefing import Account, Briefing, whole_lines
from taskbell.capacity.evidence import Database, EventRow, Evidence, FeedItem, Heard, NotCounted, is_followed
from taskbell.capacity.outside import event_row, patiently, read_notices, read_tasks
from taskbell.contract.cursors import EventCursor


class Feeds:
    """The change feeds of all accounts, read incrementally."""

    def __init__(
        self, client: httpx.Client, accounts: Iterable[Account], *, page: int = 1000, run: str | None = None
    ) -> None:
        """Begin at the present end of each feed; read up to `page` events at a time.

        With `run`, only the events of tasks of this run count, and what they say is kept.
        """
        self._client = client
        self._run = run
        self.rows: dict[str, EventRow] = {}
        """What the events of a run say, by id; the first reader of a personal one owns it."""
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
                    if self._counts(found["event"], user)
                ]
                self._cursors[user] = page["meta"]["next_cursor"]
                has_more = page["meta"]["has_more"]

    def _counts(self, event: dict[str, Any], user: str) -> bool:
        if not is_followed(event["type"]):
            return False
        if self._run is None:
            return True
        if titles.read(self._run, str(event["data"].get("title", ""))) is None:
            return False  # others work there, too
        self.rows.setdefault(event["id"], event_row(event, reader=user))
        return True

    def _page(self, user: str, after: str) -> dict[str, Any]:
        reader = self._readers[user]
        asked = {"workspace_id": reader.workspace_id, "after": after, "limit": str(self._limit)}
        answer = patiently(self._client, "/v1/events", token=reader.token, params=asked)
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
    briefing: Briefing, feeds: Feeds, *, database_url: str | None, within: float, every: float = 0.5
) -> None:
    """Wait until rows, feeds and listeners change no more, at most `within` seconds; look every `every` seconds.

    Without a database, what the feeds hold counts as rows.

    Raises:
        NotCounted: The database or the API does not answer.
    """
    deadline, quiet = time.monotonic() + within, briefing.plan.quiet_seconds
    seen: tuple[int, int, int] | None = None
    changed_at = time.monotonic()
    away: Exception | None = None
    while time.monotonic() < deadline:
        try:
            feeds.read_on()
            rows = feeds.events if database_url is None else await _rows(database_url, feeds.workspaces)
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
    """The evidence, the counts of the listeners' connections, and failed requests by kind and status, most first."""

    evidence: Evidence
    connections: dict[str, int]
    failures: list[dict[str, Any]]


async def _rows(database_url: str, workspaces: list[str]) -> int:
    # asyncpg comes with the platform, not with the check of an installation elsewhere.
    from taskbell.capacity.repository import count_events  # noqa: PLC0415 -- the reason above

    return await count_events(database_url, workspaces)


async def _read(briefing: Briefing, feeds: Feeds, database_url: str | None, client: httpx.Client | None) -> Database:
    if database_url is not None:
        from taskbell.capacity.repository import read_database  # noqa: PLC0415 -- the same

        return await read_database(database_url, feeds.workspaces)
    if client is None:
        raise NotCounted("there is neither a database nor an API to read")
    try:
        tasks = read_tasks(client, briefing.accounts, run=briefing.run, since=briefing.began)
        notices = read_notices(client, briefing.accounts, run=briefing.run, since=briefing.began)
    except httpx.HTTPError as away:
        raise NotCounted(f"the API could not be read: {type(away).__name__}") from away
    return Database(rows=tasks, notices=notices, event_rows=[*feeds.rows.values()])


async def gather(
    briefing: Briefing, feeds: Feeds, *, database_url: str | None, client: httpx.Client | None = None
) -> Gathered:
    """Read and combine the evidence: of the database, or without one through a client of the API.

    Raises:
        NotCounted: The database or the API is away.
    """
    found = await _read(briefing, feeds, database_url, client)
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
        has_mates=any(account.teammate_id != account.user_id for account in briefing.accounts),
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
    return Gathered(evidence, connections, journal.summed(told.failures))
