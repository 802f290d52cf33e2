"""The hot statements as PostgreSQL runs them under the API's role: the actor is set before any row is looked at."""

import random
from uuid import UUID

import asyncpg
import pytest

from taskbell.api.tasks import repository
from taskbell.api.tasks.lists import in_workspace, of_user
from taskbell.api.tasks.policy import FIELDS
from taskbell.api.tasks.schemas import Sort, TaskCreate, TaskFilters, TaskRole
from taskbell.api.workspaces import membership
from taskbell.local import db

pytestmark = pytest.mark.feature("M33")

_FIELDS = TaskCreate(title="Taken").model_dump(exclude={"workspace_id"})
_MODES = ("force_generic_plan", "auto", "force_custom_plan")


@pytest.fixture
async def connection(database):
    """A connection as the API's role."""
    async with db.connected(database.api_url) as connection:
        yield connection


@pytest.fixture
async def tasks(ann, bob):
    """Two tasks of each of two strangers, by user id."""
    return {
        person.user_id: [UUID((await person.create(assignee_ids=[person.user_id]))["id"]) for _ in range(2)]
        for person in (ann, bob)
    }


async def test_select_star_shows_own_rows_only(connection, ann, bob, tasks):
    """A query without WHERE returns the actor's tasks, all of them and no other; without an actor none."""
    assert await connection.fetch("SELECT * FROM tasks") == []
    for person in (ann, bob):
        async with connection.transaction():
            await connection.execute("SELECT set_config('taskbell.actor', $1, true)", person.user_id)
            found = await connection.fetch("SELECT * FROM tasks")
            assert {row["id"] for row in found} == set(tasks[person.user_id])
            assert {str(row["workspace_id"]) for row in found} == {person.workspace_id}
        assert await connection.fetch("SELECT * FROM tasks") == []


async def test_an_actor_that_is_no_id_is_an_error(connection, tasks):
    """A malformed actor fails the statement instead of widening it."""
    with pytest.raises(asyncpg.DataError):
        await repository._GET.row(connection, actor="' OR true --", task_id=next(iter(tasks.values()))[0])


def _listed(listing):
    statement = repository.list_statement(tuple(listing.arguments), listing.sort, continued=False, adds_up=True)
    return statement, listing.arguments


def _reads(actor, workspace, task):
    """Every statement that sets its actor itself, asking as `actor` for a workspace and a task."""
    page, named = _listed(in_workspace(workspace, TaskFilters(), sort=Sort.POSITION))
    mine = {role: _listed(of_user(actor, role, TaskFilters(), sort=Sort.CREATED_AT)) for role in TaskRole}
    return {
        "get": (repository._GET, {"actor": actor, "task_id": task}),
        "page": (page, {"actor": actor, "limit": 10} | named),
        "role": (membership._ROLE, {"actor": actor, "workspace_id": workspace}),
        "sort_keys": (repository._SORT_KEYS, {"actor": actor, "task_id": task}),
        **{
            f"mine as {role}": (statement, {"actor": actor, "limit": 10, **_most(statement), **named})
            for role, (statement, named) in mine.items()
        },
    }


def _most(statement):
    return {"most": 100} if "most" in statement.parameters else {}


def _writes(actor, workspace, task, other):
    """Every statement that runs in a transaction with an actor, on a workspace and its tasks."""
    written = {"actor": actor, "traceparent": None}
    return {
        "lock": (repository._LOCK, {"task_id": task}),
        "delete": (repository._DELETE, {"task_id": task, "version": None} | written),
        "below": (repository._BELOW, {"workspace_id": workspace, "task_id": other, "position": 10**12, "limit": 10}),
        "above": (repository._ABOVE, {"workspace_id": workspace, "task_id": other, "position": 0, "limit": 10}),
        "respread": (
            repository._RESPREAD,
            {"workspace_id": workspace, "task_ids": [task, other], "positions": [1, 2], "moved_id": task} | written,
        ),
    }


def _functions(actor, task, other):
    """Every function that sets its actor itself and writes."""
    change = {
        "only_version": None,
        "only_workspace": None,
        "sent": list(FIELDS),
        "leads": [],
        "held": [],
        "brimful": [],
    }
    common = {"actor": actor, "task_id": task, "traceparent": None}
    values = {name: _FIELDS[name] for name in FIELDS}
    return {
        "change": (repository._CHANGE, common | values | change),
        "move": (repository._MOVE, common | {"anchor_id": other, "goes_before": False, "held": []}),
    }


