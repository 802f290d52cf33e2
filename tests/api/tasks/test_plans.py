"""The plans of the hot statements: read from PostgreSQL as the API's role gets them, on a table of many partitions.

The table is big enough, and its statistics fresh, for the planner to choose as it does in service: nothing is switched
off to make it choose well.
"""

import asyncio
import contextlib
import dataclasses
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from taskbell.api.http.paging import Place
from taskbell.api.tasks import repository
from taskbell.api.tasks.lists import Listing, in_workspace, of_user
from taskbell.api.tasks.schemas import Sort, Status, TaskCreate, TaskFilters, TaskRole
from taskbell.kit.postgres.statements import Statement, load
from taskbell.local import db
from taskbell.store.functions import call

pytestmark = [
    pytest.mark.feature("M18", "H20"),
    pytest.mark.xdist_group("plans"),
]  # one world

LIMIT = 21
"""A page of 20 and the row that tells whether another follows."""
FILTERED = 10
"""How many rows may be read for one that a filter leaves; one in three has a status."""
_TEMPLATE = "taskbell_template"
_BIG = ("tasks", "assignments", "events", "memberships", "deleted_tasks", "workspaces", "users")
_FILL = """
INSERT INTO users (id, email, name, personal_workspace_id)
  SELECT md5('u' || n)::uuid, n || '@example.com', 'Somebody', md5('w' || n)::uuid FROM generate_series(1, 3000) n;
INSERT INTO workspaces (id, name, created_by)
  SELECT md5('w' || n)::uuid, 'W', md5('u' || n)::uuid FROM generate_series(1, 3000) n;
INSERT INTO memberships (user_id, workspace_id, role)
  SELECT md5('u' || n)::uuid, md5('w' || (n + k - 1) % 3000 + 1)::uuid, 'owner'
  FROM generate_series(1, 3000) n, generate_series(0, 2) k ON CONFLICT DO NOTHING;
INSERT INTO tasks (id, workspace_id, assignee_ids, title, status, priority, due_at, created_by, created_at, updated_at)
  SELECT uuidv7(shift), md5('w' || w)::uuid,
         CASE WHEN n % 8 = 0 OR w <> 8 THEN ARRAY[md5('u' || w)::uuid] ELSE '{}' END, 'T' || n,
         (ARRAY['pending', 'completed', 'in_progress'])[n % 3 + 1],
         n % 10 + 1, CASE WHEN n % 4 > 0 THEN now() + n * interval '1 minute' END, md5('u' || w)::uuid,
         now() + shift, now() + shift
  FROM (SELECT n, CASE WHEN n % 2 = 0 THEN 8 ELSE n % 3000 + 1 END AS w, interval '60 days' * (n % 5 - 1) AS shift
        FROM generate_series(1, 60000) n) s;
INSERT INTO events (id, workspace_id, type, subject_id, audience, data)
  SELECT uuidv7(interval '30 days' * (n % 4 - 1)), md5('w' || n % 3000 + 1)::uuid, 'task.created', uuidv7(), '{}', '{}'
  FROM generate_series(1, 10000) n;
INSERT INTO deleted_tasks (id, workspace_id, priority, position, created_at, updated_at)
  SELECT uuidv7(), md5('w' || n % 3000 + 1)::uuid, 5, n, now(), now() FROM generate_series(1, 10000) n;
"""


@dataclasses.dataclass(frozen=True)
class Node:
    """One node of a plan, as `EXPLAIN (ANALYZE, FORMAT JSON)` has it, with the expressions above it."""

    fields: dict[str, Any]

    @property
    def kind(self) -> str:
        """What it does, such as `Index Scan`."""
        return self.fields["Node Type"]

    @property
    def table(self) -> str:
        """The table or partition it reads, or nothing."""
        return self.fields.get("Relation Name", "")

    @property
    def loops(self) -> int:
        """How often it ran; 0 when its partition was pruned at run time."""
        return self.fields.get("Actual Loops", 0)

    @property
    def rows(self) -> float:
        """Rows it gave out each time."""
        return self.fields.get("Actual Rows", 0)

    @property
    def read(self) -> float:
        """Rows it looked at, those that its filter threw away included."""
        return self.rows + self.fields.get("Rows Removed by Filter", 0)

    @property
    def children(self) -> "list[Node]":
        """The nodes it takes its rows from."""
        return [Node(child) for child in self.fields.get("Plans", ())]

    def __iter__(self) -> "Iterator[Node]":
        yield self
        for child in self.children:
            yield from child


