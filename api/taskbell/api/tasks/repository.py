"""Tasks in PostgreSQL. Each call says what it costs in round trips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import asyncpg
import sqlalchemy as sa

from taskbell.api.http import paging
from taskbell.api.http.paging import CursorInvalid, Place, Slice
from taskbell.api.tasks.errors import ChangeTooLarge
from taskbell.api.tasks.lists import Listing
from taskbell.api.tasks.policy import Change, Neighbour, former_values
from taskbell.api.tasks.schemas import Sort
from taskbell.kit.ids import bare_uuid
from taskbell.kit.postgres.errors import RowRefused
from taskbell.kit.postgres.statements import Statement, load
from taskbell.store import task_lists
from taskbell.store.compose import compile_statement, parameter
from taskbell.store.models import Task
from taskbell.store.pool import Connection, Database

_CREATE = load(__package__, "create_task")
_GET = load(__package__, "get_task")
_UPDATE = load(__package__, "update_task")
_DELETE = load(__package__, "delete_task")
_LOCK_ORDER = load(__package__, "lock_order")
_NEIGHBOURS = load(__package__, "select_neighbours")
_BELOW = load(__package__, "select_below")
_ABOVE = load(__package__, "select_above")
_NEXT_POSITION = load(__package__, "next_position")
_MOVE = load(__package__, "move_tasks")
_SEEN = load(__package__, "select_seen")
_MEMBERS = load(__package__, "select_members")
_SORT_KEYS = load(__package__, "select_sort_keys")

_EVENT_SIZE = "events_data_size"
"""The constraint of the table `events` that bounds the size of an event."""
_TASK = sa.alias(sa.inspect(Task).local_table, "t")
_COLUMN = _TASK.c
_DOCUMENT = sa.cast(sa.func.taskbell.task_document(_TASK.table_valued()), sa.Text).label("document")
_LOCK = compile_statement(
    sa.select(*_COLUMN, _DOCUMENT)
    .where(_COLUMN.id == parameter("task_id", _COLUMN.id.type))
    .with_for_update(key_share=True)
)
"""Reads every column that the model has, and locks the row (FOR NO KEY UPDATE)."""


@dataclass(frozen=True, slots=True)
class Document:
    """A task in its wire form.

    Attributes:
        id: Its id.
        text: JSON, passed through untouched.
        version: Its version, for the ETag.
    """

    id: UUID
    text: str
    version: int = 1


async def create(database: Database, *, actor: UUID, traceparent: str | None, **values: Any) -> Document:
    """Insert a task with its events, notifications and reminders. One round trip.

    Args:
        database: The primary.
        actor: Who creates it.
        traceparent: The trace that its events carry.
        values: The other arguments of `create_task.sql`: the task's fields, and `leads` for its reminders.

    Raises:
        RowRefused: The actor may not create tasks there, or an assignee is not a member.
        ChangeTooLarge: An event would be larger than events may be.
    """
    try:
        row = await _CREATE.row(database, actor=actor, traceparent=traceparent, **values)
    except (asyncpg.InsufficientPrivilegeError, asyncpg.ForeignKeyViolationError) as refused:
        raise RowRefused from refused
    except asyncpg.CheckViolationError as refused:
        raise _too_large(refused) from refused
    if row is None:
        raise RowRefused
    return Document(id=row[1], text=row[0])


def _too_large(refused: asyncpg.CheckViolationError) -> Exception:
    """What it means that a row breaks a rule of its table: only the size of an event is a client's doing."""
    return ChangeTooLarge() if refused.constraint_name == _EVENT_SIZE else refused


async def get(database: Database, *, actor: UUID, task_id: UUID) -> Document | None:
    """Read a task the actor may see. One round trip."""
    row = await _GET.row(database, actor=actor, task_id=task_id)
    return None if row is None else Document(id=task_id, text=row[0], version=row[1])


READ_PER_ITEM = 25
"""How many rows one statement may read for one item of a page; a page may take two statements."""
_SMALLEST = 20
"""A smaller page may read as many rows as a page of this size."""


