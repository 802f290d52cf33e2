"""Notifications in PostgreSQL. Each read is one round trip and sets its own actor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from taskbell.kit.ids import bare_uuid
from taskbell.store.pool import Connection, Database
from taskbell.store.queries import load

_LIST = load(__package__, "list_notifications")
_LIST_UNREAD = load(__package__, "list_unread")
_GET = load(__package__, "get_notification")
_MARK = load(__package__, "mark_notifications")
COUNTED = 1000
"""Unread notifications are counted up to this number: a higher one costs more and is of no use to a user."""


@dataclass(frozen=True, slots=True)
class Inbox:
    """A page of the inbox.

    Attributes:
        documents: Notifications as JSON, newest first.
        last: The id of the last one when more follow.
        unread: Unread ones in the whole inbox, at most `COUNTED` + 1.
    """

    documents: Sequence[str]
    last: UUID | None
    unread: int


async def page(database: Database, *, actor: UUID, unread: bool, after: UUID | None, limit: int) -> Inbox:
    """Read a page of the actor's inbox."""
    rows = await database.rows(_LIST_UNREAD if unread else _LIST, str(actor), limit + 1, after, COUNTED + 1)
    counted: int = rows[0]["counted"]
    found = [row for row in rows if row["id"] is not None]
    last = bare_uuid(found[limit - 1]["id"]) if len(found) > limit else None
    return Inbox(documents=[row["document"] for row in found[:limit]], last=last, unread=counted)


async def get(database: Database, *, actor: UUID, notification_id: UUID) -> str | None:
    """Read one of the actor's notifications."""
    document: str | None = await database.value(_GET, str(actor), notification_id)
    return document


async def mark(
    connection: Connection,
    *,
    read: bool,
    ids: Sequence[UUID] | None,
    limit: int,
    traceparent: str | None,
) -> Sequence[str]:
    """Mark the listed notifications of the actor, or the oldest unread ones; return what changed, at most `limit`."""
    rows = await connection.fetch(_MARK, read, ids, limit, traceparent)
    return [row["document"] for row in rows]