def _is_of(node: Node, table: str) -> bool:
    return node.table == table or node.table.startswith(f"{table}_")


def faults(plan: Node, *, limit: int | None = None, filtered: bool = False, one_partition: bool = False) -> list[str]:
    """What is wrong with a plan.

    Args:
        plan: Its uppermost node, executed.
        limit: For a list, how many rows may be fetched from the partitions' indexes, per partition, and be sorted.
        filtered: Whether rows are read that do not match.
        one_partition: Whether the statement reads by id, so that all partitions of `tasks` but one must be pruned.
    """
    found = [
        f"{node.kind} on {node.table}"
        for node in plan
        if node.kind == "Seq Scan" and any(_is_of(node, table) for table in _BIG)
    ]
    if limit is not None:
        found += [f"{node.kind} of {node.rows} rows" for node in plan if "Sort" in node.kind and node.rows > limit]
        found += [
            f"{node.kind} reads {node.read} rows of {node.table}"
            for node in plan
            if _is_of(node, "tasks") and node.read > (FILTERED * limit if filtered else limit + 1)  # one looks ahead
        ]
    read = {node.table for node in plan if _is_of(node, "tasks") and "Scan" in node.kind and node.loops}
    if one_partition and len(read) > 1:
        found.append(f"read the partitions {sorted(read)}")
    return found


@dataclasses.dataclass(frozen=True)
class World:
    """The filled database, and one user with 30,000 tasks in five partitions and ten more tasks."""

    api_url: str
    owner_url: str
    user: UUID
    workspace: UUID
    tasks: tuple[UUID, ...]


@pytest.fixture(scope="module")
def world(servers):
    """A database for this module, filled once and analysed."""
    name = f"test_plans_{os.getpid()}_{secrets.token_hex(4)}"
    superuser, url = servers.postgres_url(), servers.postgres_url("taskbell_owner", name)

    async def fill():
        await db.ensure_database(superuser, name, template=_TEMPLATE)
        async with db.connected(url) as owner:
            await owner.execute(_FILL)
            await owner.execute("VACUUM ANALYZE")
            user, workspace = await owner.fetchrow("SELECT md5('u8')::uuid, md5('w8')::uuid")
            tasks = await owner.fetch(
                "SELECT id FROM (SELECT DISTINCT ON (tableoid) id FROM tasks WHERE workspace_id = $1) t", workspace
            )
            return World(
                servers.postgres_url("taskbell_api", name), url, user, workspace, tuple(row[0] for row in tasks)
            )

    yield asyncio.run(fill())
    asyncio.run(db.drop_database(superuser, name))


@pytest.fixture
async def connection(world):
    """A connection as the API's role, with the role's settings; what it does is rolled back."""
    async with db.connected(world.api_url) as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(f"SELECT set_config('taskbell.actor', '{world.user}', true)")
        yield connection
        await transaction.rollback()


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, list | tuple):
        return _literal("{" + ",".join('"' + str(part).replace('"', '\\"') + '"' for part in value) + "}")
    return "'" + str(value).replace("'", "''") + "'"


async def explain(connection: asyncpg.Connection, statement: str, *arguments: Any) -> Node:
    """The plan that a prepared statement runs; under the API's role the generic one, from the first time on."""
    await connection.execute(f"PREPARE hot AS {statement}")
    call = f"EXECUTE hot({', '.join(map(_literal, arguments))})" if arguments else "EXECUTE hot"
    try:
        text = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF, BUFFERS OFF) {call}")
    finally:
        if not connection.is_closed():
            await connection.execute("DEALLOCATE hot")
    return Node(json.loads(text)[0]["Plan"])


def _with(statement: Statement, named: dict[str, Any]) -> tuple[str, tuple[Any, ...]]:
    """A statement's text and those of the named arguments that are its own."""
    return statement.text, statement.arguments({name: named[name] for name in statement.parameters})


