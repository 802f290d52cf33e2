"""Statements of lists of tasks, composed by which filters and which order a client asks for.

Every statement reads a bounded number of rows, whatever the tasks are, and returns a bounded number of bytes:

- It goes along the index of the order. What that index can find, it looks up; every other filter is a test of the rows
  that it passes. It passes `most` rows at most, and then tells where it stopped.
- A statement of the few instead reads what the index of one filter finds, `most` rows at most, and sorts it.
- Documents end when the text before them reaches `TEXT_BYTES`. A description outside of its row is not read to know its
  size.

Conditions stand in WHERE only where an index serves them: row-level security and PostgreSQL's guesses decide the plan
otherwise.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from taskbell.kit.postgres.statements import Statement
from taskbell.store.compose import actor_set, compile_statement, parameter
from taskbell.store.models import Task

TEXT_BYTES = 512 * 1024
"""Bytes of titles, descriptions and assignees after which no further document is made. JSON may take six times that."""

_TASK = sa.alias(sa.inspect(Task).local_table, "t")
_COLUMN = _TASK.c
_INFINITY: sa.ColumnElement[Any] = sa.literal_column("'infinity'::timestamptz")
_DOCUMENT = sa.cast(sa.func.taskbell.task_document(_TASK.table_valued()), sa.Text)
_KEYS: dict[str, sa.ColumnElement[Any]] = {
    "position": _COLUMN.position,
    "priority": _COLUMN.priority,
    # As the index has it. Not coalesce: row-level security takes it for leaky, and no index would serve a cursor.
    "due_at": sa.func.least(_COLUMN.due_at, _INFINITY, type_=_COLUMN.due_at.type),
    "created_at": _COLUMN.created_at,
    "updated_at": _COLUMN.updated_at,
}
"""What an index begins with after the workspace or the creator, for each field that lists are sorted by."""
_CONDITIONS: dict[str, sa.ColumnElement[bool]] = {
    "workspace_id": _COLUMN.workspace_id == parameter("workspace_id", _COLUMN.workspace_id.type),
    "created_by": _COLUMN.created_by == parameter("created_by", _COLUMN.created_by.type),
    "status": _COLUMN.status == parameter("status", _COLUMN.status.type),
    "statuses": _COLUMN.status == sa.any_(parameter("statuses", sa.ARRAY(sa.Text))),
    "priority": _COLUMN.priority == parameter("priority", _COLUMN.priority.type),
    "priorities": _COLUMN.priority == sa.any_(parameter("priorities", sa.ARRAY(sa.SmallInteger))),
    # By the key of the index. Tasks that are never due are at its end, and are not due after anything either.
    "due_before": _KEYS["due_at"] < parameter("due_before", _COLUMN.due_at.type),
    "due_after": sa.and_(
        _KEYS["due_at"] >= parameter("due_after", _COLUMN.due_at.type),
        _KEYS["due_at"] < _INFINITY,
    ),
    "updated_since": _COLUMN.updated_at >= parameter("updated_since", _COLUMN.updated_at.type),
}
"""What each argument of a list asks of a task."""
_SCOPES = ("workspace_id", "created_by")
"""Every list has one of them, and every index begins with it."""
_FOUND_BY = {
    "position": ("status",),
    "priority": ("priority", "priorities"),
    "due_at": ("due_before", "due_after"),
    "updated_at": ("updated_since",),
    "created_at": (),
}
"""For each field that lists are sorted by, the filters whose rows lie together in its index, in its order."""
_FEW_BY = {
    "due_at": ("due_before", "due_after"),
    "updated_at": ("updated_since",),
    "priority": ("priority", "priorities"),
    "status": ("status", "statuses"),
}
"""The filters that an index of a workspace finds by itself, the most selective first."""
_STATUS_ORDER = [_COLUMN.status, _COLUMN.position, _COLUMN.id]
_WEIGHT = (
    sa.func.octet_length(_COLUMN.title)
    + sa.func.coalesce(sa.func.octet_length(_COLUMN.description), sa.literal_column("0"))
    + sa.literal_column("40") * sa.func.cardinality(_COLUMN.assignee_ids)
)


def _found_by_index(names: tuple[str, ...], field: str) -> list[str]:
    """The filters that the index of an order serves; a creator's tasks are indexed by creation alone."""
    return [name for name in names if name in _SCOPES or ("workspace_id" in names and name in _FOUND_BY[field])]


