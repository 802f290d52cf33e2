"""What the database holds of a run: only on the platform that the check started itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import asyncpg
import orjson

from taskbell.capacity.evidence import Database, EventRow, NotCounted, Notice, TaskRow, owed

_QUERIES: Final = Path(__file__).with_name("queries")


def query(name: str) -> str:
    """Return the statement in `queries/<name>.sql`, with numbered parameters."""
    return (_QUERIES / f"{name}.sql").read_text()


@asynccontextmanager
async def _connected(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    try:
        connection = await asyncpg.connect(database_url, timeout=10)
        try:
            yield connection
        finally:
            await connection.close()
    except (OSError, asyncpg.PostgresError) as away:
        raise NotCounted(f"the database could not be read: {type(away).__name__} {away}") from away


async def count_events(database_url: str, workspaces: list[str]) -> int:
    """Count the rows of events.

    Raises:
        NotCounted: The database is away.
    """
    async with _connected(database_url) as connection:
        return int(await connection.fetchval(query("count_events"), workspaces))


async def read_database(database_url: str, workspaces: list[str]) -> Database:
    """Read tasks, notifications and events as they were at one instant.

    Raises:
        NotCounted: The database is away.
    """
    async with (
        _connected(database_url) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        tasks = await connection.fetch(query("read_tasks"), workspaces)
        notices = await connection.fetch(query("read_notifications"), workspaces)
        events = await connection.fetch(query("read_events"), workspaces)
    return Database(
        rows=[TaskRow(str(row["id"]), row["title"], row["version"]) for row in tasks],
        notices=[
            Notice(str(row["id"]), str(row["user_id"]), str(row["task_id"]), row["kind"], row["read_at"] is not None)
            for row in notices
        ],
        event_rows=[_event_row(row) for row in events],
    )


def _event_row(row: asyncpg.Record) -> EventRow:
    data, kind, personal = orjson.loads(row["data"]), row["type"], row["type"].startswith("notification.")
    return EventRow(
        id=str(row["id"]),
        type=kind,
        subject=str(row["subject_id"]),
        workspace=str(row["workspace_id"]),
        personal_to=str(row["audience"][0]) if personal else None,
        title="" if personal else data["title"],
        version=0 if personal else data["version"],
        owes=owed(kind, data, None if row["actor_id"] is None else str(row["actor_id"])),
    )