def _statements(world: World) -> dict[str, tuple[str, tuple[Any, ...]]]:
    """Every hot statement that reads or writes by id, with arguments that it meets rows by."""
    task, anchor, user, workspace = world.tasks[0], world.tasks[1], world.user, world.workspace
    values = TaskCreate(title="Title").model_dump(exclude={"workspace_id"})
    common = {"actor": user, "workspace_id": workspace, "task_id": task, "traceparent": None}
    several = {"task_ids": [task, anchor], "positions": [1, 2], "moved_id": task}
    change = {
        "only_version": None,
        "only_workspace": workspace,
        "sent": ["title", "due_at", "status"],
        "held": [],
        "brimful": [],
        "leads": ["24h"],
    }
    given = {
        "create_task": values | {"leads": []},
        "change_task": values | change | {"due_at": "2100-01-01T00:00:00Z", "status": "cancelled"},
        "move_task": {"anchor_id": anchor, "goes_before": "true", "held": []},
        "delete_task": {"version": None},
        "select_below": {"position": 30_000_000, "limit": 9},
        "select_above": {"position": 30_000_000, "limit": 9},
        "select_members": {"user_ids": [user]},
        "respread_tasks": several,
    }
    statements = {name: load("taskbell.api.tasks", name) for name in _NAMES} | {"lock_task": repository._LOCK}
    statements |= {name: call(name) for name in _FUNCTIONS}
    return {name: _with(statement, common | given.get(name, {})) for name, statement in statements.items()}


_BY_ID = {"get_task", "lock_task", "delete_task", "select_sort_keys", "select_seen"}
_FUNCTIONS = ("create_task", "change_task", "move_task")
_NAMES = sorted(path.stem for path in Path(repository.__file__).with_name("queries").glob("*.sql"))


async def test_the_role_keeps_generic_plans(connection):
    """The plans below are those of the service: one generic plan for each statement."""
    assert await connection.fetchval("SHOW plan_cache_mode") == "force_generic_plan"
    assert await connection.fetchval("SELECT current_user") == "taskbell_api"


async def test_the_tasks_lie_in_several_partitions(world):
    """The proofs below stand on five partitions with rows of one workspace in each."""
    assert len(world.tasks) >= 4


@pytest.mark.parametrize("name", [*_NAMES, *_FUNCTIONS, "lock_task"])
async def test_statements_by_id_use_indexes(world, connection, name):
    """No hot statement scans a table, and one that knows the task's id touches that task's partition alone."""
    statement, arguments = _statements(world)[name]
    plan = await explain(connection, statement, *arguments)
    assert faults(plan, one_partition=name in _BY_ID) == []


@pytest.mark.parametrize("name", ["select_below", "select_above", "respread_tasks"])
async def test_neighbours_that_make_room_are_few_rows(world, connection, name):
    """Making room for a moved task costs some rows of each partition, however long the list is."""
    statement, arguments = _statements(world)[name]
    assert faults(await explain(connection, statement, *arguments), limit=10) == []


_READ = """
SELECT relname, coalesce(seq_scan, 0) AS scans, coalesce(idx_scan, 0) AS look_ups, coalesce(idx_tup_fetch, 0) AS rows
FROM pg_stat_xact_user_tables
"""
"""What this transaction has read; PostgreSQL may still add what the one before it read."""


async def _read_by(connection, statement, *arguments):
    """What a call reads of each table and partition: scans, look-ups by an index and rows found by them."""
    await explain(connection, statement, *arguments)  # what a session reads once, to plan
    before = {row["relname"]: row for row in await connection.fetch(_READ)}
    await explain(connection, statement, *arguments)
    after = {row["relname"]: row for row in await connection.fetch(_READ)}
    names = ("scans", "look_ups", "rows")
    return {
        table: [row[name] - (before[table][name] if table in before else 0) for name in names]
        for table, row in after.items()
    }


_CHANGES = {
    "a change": ("change_task", {}),
    "a change of nothing": ("change_task", {"sent": []}),
    "a move": ("move_task", {}),
    "a move to the end": ("move_task", {"anchor_id": "last", "goes_before": "false"}),
}


