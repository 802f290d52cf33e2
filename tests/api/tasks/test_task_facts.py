"""What a change of a task means, as PostgreSQL decides it from two rows."""

import json
from datetime import UTC, datetime
from itertools import combinations
from uuid import UUID

import pytest

from taskbell.api.tasks.policy import FIELDS
from taskbell.contract.events import LONG_TEXT_BYTES
from taskbell.local import db

_DUE = datetime(2027, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
_CURRENT = {
    "title": 'She said "é"\n\x01',
    "description": None,
    "status": "pending",
    "priority": 5,
    "start_at": None,
    "due_at": _DUE,
    "assignee_ids": [],
}
_OTHER = {
    "title": "new",
    "description": "text",
    "status": "completed",
    "priority": 1,
    "start_at": datetime(2027, 1, 1, tzinfo=UTC),
    "due_at": None,
    "assignee_ids": [UUID(int=1), UUID(int=2)],
}
_WIRE = _CURRENT | {"due_at": "2027-01-02T03:04:05.000006Z"}
_FACTS = """
SELECT f.* FROM
  (SELECT t FROM (SELECT NULL::uuid AS id, $1::text AS title, $2::text AS description, $3::text AS status,
                         $4::smallint AS priority, $5::timestamptz AS start_at, $6::timestamptz AS due_at,
                         $7::uuid[] AS assignee_ids) v,
   LATERAL jsonb_populate_record(NULL::tasks, to_jsonb(v)) t) former,
  (SELECT t FROM (SELECT NULL::uuid AS id, $8::text AS title, $9::text AS description, $10::text AS status,
                         $11::smallint AS priority, $12::timestamptz AS start_at, $13::timestamptz AS due_at,
                         $14::uuid[] AS assignee_ids) v,
   LATERAL jsonb_populate_record(NULL::tasks, to_jsonb(v)) t) wanted,
  taskbell.task_facts(former.t, wanted.t) f
"""


@pytest.fixture
async def facts(database):
    """Asks which facts lead from one task to another: their types with the old values, and what is omitted."""
    async with db.connected(database.api_url) as connection:

        async def ask(former, wanted):
            values = [each[name] for each in (former, wanted) for name in FIELDS]
            row = await connection.fetchrow(_FACTS, *values)
            return list(zip(row["kinds"], row["previous"], strict=True)), row["omitted"]

        yield ask


@pytest.mark.feature("F2")
async def test_what_is_already_so_is_no_fact(facts):
    """A task as it is, whatever its values, causes no event."""
    for task in (_CURRENT, _OTHER):
        assert await facts(task, task) == ([], [])


@pytest.mark.feature("F2")
async def test_each_combination_of_changes_has_its_facts(facts):
    """Status and assignees are facts of their own, all else together is one; each tells its fields' old values."""
    changes = [chosen for size in range(1, len(FIELDS) + 1) for chosen in combinations(FIELDS, size)]
    assert len(changes) == 127
    for chosen in changes:
        told, omitted = await facts(_CURRENT, _CURRENT | {name: _OTHER[name] for name in chosen})
        others = {name: _WIRE[name] for name in chosen if name not in {"status", "assignee_ids"}}
        expected = [("task.updated", others)] if others else []
        expected += [("task.status_changed", {"status": "pending"})] if "status" in chosen else []
        expected += [("task.assigned", {"assignee_ids": []})] if "assignee_ids" in chosen else []
        assert [(kind, json.loads(previous)) for kind, previous in told] == expected
        assert all(list(json.loads(previous)) == list(fields) for (_, previous), (_, fields) in zip(told, expected))  # noqa: B905 -- equal by the line before
        assert omitted == []


async def test_old_values_are_written_like_new_ones(facts):
    """Texts, instants, numbers, nothing and ids have the form that they have in the task, without spaces."""
    told, _ = await facts(_OTHER, _CURRENT)
    assert [previous for _, previous in told] == [
        '{"title":"new","description":"text","priority":1,"start_at":"2027-01-01T00:00:00.000000Z","due_at":null}',
        '{"status":"completed"}',
        f'{{"assignee_ids":["{UUID(int=1)}","{UUID(int=2)}"]}}',
    ]


@pytest.mark.parametrize("excess", [0, 1])
async def test_a_long_old_description_is_only_named(facts, excess):
    """Up to 4,096 bytes as JSON text it is told; a longer one is named by a pointer, also when nothing else changes."""
    description = "x" * (LONG_TEXT_BYTES - 2 + excess)
    told, omitted = await facts(_CURRENT | {"description": description}, _CURRENT | {"description": "short"})
    assert [(kind, json.loads(previous)) for kind, previous in told] == [
        ("task.updated", {} if excess else {"description": description})
    ]
    assert omitted == (["/previous/description"] if excess else [])
