"""Notifications in PostgreSQL. Each read is one round trip and sets its own actor."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from taskbell.api.http import paging
from taskbell.api.http.paging import Place, Slice
from taskbell.kit.ids import bare_uuid
from taskbell.kit.postgres.statements import Statement, load
from taskbell.store.compose import actor_set, compile_statement, parameter
from taskbell.store.models import Notification
from taskbell.store.pool import Connection
from taskbell.store.reads import Reader, Reads

_GET = load(__package__, "get_notification")
_MARK = load(__package__, "mark_notifications")
_TABLE = sa.inspect(Notification).local_table
COUNTED = 1000
"""Unread notifications are counted up to here: a larger number tells a user nothing more, and would cost."""


@cache
def list_statement(*, unread: bool, continued: bool) -> Statement:
    """The statement of a page of the inbox, newest first, with the count of unread ones.

    Its parameters are `actor`, `limit`, `counted` and, when it continues, `after`. The unread ones have an index of
    their own, so they have a statement of their own.
    """
    actor, shown, new = actor_set(), sa.alias(_TABLE, "n"), sa.alias(_TABLE, "m")
    conditions = [shown.c.user_id == actor.c.id]
    if unread:
        conditions.append(shown.c.read_at.is_(None))
    if continued:
        conditions.append(shown.c.id < parameter("after", shown.c.id.type))
    some = (
        sa.select(new.c.id)
        .where(new.c.user_id == actor.c.id, new.c.read_at.is_(None))
        .limit(parameter("counted", sa.Integer()))
        .correlate(actor)
        .subquery("some")
    )
    count = sa.select(sa.func.count().label("counted")).select_from(some).lateral("unread")
    document = sa.cast(sa.func.taskbell.notification_document(shown.table_valued()), sa.Text).label("document")
    page = (
        sa.select(document, shown.c.id)
        .where(*conditions)
        .order_by(shown.c.id.desc())
        .limit(parameter("limit", sa.Integer()))
        .lateral("page")
    )
    joined = actor.join(count, sa.true()).outerjoin(page, sa.true())
    return compile_statement(sa.select(page.c.document, page.c.id, count.c.counted).select_from(joined))


async def page(reads: Reads, *, actor: UUID, unread: bool, after: Place | None, limit: int) -> tuple[Slice[str], int]:
    """Read a page of the actor's inbox as documents, and how many are unread in all, at most `COUNTED` + 1."""
    statement = list_statement(unread=unread, continued=after is not None)
    place: dict[str, Any] = {} if after is None else {"after": after.id}
    rows = await statement.rows(
        reads.of(actor), within=paging.LIST_SECONDS, actor=actor, limit=limit + 1, counted=COUNTED + 1, **place
    )
    found = Slice.of_documents(
        [row for row in rows if row["id"] is not None],  # an empty page is one row with the count alone
        limit=limit,
        place=lambda row: Place(bare_uuid(row["id"])),
    )
    return found, rows[0]["counted"]


async def get(server: Reader, *, actor: UUID, notification_id: UUID) -> str | None:
    """Read one of the actor's notifications."""
    document: str | None = await _GET.value(server, actor=actor, notification_id=notification_id)
    return document


async def mark(
    connection: Connection, *, read: bool, ids: Sequence[UUID] | None, limit: int, traceparent: str | None
) -> Sequence[str]:
    """Mark the listed notifications of the actor, or the oldest unread ones; return what changed, at most `limit`."""
    rows = await _MARK.rows(connection, read=read, notification_ids=ids, limit=limit, traceparent=traceparent)
    return [row["document"] for row in rows]
