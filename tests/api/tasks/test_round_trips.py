"""What a request costs the database is counted: a statement more does not slip in unnoticed."""

import asyncio
import contextlib

import pytest

_OF_THE_PROCESS = ("taskbell.revoked_sessions", "taskbell.refused_workspaces")
"""What a process reads now and then, for no request."""


@pytest.fixture
def overrides():
    """One connection, so that all statements of a request pass by one listener."""
    return {"database_pool_size": 1}


@pytest.fixture
def counted(app):
    """A block that collects the statements sent to the database while it lasts."""

    @contextlib.asynccontextmanager
    async def block():
        sent = []
        database = app.state.services.database

        def note(record):
            if not any(name in record.query for name in _OF_THE_PROCESS):
                sent.append(" ".join(record.query.split()))

        async with database.connection() as connection:
            # asyncpg asks once in a connection's life what these types are.
            await connection.fetchval("SELECT $1::uuid[], $2::bigint[], $3::text[], $4::smallint[]", [], [], [], [])
            connection.add_query_logger(note)
        yield sent
        await asyncio.sleep(0)  # asyncpg tells its loggers in the loop's next turn
        async with database.connection() as connection:
            connection.remove_query_logger(note)

    return block


@pytest.fixture
async def tasks(ann):
    """Three tasks of Ann."""
    return [(await ann.create(priority=priority))["id"] for priority in (1, 2, 3)]


_COSTS = {
    "create": (1, "POST", "/tasks", {"json": {"title": "t"}}),
    "create, named workspace": (1, "POST", "/tasks", {"json": {"title": "t", "workspace_id": "W"}}),
    "get": (1, "GET", "/tasks/T0", {}),
    "get, not found": (1, "GET", "/tasks/{none}", {}),
    "get, not modified": (1, "GET", "/tasks/T0", {"headers": {"If-None-Match": '"1"'}}),
    "list": (1, "GET", "/tasks", {}),
    "list, filtered": (1, "GET", "/tasks", {"params": {"status": ["pending", "completed"], "priority_min": 2}}),
    "list, named workspace": (1, "GET", "/tasks", {"params": {"workspace_id": "W"}}),
    "list, continued": (1, "GET", "/tasks", {"params": {"limit": 1, "cursor": "C"}}),
    "list, last id": (2, "GET", "/tasks", {"params": {"last_id": "T0"}}),
    "list, of a foreign workspace": (2, "GET", "/tasks", {"params": {"workspace_id": "{none}"}}),
    "my tasks": (1, "GET", "/me/tasks", {}),
    "patch": (1, "PATCH", "/tasks/T0", {"json": {"title": "new", "status": "completed"}}),
    "patch, nothing": (1, "PATCH", "/tasks/T0", {"json": {}}),
    "put": (1, "PUT", "/tasks/T0", {"json": {"title": "new"}}),
    "delete": (3, "DELETE", "/tasks/T0", {}),
    "delete, guarded": (3, "DELETE", "/tasks/T0", {"headers": {"If-Match": '"1"'}}),
    "patch, assigning": (1, "PATCH", "/tasks/T0", {"json": {"assignee_ids": "U"}}),
    "move, first": (1, "POST", "/tasks/T2/move", {"json": {"before": "T0"}}),
    "move, between": (1, "POST", "/tasks/T2/move", {"json": {"after": "T0"}}),
    "move, to the end": (1, "POST", "/tasks/T0/move", {"json": {"after": "T2"}}),
    "move, in place": (1, "POST", "/tasks/T1/move", {"json": {"after": "T0"}}),
    "comment": (4, "POST", "/tasks/T0/comments", {"json": {"body": "text"}}),
    "comment, mentioning": (5, "POST", "/tasks/T0/comments", {"json": {"body": "text", "mention_ids": "U"}}),
    "comments": (1, "GET", "/tasks/T0/comments", {}),
    "remind": (4, "POST", "/tasks/T0/remind", {}),
    "subscription": (1, "GET", "/tasks/T0/subscription", {}),
    "watch": (3, "PUT", "/tasks/T0/subscription", {"json": {"state": "watching"}}),
    "without a token": (0, "GET", "/tasks", {"headers": {"Authorization": ""}}),
    "bad body": (0, "POST", "/tasks", {"json": {"title": ""}}),
    "create, with a key": (7, "POST", "/tasks", {"json": {"title": "t"}, "headers": {"Idempotency-Key": "k"}}),
    "bad cursor": (0, "GET", "/tasks", {"params": {"cursor": "x"}}),
}
_NONE = "00000000-0000-7000-8000-000000000000"