@pytest.mark.parametrize("name", _CHANGES)
async def test_functions_that_change_a_task_read_few_rows(world, connection, name):
    """What no EXPLAIN shows is counted: they scan no table, look the task up in its partition alone, and read few rows.

    A move looks for its neighbour in each partition.
    """
    function, other = _CHANGES[name]
    last = await connection.fetchval(
        "SELECT id FROM tasks WHERE workspace_id = $1 ORDER BY position DESC LIMIT 1", world.workspace
    )
    statement = call(function)
    _, arguments = _statements(world)[function]
    named = dict(zip(statement.parameters, arguments, strict=True)) | {"task_id": world.tasks[2]}
    named |= {key: last if value == "last" else value for key, value in other.items()}
    read = await _read_by(connection, statement.text, *statement.arguments(named))
    big = {table: counts for table, counts in read.items() if any(_is(table, each) for each in _BIG)}
    assert {table: counts for table, counts in big.items() if counts[0]} == {}
    tasks = {table: counts for table, counts in big.items() if _is(table, "tasks") and counts[1]}
    assert len(tasks) > 1 if function == "move_task" else len(tasks) == 1, tasks
    assert sum(rows for _, _, rows in tasks.values()) <= 12, tasks


def _is(table: str, of: str) -> bool:
    return table == of or table.startswith(f"{of}_2") or table == f"{of}_default"


def _list(world: World, listing: Listing, place: Place | None, *, adds_up: bool = False) -> tuple[str, tuple[Any, ...]]:
    statement = repository.list_statement(
        tuple(listing.arguments), listing.sort, continued=place is not None, adds_up=adds_up
    )
    return _with(statement, _named(world, listing, place))


def _named(world: World, listing: Listing, place: Place | None) -> dict[str, Any]:
    after = {} if place is None else {"after_key": place.key, "after_id": place.id}
    most = repository.READ_PER_ITEM * (LIMIT - 1)
    return {"actor": world.user, "limit": LIMIT, "most": most, "heaviest": 10_000, **listing.arguments, **after}


def _place(world: World, sort: Sort) -> Place:
    """A place in the midst of the list."""
    keys = {"position": "30000000", "priority": "5"}
    return Place(key=keys.get(sort.field, "2026-12-01 00:00:00+00"), id=world.tasks[0])


@pytest.mark.feature("M5", "M6")
@pytest.mark.parametrize("continued", [False, True])
@pytest.mark.parametrize("status", [(), (Status.PENDING,)], ids=["any", "pending"])
@pytest.mark.parametrize("sort", Sort)
@pytest.mark.parametrize("adds_up", [False, True], ids=["light", "heavy"])
async def test_lists_read_little_more_than_a_page(world, connection, adds_up, sort, status, continued):
    """Every sort, with and without a status, from the start and by cursor: a range of an index in each partition."""
    listing = in_workspace(world.workspace, TaskFilters(status=list(status)), sort=sort)
    place = _place(world, sort) if continued else None
    statement, arguments = _list(world, listing, place, adds_up=adds_up)
    plan = await explain(connection, statement, *arguments)
    assert faults(plan, limit=LIMIT, filtered=bool(status)) == [], json.dumps(plan.fields, indent=1)


_FILTERS = {
    "statuses": {"status": [Status.PENDING, Status.COMPLETED]},
    "no status": {"status": [Status.CANCELLED]},
    "priority": {"priority": 4},
    "priorities": {"priority_min": 2, "priority_max": 4},
    "a day": {"due_after": "2027-01-01T00:00:00Z", "due_before": "2027-01-02T00:00:00Z"},
    "due before all": {"due_before": "2000-01-01T00:00:00Z"},
    "due after all": {"due_after": "2199-01-01T00:00:00Z"},
    "not updated": {"updated_since": "2199-01-01T00:00:00Z"},
    "several": {"status": [Status.PENDING], "priority_max": 9, "due_after": "2027-01-01T00:00:00Z"},
    "nothing": {"status": [Status.CANCELLED], "priority": 4, "updated_since": "2026-01-01T00:00:00Z"},
}


def rows_read(plan: Node) -> int:
    """How many rows of tasks, in all partitions, and of assignments a plan looked at."""
    scans = [node for node in plan if "Scan" in node.kind and (_is_of(node, "tasks") or _is_of(node, "assignments"))]
    return int(sum(node.read * node.loops for node in scans))


