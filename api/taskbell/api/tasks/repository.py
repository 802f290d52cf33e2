"""Tasks in PostgreSQL. Each call says what it costs in round trips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from uuid import UUID

import asyncpg
import sqlalchemy as sa

from taskbell.api.http import paging
from taskbell.api.http.paging import CursorInvalid, Place, Slice
from taskbell.api.tasks.errors import ChangeTooLarge
from taskbell.api.tasks.lists import Listing
from taskbell.api.tasks.policy import Neighbour, Outcome
from taskbell.api.tasks.schemas import Sort
from taskbell.contract.events import EventType
from taskbell.kit.postgres.errors import RowRefused
from taskbell.kit.postgres.statements import Executor, Statement, load
from taskbell.store import task_lists
from taskbell.store.compose import compile_statement, parameter
from taskbell.store.consistency import reached
from taskbell.store.functions import call
from taskbell.store.models import Task
from taskbell.store.pool import Connection, Database
from taskbell.store.reads import Reader, Reads

_CREATE = call("create_task")
_GET = load(__package__, "get_task")
_CHANGE = call("change_task")
_DELETE = load(__package__, "delete_task")
_MOVE = call("move_task")
_BELOW = load(__package__, "select_below")
_ABOVE = load(__package__, "select_above")
_RESPREAD = load(__package__, "respread_tasks")
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
        values: The other arguments of the function `create_task`: the task's fields, and `leads` for its reminders.

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
    if row is None or row["document"] is None:
        raise RowRefused
    reached(row["xid"])
    return Document(id=row["id"], text=row["document"])


def _too_large(refused: asyncpg.CheckViolationError) -> Exception:
    """What it means that a row breaks a rule of its table: only the size of an event is a client's doing."""
    return ChangeTooLarge() if refused.constraint_name == _EVENT_SIZE else refused


async def get(reads: Reads, *, actor: UUID, task_id: UUID) -> Document | None:
    """Read a task the actor may see. One round trip."""
    row = await _GET.row(reads.of(actor), actor=actor, task_id=task_id)
    return None if row is None else Document(id=task_id, text=row[0], version=row[1])


READ_PER_ITEM = 25
"""How many rows one statement may read for one item of a page; a page may take two statements."""
_SMALLEST = 20
"""A smaller page may read as many rows as a page of this size."""
_LARGE = 100
"""A larger page adds the sizes of its tasks up at once: the share of one of them is less than many a description."""


@lru_cache(maxsize=1024)
def list_statement(names: tuple[str, ...], sort: Sort, *, continued: bool, adds_up: bool) -> Statement:
    """The statement that goes along the order of a list, see `taskbell.store.task_lists`."""
    return task_lists.list_statement(
        names, field=sort.field, descending=sort.descending, continued=continued, adds_up=adds_up
    )


@lru_cache(maxsize=1024)
def few_statement(names: tuple[str, ...], sort: Sort, *, continued: bool) -> Statement | None:
    """The statement that reads a list by the index of one of its filters; None when no index serves one."""
    by = task_lists.finds_few(names, field=sort.field)
    if by is None:
        return None
    return task_lists.few_statement(names, by=by, field=sort.field, descending=sort.descending, continued=continued)