@lru_cache(maxsize=1024)
def list_statement(names: tuple[str, ...], sort: Sort, *, continued: bool) -> Statement:
    """The statement that goes along the order of a list, see `taskbell.store.task_lists`."""
    return task_lists.list_statement(names, field=sort.field, descending=sort.descending, continued=continued)


@lru_cache(maxsize=1024)
def few_statement(names: tuple[str, ...], sort: Sort, *, continued: bool) -> Statement | None:
    """The statement that reads a list by the index of one of its filters; None when no index serves one."""
    by = task_lists.finds_few(names, field=sort.field)
    if by is None:
        return None
    return task_lists.few_statement(names, by=by, field=sort.field, descending=sort.descending, continued=continued)


async def page(database: Database, *, actor: UUID, listing: Listing, after: Place | None, limit: int) -> Slice[str]:
    """Read a page of tasks as documents. One round trip; two when hardly any task on the way matches the filters.

    The page may end early, with the place to continue: when it has grown to `PAGE_BYTES`, or when it has read
    `READ_PER_ITEM` rows for each item that it could hold.

    Raises:
        CursorInvalid: PostgreSQL cannot hold the key of the place to continue after.
    """
    names, continued = tuple(listing.arguments), after is not None
    place: dict[str, Any] = {} if after is None else {"after_key": after.key, "after_id": after.id}
    statement = list_statement(names, listing.sort, continued=continued)
    given = {"actor": actor, "limit": limit + 1, **listing.arguments, **place}
    if "most" not in statement.parameters:
        rows = await _rows(database, statement, given)
        return Slice.of_documents(rows, limit=limit, place=_place)
    most = READ_PER_ITEM * max(limit, _SMALLEST)
    rows = await _rows(database, statement, given | {"most": most})
    found = Slice.of_documents([row for row in rows if row["matches"]], limit=limit, place=_place)
    if found.last is not None or not rows or not rows[-1]["stopped"]:
        return found
    few = few_statement(names, listing.sort, continued=continued)
    if few is not None:
        fewer = await _rows(database, few, given | {"most": most})
        if fewer[0]["found"] <= most:
            return Slice.of_documents([row for row in fewer if row["id"] is not None], limit=limit, place=_place)
    return Slice(found.items, _place(rows[-1]))


async def _rows(database: Database, statement: Statement, given: dict[str, Any]) -> list[asyncpg.Record]:
    try:
        return await statement.rows(database, within=paging.LIST_SECONDS, **given)
    except asyncpg.DataError as malformed:
        raise CursorInvalid from malformed


def _place(row: asyncpg.Record) -> Place:
    return Place(key=row["key"], id=row["id"])


async def place_of(database: Database, *, actor: UUID, task_id: UUID, sort: Sort) -> Place | None:
    """Where a task stands, or stood when it was deleted, in an order. One round trip."""
    row = await _SORT_KEYS.row(database, actor=actor, task_id=task_id)
    return None if row is None else Place(key=row[sort.field], id=task_id)


async def members_among(connection: Connection, *, workspace_id: UUID, users: Sequence[UUID]) -> set[UUID]:
    """Of some users, the members of a workspace. One round trip."""
    return set(await _MEMBERS.value(connection, workspace_id=workspace_id, user_ids=users))


async def lock(connection: Connection, *, task_id: UUID) -> dict[str, Any] | None:
    """Lock a task the actor may change and read it, with its `document`. One round trip in a transaction."""
    row = await _LOCK.row(connection, task_id=task_id)
    return None if row is None else dict(row.items())