@pytest.mark.feature("M4", "H8")
@pytest.mark.parametrize("name", _FILTERS)
@pytest.mark.parametrize("sort", Sort)
async def test_filtered_lists_read_a_bounded_number_of_rows(world, connection, sort, name):
    """Under any filter, also one that nothing matches, both statements of a list read 50 rows for each of the page."""
    listing = in_workspace(world.workspace, TaskFilters.model_validate(_FILTERS[name]), sort=sort)
    read = 0
    for statement, arguments in _both(world, listing, _place(world, sort) if sort.descending else None):
        plan = await explain(connection, statement, *arguments)
        assert faults(plan) == [], json.dumps(plan.fields, indent=1)
        read += rows_read(plan)
    assert read <= 50 * LIMIT


def _both(world: World, listing: Listing, place: Place | None) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """The statement of a list and, if there is one, the statement that takes its place when hardly anything matches."""
    names = tuple(listing.arguments)
    few = repository.few_statement(names, listing.sort, continued=place is not None)
    yield _list(world, listing, place)
    if few is not None:
        yield _with(few, _named(world, listing, place))


_MINE = {"": {}, "no status": _FILTERS["no status"], "several": _FILTERS["several"]}


@pytest.mark.feature("M11", "H20")
@pytest.mark.parametrize("name", _MINE)
@pytest.mark.parametrize("role", TaskRole)
@pytest.mark.parametrize("sort", Sort)
async def test_my_tasks_read_a_bounded_number_of_rows(world, connection, sort, role, name):
    """The lists over all workspaces follow an index of the creator or the assignee: 50 rows for each of the page."""
    listing = of_user(world.user, role, TaskFilters.model_validate(_MINE[name]), sort=sort)
    read = 0
    for statement, arguments in _both(world, listing, _place(world, sort) if sort.descending else None):
        plan = await explain(connection, statement, *arguments)
        assert faults(plan) == [], json.dumps(plan.fields, indent=1)
        read += rows_read(plan)
    assert read <= (50 if name else 5) * LIMIT


async def test_no_statement_counts_or_skips(world):
    """No list is counted and none uses OFFSET: the texts of all statements hold neither."""
    texts = [statement for statement, _ in _statements(world).values()]
    for sort in Sort:
        texts += [
            _list(world, in_workspace(world.workspace, TaskFilters(), sort=sort), place)[0]
            for place in (None, _place(world, sort))
        ]
    for text in texts:
        assert "offset" not in text.lower()
        assert "count(" not in text.lower()


@contextlib.asynccontextmanager
async def _rolled_back(connection):
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield
    finally:
        await transaction.rollback()


async def _without_indexes(owner, world, pattern):
    """Drop indexes of `tasks` in the owner's open transaction, as a careless migration would."""
    await owner.execute(f"SET LOCAL ROLE NONE; SELECT set_config('taskbell.actor', '{world.user}', true)")
    for row in await owner.fetch(
        "SELECT indexname FROM pg_indexes WHERE tablename = 'tasks' AND indexname ~ $1", pattern
    ):
        await owner.execute(f"DROP INDEX {row[0]}")


async def test_the_check_finds_a_missing_index(world):
    """Without the index of the position the same check reports sorts and scans of whole partitions."""
    async with db.connected(world.owner_url) as owner, _rolled_back(owner):
        await _without_indexes(owner, world, "tasks_(position|status)_idx")
        statement, arguments = _list(world, in_workspace(world.workspace, TaskFilters(), sort=Sort.POSITION), None)
        found = faults(await explain(owner, statement, *arguments), limit=LIMIT)
    assert any("rows of tasks_" in fault for fault in found), found


async def test_the_check_finds_a_sequential_scan(world):
    """Without any index that begins with the workspace the same check reports sequential scans of the partitions."""
    async with db.connected(world.owner_url) as owner, _rolled_back(owner):
        await _without_indexes(owner, world, "tasks_.*_idx")
        statement, arguments = _list(world, in_workspace(world.workspace, TaskFilters(), sort=Sort.POSITION), None)
        found = faults(await explain(owner, statement, *arguments), limit=LIMIT)
    assert any(fault.startswith("Seq Scan on tasks_") for fault in found), found


async def test_the_check_finds_unpruned_partitions(world, connection):
    """A statement that looks an id up in every partition is reported."""
    plan = await explain(connection, "SELECT 1 FROM tasks WHERE id::text = $1", world.tasks[0])
    assert faults(plan, one_partition=True)
