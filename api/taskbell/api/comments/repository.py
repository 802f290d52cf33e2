"""Comments in PostgreSQL. Each call says what it costs in round trips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from taskbell.api.http import paging
from taskbell.api.http.paging import Place, Slice
from taskbell.kit.ids import bare_uuid
from taskbell.kit.postgres.errors import RowRefused
from taskbell.kit.postgres.statements import load
from taskbell.store.pool import Connection
from taskbell.store.reads import Reads
from taskbell.store.task_lists import TEXT_BYTES

_CREATE = load(__package__, "create_comment")
_DELETE = load(__package__, "delete_comment")
_HAS = load(__package__, "has_comment")
_LIST = load(__package__, "list_comments")


@dataclass(frozen=True, slots=True)
class Written:
    """A new comment as JSON, and how many users were notified of it."""

    document: str
    notified: int


async def create(
    connection: Connection,
    *,
    task: Mapping[str, Any],
    actor: UUID,
    body: str,
    mention_ids: Sequence[UUID],
    traceparent: str | None,
) -> Written:
    """Write a comment with its event and notifications. One round trip in a transaction that holds the task's lock.

    Raises:
        RowRefused: The actor may no longer change the task; the transaction is void.
    """
    try:
        row = await _CREATE.row(
            connection,
            task_id=task["id"],
            workspace_id=task["workspace_id"],
            created_by=task["created_by"],
            assignee_ids=task["assignee_ids"],
            title=task["title"],
            actor=actor,
            body=body,
            mention_ids=mention_ids,
            traceparent=traceparent,
        )
    except asyncpg.InsufficientPrivilegeError as refused:
        raise RowRefused from refused
    if row is None:
        raise RowRefused
    return Written(document=row["document"], notified=row["told"])


async def page(reads: Reads, *, actor: UUID, task_id: UUID, after: Place | None, limit: int) -> Slice[str] | None:
    """Read a page of comments as documents, oldest first; None when the actor sees no such task. One round trip."""
    rows = await _LIST.rows(
        reads.of(actor),
        within=paging.LIST_SECONDS,
        actor=actor,
        task_id=task_id,
        past=None if after is None else after.id,
        most_bytes=TEXT_BYTES,
        at_most=limit + 1,
    )
    if not rows:
        return None
    found = [row for row in rows if row["id"] is not None]
    return Slice.of_documents(found, limit=limit, place=lambda row: Place(bare_uuid(row["id"])))


async def delete(
    connection: Connection, *, task_id: UUID, comment_id: UUID, actor: UUID, traceparent: str | None
) -> bool:
    """Delete a comment, with its event; False when the actor may not, or there is none. One round trip."""
    return bool(
        await _DELETE.count(connection, task_id=task_id, comment_id=comment_id, actor=actor, traceparent=traceparent)
    )


async def exists(connection: Connection, *, task_id: UUID, comment_id: UUID) -> bool:
    """Whether the actor sees a comment on a task. One round trip."""
    return await _HAS.value(connection, task_id=task_id, comment_id=comment_id) is not None