async def is_seen(connection: Connection, *, task_id: UUID) -> bool:
    """Whether the actor may at least see a task. One round trip in a transaction."""
    return await _SEEN.value(connection, task_id=task_id) is not None


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

    Raises:
        RowRefused: The actor may no longer change the task; the transaction is void.
        ChangeTooLarge: An event would be larger than events may be.
    """
    former = [former_values(facts) for _, facts in change.facts]
    try:
        row = await _UPDATE.row(
            connection,
            task_id=task["id"],
            workspace_id=task["workspace_id"],
            **change.values,
            changes_status=change.changes_status,
            actor=actor,
            traceparent=traceparent,
            event_types=[kind.value for kind, _ in change.facts],
            former_values=[told.text for told in former],
            omitted=[pointer for told in former for pointer in told.omitted],
            changes_description=change.values["description"] != task["description"],
            former_assignee_ids=task["assignee_ids"],
            newly_assigned=change.assigned,
            former_status=task["status"],
            leads=leads if change.moves_reminders else None,
        )
    except asyncpg.InsufficientPrivilegeError as refused:
        raise RowRefused from refused
    except asyncpg.CheckViolationError as refused:
        raise _too_large(refused) from refused
    if row is None:
        raise RowRefused
    return Document(id=task["id"], text=row[0], version=row[1])


async def delete(
    connection: Connection, *, task_id: UUID, version: int | None, actor: UUID, traceparent: str | None
) -> bool:
    """Delete a task, if it still has `version` where one is given. One round trip in a transaction."""
    deleted = await _DELETE.value(connection, task_id=task_id, version=version, actor=actor, traceparent=traceparent)
    return deleted is not None


async def lock_order(connection: Connection, *, task_id: UUID) -> UUID | None:
    """Keep other moves out of the task's workspace until commit; returns the workspace. One round trip."""
    found = await _LOCK_ORDER.value(connection, task_id=task_id)
    return None if found is None else bare_uuid(found)


@dataclass(frozen=True, slots=True)
class Gap:
    """Positions around the place a task goes to; None where the list ends."""

    moved: int
    anchor: int
    before_anchor: int | None
    after_anchor: int | None

    def bounds(self, *, before: bool) -> tuple[int | None, int | None]:
        """Between which positions a task lies that goes right before, or right after, the anchor."""
        return (self.before_anchor, self.anchor) if before else (self.anchor, self.after_anchor)


async def gap(connection: Connection, *, workspace_id: UUID, task_id: UUID, anchor_id: UUID) -> Gap | None:
    """Read the positions next to the anchor; None when one of the two is not in the workspace. One round trip."""
    row = await _NEIGHBOURS.row(connection, workspace_id=workspace_id, task_id=task_id, anchor_id=anchor_id)
    return None if row is None else Gap(*row)


async def neighbours(
    connection: Connection, *, workspace_id: UUID, task_id: UUID, lower: int | None, upper: int, count: int
) -> tuple[list[Neighbour], list[Neighbour]]:
    """Tasks up to `lower` and from `upper` on, nearest first, `count` of each. Two round trips."""

    async def read(statement: Statement, position: int) -> list[Neighbour]:
        rows = await statement.rows(
            connection, workspace_id=workspace_id, task_id=task_id, position=position, limit=count
        )
        return [Neighbour(*row) for row in rows]

    return [] if lower is None else await read(_BELOW, lower), await read(_ABOVE, upper)


async def next_position(connection: Connection) -> int:
    """A position past every other. One round trip."""
    position: int = await _NEXT_POSITION.value(connection)
    return position


async def move(
    connection: Connection,
    *,
    workspace_id: UUID,
    moved_id: UUID,
    positions: Sequence[Neighbour],
    actor: UUID,
    traceparent: str | None,
) -> tuple[Document | None, int]:
    """Give tasks new positions, with an event each. One round trip in a transaction that holds the order's lock.

    Returns `moved_id`'s document, or None when that task is gone, and how many tasks have moved.
    """
    rows = await _MOVE.rows(
        connection,
        workspace_id=workspace_id,
        task_ids=[task.id for task in positions],
        positions=[task.position for task in positions],
        moved_id=moved_id,
        actor=actor,
        traceparent=traceparent,
    )
    moved = next((row for row in rows if row["id"] == moved_id), None)
    document = None if moved is None else Document(id=moved_id, text=moved["document"], version=moved["version"])
    return document, len(rows)
