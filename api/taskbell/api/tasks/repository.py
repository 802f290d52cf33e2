"""Tasks in PostgreSQL. Each call says what it costs in round trips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from taskbell.api.tasks.errors import CursorInvalid
from taskbell.api.tasks.paging import Order, Place
from taskbell.api.tasks.policy import Change, Neighbour, iso
from taskbell.api.tasks.selection import Selection
from taskbell.kit.ids import bare_uuid
from taskbell.store.pool import Connection, Database
from taskbell.store.queries import load

_CREATE = load(__package__, "create_task")
_GET = load(__package__, "get_task")
_LOCK = load(__package__, "lock_task")
_UPDATE = load(__package__, "update_task")
_DELETE = load(__package__, "delete_task")
_LOCK_ORDER = load(__package__, "lock_order")
_NEIGHBOURS = load(__package__, "select_neighbours")
_BELOW = load(__package__, "select_below")
_ABOVE = load(__package__, "select_above")
_MOVE = load(__package__, "move_tasks")
_ROLE = load(__package__, "select_role")
_SORT_KEYS = load(__package__, "select_sort_keys")


class RowRefused(Exception):
    """Row-level security or a foreign key did not admit the row."""


@dataclass(frozen=True, slots=True)
class Document:
    """A task as the wire has it.

    Attributes:
        text: JSON, passed through untouched.
        version: Its version, for the ETag.
    """

    text: str
    version: int


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list: the documents, and the place of the last one when more follow."""

    documents: Sequence[str]
    last: Place | None


async def create(
    database: Database,
    *,
    actor: UUID,
    fields: Mapping[str, Any],
    leads: Sequence[timedelta],
    traceparent: str | None,
) -> str:
    """Insert a task with its events, notifications and reminders; returns the document. One round trip.

    Raises:
        RowRefused: The actor may not create tasks there, or an assignee is no member.
    """
    try:
        document: str | None = await database.value(
            _CREATE,
            str(actor),
            fields["workspace_id"],
            fields["title"],
            fields["description"],
            fields["status"],
            fields["priority"],
            fields["start_at"],
            fields["due_at"],
            fields["assignee_ids"],
            traceparent,
            leads,
        )
    except (asyncpg.InsufficientPrivilegeError, asyncpg.ForeignKeyViolationError) as refused:
        raise RowRefused from refused
    if document is None:
        raise RowRefused
    return document


async def get(database: Database, *, actor: UUID, task_id: UUID) -> Document | None:
    """Read a task the actor may see. One round trip."""
    row = await database.row(_GET, str(actor), task_id)
    return None if row is None else Document(text=row[0], version=row[1])


def list_statement(selection: Selection, order: Order, *, after: bool) -> str:
    """The statement of a list: one index range per partition, merged, up to the limit.

    $1 actor, $2 limit, then the selection's arguments, then the key and id to go on after.
    """
    conditions = ["actor.id IS NOT NULL"]
    number = 3
    for condition in selection.conditions:
        conditions.append(condition.format(f"${number}"))
        number += 1
    direction, comparison = ("DESC", "<") if order.descending else ("ASC", ">")
    if after:
        conditions.append(f"({order.key}, t.id) {comparison} (${number}::text::{order.type}, ${number + 1})")
    where = " AND ".join(conditions)
    # Only fragments written in this package are composed; what clients send travels as arguments.
    return f"""
WITH actor AS MATERIALIZED (
  SELECT set_config('taskbell.actor', $1, true) AS id
)
SELECT page.document, page.key, page.id
FROM actor CROSS JOIN LATERAL (
  SELECT taskbell.task_document(t)::text AS document, ({order.key})::text AS key, t.id
  FROM tasks t
  WHERE {where}
  ORDER BY {order.key} {direction}, t.id {direction}
  LIMIT $2
) page
"""  # noqa: S608 -- see above


async def page(
    database: Database, *, actor: UUID, selection: Selection, order: Order, after: Place | None, limit: int
) -> Page:
    """Read a page of tasks. One round trip.

    Raises:
        CursorInvalid: The place to go on after has a key that is none.
    """
    statement = list_statement(selection, order, after=after is not None)
    place = () if after is None else (after.key, after.id)
    try:
        rows = await database.rows(statement, str(actor), limit + 1, *selection.arguments, *place)
    except asyncpg.DataError as malformed:
        raise CursorInvalid from malformed
    if len(rows) <= limit:
        return Page(documents=[row[0] for row in rows], last=None)
    del rows[limit:]
    return Page(documents=[row[0] for row in rows], last=Place(key=rows[-1][1], id=rows[-1][2]))