def list_statement(names: tuple[str, ...], *, field: str, descending: bool, continued: bool) -> Statement:
    """The statement of a list by the names of its arguments: one index range per partition, merged, up to the limit.

    Its parameters are `actor`, `limit`, those names and, when it continues after a place, `after_key` and `after_id`.
    Its rows are `document`, `key` and `id`; a document that is NULL is one too many for the page.

    When a filter needs a test of each row, there is the parameter `most`, and the columns `matches` and `stopped`: a
    row that does not match is the last one of `most` that were passed.
    """
    actor = actor_set()
    found = _found_by_index(names, field)
    tests = [_CONDITIONS[name] for name in names if name not in found]
    key, order = _KEYS[field], _order(field, descending=descending)
    conditions = [actor.c.id.is_not(None), *(_CONDITIONS[name] for name in found)]
    if continued:
        conditions.append(_after(key, _COLUMN.id, descending=descending))
    if not tests:
        page = (
            sa.select(_within(_DOCUMENT, _WEIGHT, order), sa.cast(key, sa.Text).label("key"), _COLUMN.id)
            .where(*conditions)
            .order_by(*order)
            .limit(parameter("limit", sa.Integer()))
            .lateral("page")
        )
        return compile_statement(
            sa.select(page.c.document, page.c.key, page.c.id).select_from(actor.join(page, sa.true()))
        )
    matches = sa.and_(*tests).is_(sa.true())
    most = parameter("most", sa.Integer())
    weight = sa.case((matches, _WEIGHT), else_=sa.literal_column("0"))
    passed = (
        sa.select(
            sa.case((matches, _within(_DOCUMENT, weight, order).element)).label("document"),
            sa.cast(key, sa.Text).label("key"),
            _COLUMN.id,
            matches.label("matches"),
            sa.func.row_number().over(order_by=order, rows=(None, 0)).label("place"),
        )
        .where(*conditions)
        .order_by(*order)
        .limit(most)
        .correlate(actor)
        .subquery("passed")
    )
    stopped = (passed.c.place == most).label("stopped")
    page = (
        sa.select(passed.c.document, passed.c.key, passed.c.id, passed.c.matches, stopped)
        .where(sa.or_(passed.c.matches, stopped.element))
        .limit(parameter("limit", sa.Integer()))
        .lateral("page")
    )
    return compile_statement(sa.select(*page.c).select_from(actor.join(page, sa.true())))


def finds_few(names: tuple[str, ...], *, field: str) -> str | None:
    """By which field's index to read a list when hardly any task on the way matches; None when no index would help."""
    if "workspace_id" not in names:
        return None
    tests = set(names) - {*_found_by_index(names, field)}
    return next((few for few, filters in _FEW_BY.items() if tests & {*filters}), None)


def few_statement(names: tuple[str, ...], *, by: str, field: str, descending: bool, continued: bool) -> Statement:
    """The statement of a list of few tasks: all that the index of the field `by` finds, sorted.

    Its parameters are those of `list_statement` and `most`. Each row has the column `found`: how many tasks the index
    found, `most` + 1 at most. If there are more than `most`, the other columns are NULL; so they are in the one row
    that is left when nothing matches.
    """
    actor = actor_set()
    found = [name for name in names if name in _SCOPES or name in _FEW_BY[by]]
    tests = [_CONDITIONS[name] for name in names if name not in found]
    key, most = _KEYS[field], parameter("most", sa.Integer())
    one: sa.ColumnElement[int] = sa.literal_column("1")
    if continued:
        tests.append(_after(key, _COLUMN.id, descending=descending))
    candidates = (
        sa.select(
            key.label("key"),
            _COLUMN.id,
            _WEIGHT.label("weight"),
            sa.and_(sa.true(), *tests).is_(sa.true()).label("fits"),
        )
        .where(actor.c.id.is_not(None), *(_CONDITIONS[name] for name in found))
        .order_by(*(_STATUS_ORDER if by == "status" else _order(by, descending=False)))
        .limit(most + one)
        .lateral("candidate")
    )
    few = sa.select(*candidates.c).select_from(actor.join(candidates, sa.true())).cte("few").prefix_with("MATERIALIZED")
    count = sa.select(sa.func.count().label("found")).select_from(few).subquery("count")
    order: list[sa.ColumnElement[Any]] = [few.c.key, few.c.id]
    if descending:
        order = [few.c.key.desc(), few.c.id.desc()]
    sorted_ = (
        sa.select(few.c.key, few.c.id, _before(few.c.weight, order).label("before"))
        .where(few.c.fits, count.c.found <= most)
        .order_by(*order)
        .limit(parameter("limit", sa.Integer()))
        .lateral("sorted")
    )
    document = (
        sa.select(_DOCUMENT.label("document"))
        .where(_COLUMN.id == sorted_.c.id, sorted_.c.before < sa.literal_column(str(TEXT_BYTES)))
        .limit(one)
        .lateral("described")
    )
    joined = count.outerjoin(sorted_, sa.true()).outerjoin(document, sa.true())
    columns = (document.c.document, sa.cast(sorted_.c.key, sa.Text).label("key"), sorted_.c.id, count.c.found)
    return compile_statement(sa.select(*columns).select_from(joined))


def _order(field: str, *, descending: bool) -> list[sa.ColumnElement[Any]]:
    key = _KEYS[field]
    return [key.desc(), _COLUMN.id.desc()] if descending else [key, _COLUMN.id]


def _after(key: sa.ColumnElement[Any], row: sa.ColumnElement[Any], *, descending: bool) -> sa.ColumnElement[bool]:
    """Whether a row comes after the place of a cursor."""
    place = sa.tuple_(key, row)
    last = sa.tuple_(sa.cast(parameter("after_key", sa.Text()), key.type), parameter("after_id", _COLUMN.id.type))
    return place < last if descending else place > last


def _before(weight: sa.ColumnElement[int], order: list[sa.ColumnElement[Any]]) -> sa.ColumnElement[int]:
    """The weight of all rows before a row."""
    return sa.func.sum(weight).over(order_by=order, rows=(None, 0)) - weight


def _within(
    document: sa.ColumnElement[str], weight: sa.ColumnElement[int], order: list[sa.ColumnElement[Any]]
) -> sa.Label[Any]:
    """A document, or NULL once the rows before it weigh too much; the first one is never too heavy."""
    fits = _before(weight, order) < sa.literal_column(str(TEXT_BYTES))
    return sa.case((fits, document)).label("document")
