"""The hot statements as PostgreSQL runs them under the API's role: the actor is set before any row is looked at."""

import random
from uuid import UUID

import asyncpg
import pytest

from taskbell.api.tasks import repository
from taskbell.api.tasks.paging import order_of
from taskbell.api.tasks.schemas import Sort, TaskFilters
from taskbell.api.tasks.selection import created_by, in_workspace
from taskbell.local import db

pytestmark = pytest.mark.feature("M33")

_MODES = ("force_generic_plan", "auto", "force_custom_plan")


@pytest.fixture
async def connection(database):
    """A connection as the API's role."""
    async with db.connected(database.api_url) as connection:
        yield connection


@pytest.fixture
async def tasks(ann, bob):
    """Two tasks of each of two strangers, by user id."""
    return {person.user_id: [UUID((await person.create())["id"]) for _ in range(2)] for person in (ann, bob)}


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
        await connection.fetch(repository._GET, "' OR true --", next(iter(tasks.values()))[0])


def _reads(actor, workspace, task):
    """Every statement that sets its actor itself, asking as `actor` for a workspace and a task."""
    page = repository.list_statement(in_workspace(workspace, TaskFilters()), order_of(Sort.POSITION), after=False)
    mine = repository.list_statement(created_by(actor, TaskFilters()), order_of(Sort.CREATED_AT), after=False)
    return {
        "get": (repository._GET, actor, task),
        "page": (page, actor, 10, workspace),
        "mine": (mine, actor, 10, actor),
        "role": (repository._ROLE, actor, workspace),
        "sort_keys": (repository._SORT_KEYS, actor, task),
    }


def _writes(actor, workspace, task, other):
    """Every statement that runs in a transaction with an actor, on a workspace and its tasks."""
    values = ("Taken", None, "pending", 5, None, None, [])
    return {
        "lock": (repository._LOCK, task),
        "update": (
            repository._UPDATE,
            task,
            workspace,
            *values,
            False,
            actor,
            None,
            ["task.updated"],
            ["{}"],
            [],
            [],
            "pending",
            None,
        ),
        "delete": (repository._DELETE, task, None, actor, None),
        "lock_order": (repository._LOCK_ORDER, task),
        "neighbours": (repository._NEIGHBOURS, workspace, task, other),
        "below": (repository._BELOW, workspace, other, 10**12, 10),
        "above": (repository._ABOVE, workspace, other, 0, 10),
        "move": (repository._MOVE, workspace, [task, other], [1, 2], actor, None),
    }


async def test_statements_that_read_find_nothing_foreign(connection, ann, bob, tasks):
    """Asked for another's task or workspace by id they return no row; asked for one's own they do."""
    for name, (statement, *arguments) in _reads(ann.user_id, ann.workspace_id, tasks[ann.user_id][0]).items():
        assert await connection.fetch(statement, *arguments), name
    for name, (statement, *arguments) in _reads(ann.user_id, bob.workspace_id, tasks[bob.user_id][0]).items():
        if name != "mine":
            assert await connection.fetch(statement, *arguments) == [], name
    foreign = repository.list_statement(created_by(bob.user_id, TaskFilters()), order_of(Sort.CREATED_AT), after=False)
    assert await connection.fetch(foreign, ann.user_id, 10, bob.user_id) == []


async def test_statements_that_write_meet_nothing_foreign(connection, owner, ann, bob, tasks):
    """On another's task they return no row and change none; on one's own they do."""
    for person, met in ((ann, True), (bob, False)):
        statements = _writes(ann.user_id, person.workspace_id, *tasks[person.user_id])
        for name, (statement, *arguments) in statements.items():
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute("SELECT set_config('taskbell.actor', $1, true)", ann.user_id)
            assert bool(await connection.fetch(statement, *arguments)) == met, name
            await transaction.rollback()
            if not met:
                assert await connection.fetch(statement, *arguments) == [], "nor without an actor"
    assert await owner.fetchval("SELECT count(*) FROM tasks WHERE version = 1") == 4
    assert await owner.fetchval("SELECT count(*) FROM events WHERE type <> 'member.added'") == 4


async def test_nothing_is_created_for_a_stranger(connection, ann, bob):
    """The statement that creates is refused by the database for a workspace that the actor does not belong to."""
    values = ("Planted", None, "pending", 5, None, None, [], None, [])
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await connection.fetch(repository._CREATE, ann.user_id, bob.workspace_id, *values)


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
            statement, *arguments = own[name]
            found = await connection.fetch(statement, *arguments)
            assert len(found) == (2 if name in {"page", "mine"} else 1), name
            if name == "mine":
                assert {row["id"] for row in found} == set(tasks[actor])
                continue
            statement, *arguments = foreign[name]
            assert await connection.fetch(statement, *arguments) == [], name
    assert await connection.fetch("SELECT * FROM tasks") == []