async def page(reads: Reads, *, actor: UUID, listing: Listing, after: Place | None, limit: int) -> Slice[str]:
    """Read a page of tasks as documents. One round trip.

    It takes two when hardly any task on the way matches the filters, or when one is heavier than its share of the page.

    The page may end early, with the place to continue: when it has grown to `PAGE_BYTES`, or when it has read
    `READ_PER_ITEM` rows for each item that it could hold.

    Raises:
        CursorInvalid: PostgreSQL cannot hold the key of the place to continue after.
    """
    server, names, continued = reads.of(actor), tuple(listing.arguments), after is not None
    place: dict[str, Any] = {} if after is None else {"after_key": after.key, "after_id": after.id}
    statement = list_statement(names, listing.sort, continued=continued, adds_up=limit > _LARGE)
    given = {"actor": actor, "limit": limit + 1, **listing.arguments, **place}
    if "most" not in statement.parameters:
        if "heaviest" in statement.parameters:
            rows = await _rows(server, statement, given | {"heaviest": task_lists.TEXT_BYTES // limit})
            if all(row["document"] is not None for row in rows[:limit]):
                return Slice.of_documents(rows, limit=limit, place=_place)
            statement = list_statement(names, listing.sort, continued=continued, adds_up=True)
        rows = await _rows(server, statement, given)
        return Slice.of_documents(rows, limit=limit, place=_place)
    most = READ_PER_ITEM * max(limit, _SMALLEST)
    rows = await _rows(server, statement, given | {"most": most})
    found = Slice.of_documents([row for row in rows if row["matches"]], limit=limit, place=_place)
    if found.last is not None or not rows or not rows[-1]["stopped"]:
        return found
    few = few_statement(names, listing.sort, continued=continued)
    if few is not None:
        fewer = await _rows(server, few, given | {"most": most})
        if fewer[0]["found"] <= most:
            return Slice.of_documents([row for row in fewer if row["id"] is not None], limit=limit, place=_place)
    return Slice(found.items, _place(rows[-1]))


async def _rows(server: Reader, statement: Statement, given: dict[str, Any]) -> list[asyncpg.Record]:
    try:
        return await statement.rows(server, within=paging.LIST_SECONDS, **given)
    except asyncpg.DataError as malformed:
        raise CursorInvalid from malformed


def _place(row: asyncpg.Record) -> Place:
    return Place(key=row["key"], id=row["id"])


async def place_of(reads: Reads, *, actor: UUID, task_id: UUID, sort: Sort) -> Place | None:
    """Where a task stands, or stood when it was deleted, in an order. One round trip."""
    row = await _SORT_KEYS.row(reads.of(actor), actor=actor, task_id=task_id)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """What became of a change.

    Attributes:
        outcome: Whether the task was changed, or why not.
        document: The task as it is now, if it was changed or did not need to be.
        workspace_id: The task's workspace; None if it was refused.
        kinds: The types of the events that were written.
        grows: Whether the description becomes longer.
        strangers: The new assignees who are not members.
    """

    outcome: Outcome
    document: Document | None
    workspace_id: UUID | None
    kinds: Sequence[EventType] = ()
    grows: bool = False
    strangers: Sequence[UUID] = ()


async def change(database: Database, *, actor: UUID, task_id: UUID, **values: Any) -> Changed:
    """Change the fields of a task, with its events, notifications and reminders; or tell why not. One round trip.

    Args:
        database: The primary.
        actor: Who changes it.
        task_id: The task.
        values: The other arguments of the function `change_task`: each field of a task, and the rest.

    Raises:
        RowRefused: The actor lost the right to change the task meanwhile.
        ChangeTooLarge: An event would be larger than events may be.
    """
    try:
        row = await _CHANGE.row(database, actor=actor, task_id=task_id, **values)
    except asyncpg.InsufficientPrivilegeError as refused:
        raise RowRefused from refused
    except asyncpg.CheckViolationError as refused:
        raise _too_large(refused) from refused
    assert row is not None  # noqa: S101 -- the function returns one row
    reached(row["xid"])
    return Changed(
        outcome=Outcome(row["outcome"]),
        document=_document(task_id, row),
        workspace_id=row["workspace_id"],
        kinds=[EventType(kind) for kind in row["kinds"] or ()],
        grows=bool(row["grows"]),
        strangers=row["strangers"] or (),
    )


def _document(task_id: UUID, row: asyncpg.Record) -> Document | None:
    return None if row["document"] is None else Document(id=task_id, text=row["document"], version=row["version"])


async def delete(
    connection: Connection, *, task_id: UUID, version: int | None, actor: UUID, traceparent: str | None
) -> bool:
    """Delete a task, if it still has `version` where one is given. One round trip in a transaction."""
    row = await _DELETE.row(connection, task_id=task_id, version=version, actor=actor, traceparent=traceparent)
    if row is None:
        return False
    reached(row["xid"])
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What became of a move.

    Attributes:
        outcome: Whether the task was moved, or why not.
        document: The task as it is now, if it was moved or stood there already.
        workspace_id: The task's workspace; None if it was refused.
        lower: The position that the gap begins after; None before the first task.
        upper: The position that the gap ends before; None behind the last task.
    """

    outcome: Outcome
    document: Document | None
    workspace_id: UUID | None
    lower: int | None
    upper: int | None


async def move(on: Executor, *, actor: UUID, task_id: UUID, **values: Any) -> Moved:
    """Put a task next to another, with its event; or tell why not. One round trip.

    In a transaction, no other move works in the workspace until its end.

    Args:
        on: The primary, or a connection.
        actor: Who moves it.
        task_id: The task.
        values: The other arguments of the function `move_task`.

    Raises:
        RowRefused: The actor lost the right to change the task meanwhile.
    """
    try:
        row = await _MOVE.row(on, actor=actor, task_id=task_id, **values)
    except asyncpg.InsufficientPrivilegeError as refused:
        raise RowRefused from refused
    assert row is not None  # noqa: S101 -- the function returns one row
    reached(row["xid"])
    return Moved(
        outcome=Outcome(row["outcome"]),
        document=_document(task_id, row),
        workspace_id=row["workspace_id"],
        lower=row["lower"],
        upper=row["upper"],
    )


async def neighbours(
    connection: Connection, *, gap: Moved, task_id: UUID, count: int
) -> tuple[list[Neighbour], list[Neighbour]]:
    """Tasks below and above a used-up gap without the moved one, nearest first, `count` of each. Two round trips."""

    async def read(statement: Statement, position: int | None) -> list[Neighbour]:
        if position is None:
            return []
        rows = await statement.rows(
            connection, workspace_id=gap.workspace_id, task_id=task_id, position=position, limit=count
        )
        return [Neighbour(*row) for row in rows]

    return await read(_BELOW, gap.lower), await read(_ABOVE, gap.upper)


async def respread(
    connection: Connection,
    *,
    gap: Moved,
    task_id: UUID,
    positions: Sequence[Neighbour],
    actor: UUID,
    traceparent: str | None,
) -> tuple[Moved, int]:
    """Give the moved task and its neighbours new positions, with an event each, in the transaction of the `move`.

    One round trip. Returns what became of the moved task, and how many tasks have moved.

    Raises:
        RowRefused: The moved task is gone, or the actor lost the right to change it.
    """
    rows = await _RESPREAD.rows(
        connection,
        workspace_id=gap.workspace_id,
        task_ids=[task.id for task in positions],
        positions=[task.position for task in positions],
        moved_id=task_id,
        actor=actor,
        traceparent=traceparent,
    )
    moved = next((row for row in rows if row["id"] == task_id), None)
    if moved is None:  # deleted meanwhile, or the actor may only read it now
        raise RowRefused
    return replace(gap, outcome=Outcome.CHANGED, document=_document(task_id, moved)), len(rows)