async def test_statements_that_read_find_nothing_foreign(connection, ann, bob, tasks):
    """Asked for another's task or workspace by id they return no row; asked for one's own they do."""
    for name, (statement, named) in _reads(ann.user_id, ann.workspace_id, tasks[ann.user_id][0]).items():
        assert await statement.rows(connection, **named), name
    for name, (statement, named) in _reads(ann.user_id, bob.workspace_id, tasks[bob.user_id][0]).items():
        if not name.startswith("mine"):
            assert await statement.rows(connection, **named) == [], name
    for role in TaskRole:
        foreign, named = _listed(of_user(bob.user_id, role, TaskFilters(), sort=Sort.CREATED_AT))
        found = await foreign.rows(connection, actor=ann.user_id, limit=10, **_most(foreign), **named)
        assert [row for row in found if row["document"] is not None] == []


async def test_statements_that_write_meet_nothing_foreign(connection, owner, ann, bob, tasks):
    """On another's task they return no row and change none; on one's own they do."""
    for person, met in ((ann, True), (bob, False)):
        statements = _writes(ann.user_id, person.workspace_id, *tasks[person.user_id])
        for name, (statement, named) in statements.items():
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute("SELECT set_config('taskbell.actor', $1, true)", ann.user_id)
            assert bool(await statement.rows(connection, **named)) == met, name
            await transaction.rollback()
            if not met:
                assert await statement.rows(connection, **named) == [], "nor without an actor"
    assert await owner.fetchval("SELECT count(*) FROM tasks WHERE version = 1") == 4
    assert await owner.fetchval("SELECT count(*) FROM events WHERE type = 'task.created'") == 4


async def test_functions_that_write_meet_nothing_foreign(connection, owner, ann, bob, tasks):
    """Asked to change another's task, or next to another's, they refuse and write nothing; one's own they change."""
    mine, others = tasks[ann.user_id], tasks[bob.user_id]
    for task, other, outcomes in (
        (others[0], others[1], {"change": "refused", "move": "refused"}),
        (others[0], mine[1], {"change": "refused", "move": "refused"}),
        (mine[0], others[0], {"change": "changed", "move": "no_place"}),
        (mine[1], mine[0], {"change": "changed", "move": "unchanged"}),
        (mine[0], mine[1], {"change": "changed", "move": "changed"}),
    ):
        for name, (statement, named) in _functions(ann.user_id, task, other).items():
            transaction = connection.transaction()
            await transaction.start()
            row = await statement.row(connection, **named)
            await transaction.rollback()
            assert row["outcome"] == outcomes[name], (name, task, other)
            told = [row[field] for field in ("document", "version", "workspace_id")]
            assert outcomes[name] != "refused" or told == [None, None, None]
    assert await owner.fetchval("SELECT count(*) FROM tasks WHERE version = 1") == 4
    assert await owner.fetchval("SELECT count(*) FROM events WHERE type LIKE 'task.%'") == 8


async def test_nothing_is_created_for_a_stranger(connection, ann, bob):
    """The statement that creates is refused by the database for a workspace that the actor does not belong to."""
    named = {"actor": ann.user_id, "workspace_id": bob.workspace_id, "traceparent": None, "leads": []}
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await repository._CREATE.row(connection, **named, **_FIELDS)


@pytest.mark.parametrize("mode", _MODES)
async def test_the_actor_is_always_set_first(connection, ann, bob, tasks, mode):
    """On one connection, for two actors in turns and after whatever transactions, no statement leaks or misses a row.

    The order "set the actor, then scan" holds by the plan's shape; so it is tried under every way to choose a plan.
    """
    await connection.execute(f"SET plan_cache_mode = {mode}")
    chance = random.Random(mode)
    people = {person.user_id: person for person in (ann, bob)}
    for _ in range(50):
        actor, other = chance.sample(sorted(people), 2)
        match chance.randrange(4):
            case 0:
                async with connection.transaction():
                    await connection.execute("SELECT set_config('taskbell.actor', $1, true)", other)
                    assert len(await connection.fetch("SELECT id FROM tasks")) == 2
            case 1:
                transaction = connection.transaction()
                await transaction.start()
                await connection.execute("SELECT set_config('taskbell.actor', $1, true)", other)
                await transaction.rollback()
            case 2:
                with pytest.raises(asyncpg.DivisionByZeroError):
                    await connection.fetch("SELECT set_config('taskbell.actor', $1, true), 1 / 0", other)
        own = _reads(actor, people[actor].workspace_id, chance.choice(tasks[actor]))
        foreign = _reads(actor, people[other].workspace_id, chance.choice(tasks[other]))
        for name in chance.sample(sorted(own), len(own)):
            statement, named = own[name]
            found = await statement.rows(connection, **named)
            assert len(found) == (2 if name == "page" or name.startswith("mine") else 1), name
            if name.startswith("mine"):
                assert {row["id"] for row in found} == set(tasks[actor])
                continue
            statement, named = foreign[name]
            assert await statement.rows(connection, **named) == [], name
    assert await connection.fetch("SELECT * FROM tasks") == []
