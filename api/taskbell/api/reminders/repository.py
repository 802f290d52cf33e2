"""SQL about reminders by call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from taskbell.kit.postgres.errors import RowRefused
from taskbell.kit.postgres.statements import load
from taskbell.store.pool import Connection

_SEND = load(__package__, "send_reminder")


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a reminder: how many seconds to wait before another try (0: it was sent), and who was notified."""

    wait: float
    notified: int


async def send(
    connection: Connection,
    *,
    task: Mapping[str, Any],
    actor: UUID,
    note: str | None,
    urgent: bool,
    most: int,
    traceparent: str | None,
) -> Sent:
    """Notify those responsible for a task, at most `most` times within an hour. One round trip in a transaction.

    Raises:
        RowRefused: The actor may no longer change the task; the transaction is void.
    """
    try:
        row = await _SEND.row(
            connection,
            task_id=task["id"],
            workspace_id=task["workspace_id"],
            created_by=task["created_by"],
            assignee_ids=task["assignee_ids"],
            title=task["title"],
            due_at=task["due_at"],
            actor=actor,
            note=note,
            urgent=urgent,
            most=most,
            traceparent=traceparent,
        )
    except asyncpg.InsufficientPrivilegeError as refused:
        raise RowRefused from refused
    if row is None or row["wait"] is None:
        raise RowRefused
    return Sent(wait=row["wait"], notified=row["told"])