async def place_of(database: Database, *, actor: UUID, task_id: UUID, field: str) -> Place | None:
    """Where a task stands, or stood when it was deleted, in an order by `field`. One round trip."""
    row = await database.row(_SORT_KEYS, str(actor), task_id)
    return None if row is None else Place(key=row[field], id=task_id)


async def role(database: Database, *, actor: UUID, workspace_id: UUID) -> str | None:
    """The actor's role in a workspace. One round trip."""
    found: str | None = await database.value(_ROLE, str(actor), workspace_id)
    return found


async def members_among(connection: Connection, *, workspace_id: UUID, users: Sequence[UUID]) -> set[UUID]:
    """Of some users, the members of a workspace. One round trip."""
    return set(await connection.fetchval("SELECT taskbell.audience($1, $2)", workspace_id, users))


async def lock(connection: Connection, *, task_id: UUID) -> dict[str, Any] | None:
    """Lock a task the actor may change and read it. One round trip in a transaction."""
    row = await connection.fetchrow(_LOCK, task_id)
    return None if row is None else dict(row.items())


async def is_seen(connection: Connection, *, task_id: UUID) -> bool:
    """Whether the actor may at least see a task. One round trip in a transaction."""
    return await connection.fetchval("SELECT 1 FROM tasks WHERE id = $1", task_id) is not None


async def update(
    connection: Connection,
    *,
    task: Mapping[str, Any],
    change: Change,
    actor: UUID,
    leads: Sequence[timedelta],
    traceparent: str | None,
) -> Document:
    """Write a change with its events, notifications and reminders.

    One round trip in a transaction that holds the task's lock.
    """
    row = await connection.fetchrow(
        _UPDATE,
        task["id"],
        task["workspace_id"],
        *change.values.values(),
        change.changes_status,
        actor,
        traceparent,
        [kind.value for kind, _ in change.facts],
        [orjson.dumps({name: iso(old) for name, old in facts.items()}).decode() for _, facts in change.facts],
        task["assignee_ids"],
        change.assigned,
        task["status"],
        leads if change.moves_reminders else None,
    )
    assert row is not None  # noqa: S101 -- the row is locked by this transaction
    return Document(text=row[0], version=row[1])


async def delete(
    connection: Connection, *, task_id: UUID, version: int | None, actor: UUID, traceparent: str | None
) -> bool:
    """Delete a task, if it still has `version` where one is given. One round trip in a transaction."""
    return await connection.fetchval(_DELETE, task_id, version, actor, traceparent) is not None


async def lock_order(connection: Connection, *, task_id: UUID) -> UUID | None:
    """Keep other moves out of the task's workspace until commit; returns the workspace. One round trip."""
    found = await connection.fetchval(_LOCK_ORDER, task_id)
    return None if found is None else bare_uuid(found)


@dataclass(frozen=True, slots=True)
class Gap:
    """Positions around the place a task shall go to; None where the list ends."""

    moved: int
    anchor: int
    before_anchor: int | None
    after_anchor: int | None

    def bounds(self, *, before: bool) -> tuple[int | None, int | None]:
        """Between which positions a task lies that goes right before, or right after, the anchor."""
        return (self.before_anchor, self.anchor) if before else (self.anchor, self.after_anchor)


async def gap(connection: Connection, *, workspace_id: UUID, task_id: UUID, anchor_id: UUID) -> Gap | None:
    """Read the positions beside the anchor; None when one of the two is not in the workspace. One round trip."""
    row = await connection.fetchrow(_NEIGHBOURS, workspace_id, task_id, anchor_id)
    return None if row is None else Gap(*row)


async def neighbours(
    connection: Connection, *, workspace_id: UUID, task_id: UUID, lower: int | None, upper: int, count: int
) -> tuple[list[Neighbour], list[Neighbour]]:
    """Tasks up to `lower` and from `upper` on, nearest first, `count` of each. Two round trips."""
    below = [] if lower is None else await connection.fetch(_BELOW, workspace_id, task_id, lower, count)
    above = await connection.fetch(_ABOVE, workspace_id, task_id, upper, count)
    return [Neighbour(*row) for row in below], [Neighbour(*row) for row in above]


async def next_position(connection: Connection) -> int:
    """A position past every other. One round trip."""
    position: int = await connection.fetchval("SELECT nextval('task_position')")
    return position


async def move(
    connection: Connection,
    *,
    workspace_id: UUID,
    positions: Sequence[Neighbour],
    actor: UUID,
    traceparent: str | None,
) -> Mapping[UUID, Document]:
    """Give tasks new positions, with an event each. One round trip in a transaction that holds the order's lock."""
    rows = await connection.fetch(
        _MOVE,
        workspace_id,
        [task.id for task in positions],
        [task.position for task in positions],
        actor,
        traceparent,
    )
    return {bare_uuid(row["id"]): Document(text=row["document"], version=row["version"]) for row in rows}