@pytest.mark.feature("H8")
@pytest.mark.parametrize("name", _COSTS)
async def test_statements_of_a_request_are_counted(ann, tasks, counted, name):
    """Create, get, list, change and move are one round trip, whatever the data."""
    cost, method, path, sent = _COSTS[name]
    words = {f"T{number}": task for number, task in enumerate(tasks)}
    words |= {
        "W": ann.workspace_id,
        "{none}": _NONE,
        "U": [ann.user_id],
        "C": (await ann.page(limit=1))["meta"]["next_cursor"],
    }
    path = "/".join(words.get(part, part) for part in path.split("/"))
    if part := {"params", "json"} & set(sent):
        (part,) = part
        sent = sent | {part: {key: words.get(str(value), value) for key, value in sent[part].items()}}
    async with counted() as statements:
        await ann.request(method, path, **sent)
    assert len(statements) == cost, statements


async def test_a_page_costs_one_statement_whatever_it_holds(ann, counted):
    """There is no statement for each item of a list."""
    for _ in range(20):
        await ann.create()
    async with counted() as statements:
        assert len((await ann.page(limit=20))["items"]) == 20
    assert len(statements) == 1


@pytest.mark.feature("M36")
async def test_what_a_caller_sends_stands_in_no_statement(ann, counted):
    """Texts, numbers and dates reach PostgreSQL as parameters, never within a statement, and come back unchanged.

    A transaction's first statement (of the deletion) names the actor. That id comes from the token and is random: it is
    left out, so that no number is found in it by chance.
    """
    text = "Robert'); DROP TABLE tasks;--"
    async with counted() as statements:
        task = await ann.create(title=text, description=text, priority=7)
        patched = await ann.request("PATCH", f"/tasks/{task['id']}", json={"title": f"{text} $1 %s {{}}"})
        filters = {"limit": 987, "priority_min": 7, "due_before": "2123-04-05T00:00:00Z", "sort": "-due_at"}
        assert (await ann.page(**filters))["items"] == []
        other = await ann.create()
        await ann.request("DELETE", f"/tasks/{other['id']}")
    assert len(statements) >= 7
    fixed = [statement.replace(ann.user_id, "") for statement in statements]
    assert [found for found in fixed if any(part in found for part in ("DROP", "987", "2123", task["id"]))] == []
    assert patched.json()["title"] == f"{text} $1 %s {{}}"
    assert (await ann.get(task["id"]))["description"] == text


async def test_the_counter_counts(app, counted):
    """The counter sees each statement, those of a transaction too."""
    database = app.state.services.database
    async with counted() as statements:
        await database.fetchval("SELECT 1")
        async with database.connection() as connection:
            await connection.execute("BEGIN; SELECT 2")
            await connection.execute("COMMIT")
    assert statements == ["SELECT 1", "BEGIN; SELECT 2", "COMMIT"]


async def test_what_locks_rows_and_looks_partitions_up_does_not_prune(ann, tasks, owner, counted):
    """PostgreSQL 18.4 may crash in a statement that does both: its transaction prunes nothing, others go on to."""
    for number, task in enumerate(tasks):
        await owner.execute("UPDATE tasks SET position = $2 WHERE id = $1", task, number)
    async with counted() as statements:
        await ann.request("POST", f"/tasks/{tasks[2]}/move", json={"after": tasks[0]})  # among tasks without a gap
        await ann.request("POST", "/notifications/read", json={"all": True})
        await ann.request("DELETE", f"/tasks/{tasks[0]}")
    begun = [statement for statement in statements if statement.startswith("BEGIN")]
    assert ["enable_partition_pruning" in statement for statement in begun] == [True, True, False]
