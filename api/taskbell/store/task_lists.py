"""Statements of lists of tasks, composed by which filters and which order a client asks for.

Every statement reads a bounded number of rows, whatever the tasks are, and returns a bounded number of bytes:

- It goes along the index of the order. What that index can find, it looks up; every other filter is a test of the rows
  that it passes. It passes `most` rows at most, and then tells where it stopped.
- A statement of the few instead reads what the index of one filter finds, `most` rows at most, and sorts it.
- Documents end when the text before them reaches `TEXT_BYTES`. A description outside of its row is not read to know its
  size. Adding sizes up costs a page of 20 tasks a quarter of its time, so a page of few tasks is read without at
  first. That serves when none of them is heavier than its share of the page.

Conditions stand in WHERE only where an index serves them: row-level security and PostgreSQL's guesses decide the plan
otherwise.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from taskbell.kit.postgres.statements import Statement
from taskbell.store.compose import actor_set, compile_statement, parameter
from taskbell.store.models import Assignment, Task

TEXT_BYTES = 512 * 1024
"""Bytes of titles, descriptions and assignees after which no further document is made. JSON may take six times that."""

_TEXT_BYTES: sa.ColumnElement[int] = sa.literal_column(str(TEXT_BYTES))
_TASK = sa.alias(sa.inspect(Task).local_table, "t")
_COLUMN = _TASK.c
_INFINITY: sa.ColumnElement[Any] = sa.literal_column("'infinity'::timestamptz")
_DOCUMENT = sa.cast(sa.func.taskbell.task_document(_TASK.table_valued()), sa.Text)


def _key(table: sa.FromClause, field: str) -> sa.ColumnElement[Any]:
    """What an index begins with after the workspace or the user, for a field that lists are sorted by."""
    column = table.c[field]
    # As the index has it. Not coalesce: row-level security takes it for leaky, and no index would serve a cursor.
    return sa.func.least(column, _INFINITY, type_=column.type) if field == "due_at" else column


_KEYS = {field: _key(_TASK, field) for field in ("position", "priority", "due_at", "created_at", "updated_at")}
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
"""Every list of tasks has one of them, and every index begins with it."""
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
_ASSIGNMENT = sa.alias(sa.inspect(Assignment).local_table, "a")
_OF_ASSIGNEES = {
    "assignee": parameter("assignee", _COLUMN.created_by.type),
    "involved": parameter("involved", _COLUMN.created_by.type),
}
"""The lists that go along the assignments of a user: those alone, or together with the tasks that the user created."""
_WEIGHT = (
    sa.func.octet_length(_COLUMN.title)
    + sa.func.coalesce(sa.func.octet_length(_COLUMN.description), sa.literal_column("0"))
    + sa.literal_column("40") * sa.func.cardinality(_COLUMN.assignee_ids)
)


def _found_by_index(names: tuple[str, ...], field: str) -> list[str]:
    """The filters that the index of an order serves; only those of a workspace know the status."""
    served = _FOUND_BY[field] if "workspace_id" in names or field != "position" else ()
    return [name for name in names if name in _SCOPES or name in served]


def list_statement(
    names: tuple[str, ...], *, field: str, descending: bool, continued: bool, adds_up: bool
) -> Statement:
    """The statement of a list by the names of its arguments: one index range per partition, merged, up to the limit.

    Its parameters are `actor`, `limit`, those names and, when it continues after a place, `after_key` and `after_id`.
    Its rows are `document`, `key` and `id`; a document that is NULL is one too many for the page.

    Without `adds_up`, and when no filter needs a test of each row, there is the parameter `heaviest`: a document is
    NULL if its task's text has more bytes, and then the page is to be read with `adds_up`.

    When a filter needs a test of each row, there is the parameter `most`, and the columns `matches` and `stopped`: a
    row that does not match is the last one of `most` that were passed.
    """
    if scope := {*names} & _OF_ASSIGNEES.keys():
        return _assigned_statement(scope.pop(), names, field=field, descending=descending, continued=continued)
    actor = actor_set()
    found = _found_by_index(names, field)
    tests = [_CONDITIONS[name] for name in names if name not in found]
    key, order = _KEYS[field], _order(field, descending=descending)
    conditions = [actor.c.id.is_not(None), *(_CONDITIONS[name] for name in found)]
    if continued:
        conditions.append(_after(key, _COLUMN.id, descending=descending))
    if not tests:
        light = parameter("heaviest", sa.Integer()) >= _WEIGHT
        document = _within(_DOCUMENT, _WEIGHT, order) if adds_up else sa.case((light, _DOCUMENT)).label("document")
        page = (
            sa.select(document, sa.cast(key, sa.Text).label("key"), _COLUMN.id)
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


def _assigned_statement(
    scope: str, names: tuple[str, ...], *, field: str, descending: bool, continued: bool
) -> Statement:
    """A list along a user's assignments: each task on the way is looked up by its id, and every filter is a test.

    A task that the user both created and is assigned to is passed twice, and shown once. The parameters and columns are
    those of `list_statement` with `most`.
    """
    actor, user = actor_set(), _OF_ASSIGNEES[scope]
    most = parameter("most", sa.Integer())
    one: sa.ColumnElement[int] = sa.literal_column("1")

    def along(table: sa.FromClause, of: Any, row: Any, *, assigned: str) -> sa.Select[Any]:
        key = _key(table, field)
        conditions = [actor.c.id.is_not(None), of == user]
        if continued:
            conditions.append(_after(key, row, descending=descending))
        order = [key.desc(), row.desc()] if descending else [key, row]
        flag: sa.ColumnElement[bool] = sa.literal_column(assigned)
        found: sa.Select[Any] = sa.select(key.label("key"), row.label("id"), flag.label("assigned"))
        return found.where(*conditions).order_by(*order).limit(most).correlate(actor)

    way: Any = along(_ASSIGNMENT, _ASSIGNMENT.c.user_id, _ASSIGNMENT.c.task_id, assigned="true")
    if scope == "involved":
        created = along(_TASK, _COLUMN.created_by, _COLUMN.id, assigned="false")
        way = sa.union_all(sa.select(*way.subquery().c), sa.select(*created.subquery().c))
    place = way.subquery("place")
    tests = [_CONDITIONS[name] for name in names if name != scope]
    if scope == "involved":
        tests.append(sa.not_(sa.and_(place.c.assigned, _COLUMN.created_by == user)))
    task = (
        sa.select(sa.and_(sa.true(), *tests).is_(sa.true()).label("fits"), _WEIGHT.label("weight"))
        .where(_COLUMN.id == place.c.id)
        .limit(one)
        .lateral("task")
    )
    # Of the two rows of one task the shown one comes first: a page that ends between them leaves nothing out.
    order: list[sa.ColumnElement[Any]] = [place.c.key, place.c.id, place.c.assigned]
    if descending:
        order = [place.c.key.desc(), place.c.id.desc(), place.c.assigned]
    matches = task.c.fits.is_(sa.true())
    passed = (
        sa.select(
            place.c.key,
            place.c.id,
            matches.label("matches"),
            _before(sa.case((matches, task.c.weight), else_=sa.literal_column("0")), order).label("before"),
            sa.func.row_number().over(order_by=order, rows=(None, 0)).label("place"),
        )
        .select_from(place.outerjoin(task, sa.true()))
        .order_by(*order)
        .limit(most)
        .correlate(actor)
        .subquery("passed")
    )
    stopped = passed.c.place == most
    page = (
        sa.select(*passed.c, stopped.label("stopped"))
        .where(sa.or_(passed.c.matches, stopped))
        .limit(parameter("limit", sa.Integer()))
        .lateral("page")
    )
    document = _looked_up(page.c.id, sa.and_(page.c.matches, page.c.before < _TEXT_BYTES))
    columns = (
        document.c.document,
        sa.cast(page.c.key, sa.Text).label("key"),
        page.c.id,
        page.c.matches,
        page.c.stopped,
    )
    joined = actor.join(page, sa.true()).outerjoin(document, sa.true())
    return compile_statement(sa.select(*columns).select_from(joined))


def finds_few(names: tuple[str, ...], *, field: str) -> str | None:
    """By which field's index to read a list when hardly any task on the way matches; None when no index would help."""
    if not {*names} & {*_SCOPES}:
        return None
    tests = set(names) - {*_found_by_index(names, field)}
    fields = [few for few in _FEW_BY if few != "status" or "workspace_id" in names]
    return next((few for few in fields if tests & {*_FEW_BY[few]}), None)


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
    document = _looked_up(sorted_.c.id, sorted_.c.before < _TEXT_BYTES)
    joined = count.outerjoin(sorted_, sa.true()).outerjoin(document, sa.true())
    columns = (document.c.document, sa.cast(sorted_.c.key, sa.Text).label("key"), sorted_.c.id, count.c.found)
    return compile_statement(sa.select(*columns).select_from(joined))


def _looked_up(row: sa.ColumnElement[Any], wanted: sa.ColumnElement[bool]) -> Any:
    """The document of one task by its id, if it is wanted."""
    found = sa.select(_DOCUMENT.label("document")).where(_COLUMN.id == row, wanted)
    return found.limit(sa.literal_column("1")).lateral("described")


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
    fits = _before(weight, order) < _TEXT_BYTES
    return sa.case((fits, document)).label("document")
