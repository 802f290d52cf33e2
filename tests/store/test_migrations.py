"""The migrations are the schema: they build it from nothing, undo it, and agree with the models."""

import asyncio

import asyncpg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import CheckConstraint, inspect, text
from sqlalchemy.dialects.postgresql import base

from taskbell.local import db
from taskbell.store import migrate
from taskbell.store.models import Model, PgSnapshot, Xid8

_OBJECTS = """
SELECT 'relation ' || n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname IN ('public', 'taskbell')
UNION ALL SELECT 'function ' || p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname IN ('public', 'taskbell')
UNION ALL SELECT 'policy ' || tablename || '.' || policyname FROM pg_policies
UNION ALL SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname = 'taskbell'
ORDER BY 1
"""

_WAITING = """
SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'
"""


async def _objects(url):
    async with db.connected(url) as connection:
        return {row[0] for row in await connection.fetch(_OBJECTS)}


async def _on_engine(url, work):
    engine = migrate.engine_of(url)
    try:
        async with engine.connect() as connection:
            found = await connection.run_sync(work)
            await connection.commit()
            return found
    finally:
        await engine.dispose()


@pytest.mark.feature("H17", "M14")
async def test_from_empty_to_head_back_and_up_again(empty_database):
    """Migrating builds the schema, downgrading leaves nothing of it, and migrating again builds the same."""
    url = empty_database.owner_url
    assert await migrate.upgrade_async(url) == migrate.head()
    built = await _objects(url)
    assert len(built) > 40

    def downgrade(connection):
        command.downgrade(migrate._config(connection), "base")

    await _on_engine(url, downgrade)
    assert await _objects(url) <= {"relation public.alembic_version", "relation public.alembic_version_pkc"}
    await migrate.upgrade_async(url)
    assert await _objects(url) == built


async def test_migrating_at_head_changes_nothing(database):
    """A start of the platform on a migrated database is harmless, also when two start at once."""
    before = await _objects(database.owner_url)
    await asyncio.gather(*(migrate.upgrade_async(database.owner_url) for _ in range(2)))
    assert await _objects(database.owner_url) == before


@pytest.fixture
def read_schema(database, monkeypatch):
    """Reads how the database differs from the models, and the names of its checks."""
    monkeypatch.setitem(base.ischema_names, "xid8", Xid8)
    monkeypatch.setitem(base.ischema_names, "pg_snapshot", PgSnapshot)

    def read(connection):
        partitions = set(connection.scalars(text("SELECT relname FROM pg_class WHERE relispartition")))

        def wanted(name, kind, _parents):
            return kind != "table" or name not in partitions | {"alembic_version"}

        def meant(item, _name, kind, reflected, _compare_to):
            # PostgreSQL lists a key that refers to a partitioned table once more for each partition.
            return not (
                kind == "foreign_key_constraint" and reflected and item.elements[0].column.table.name in partitions
            )

        options = {"include_name": wanted, "include_object": meant, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        inspector = inspect(connection)
        checks = {
            (table, constraint["name"])
            for table in Model.metadata.tables
            for constraint in inspector.get_check_constraints(table)
        }
        return compare_metadata(context, Model.metadata), checks

    return lambda: _on_engine(database.owner_url, read)


@pytest.mark.feature("H17", "H18", "H19")
async def test_head_equals_models(read_schema):
    """Tables, columns, types, defaults, keys, indexes and checks are in the database as the models describe them."""
    differences, checks = await read_schema()
    assert differences == []
    assert checks == {
        (table.name, constraint.name)
        for table in Model.metadata.sorted_tables
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE users ADD COLUMN surprise text",
        "ALTER TABLE users ALTER COLUMN name DROP NOT NULL",
        "ALTER TABLE tasks ALTER COLUMN priority SET DEFAULT 4",
        "ALTER TABLE relay_state ALTER COLUMN stream_sequence TYPE integer",
        "DROP INDEX tasks_due_idx",
        "ALTER TABLE sessions DROP CONSTRAINT sessions_user_id_fkey",
    ],
)
async def test_the_comparison_sees_a_difference(database, read_schema, change):
    """The comparison above is no formality: each kind of deviation shows up in it."""
    async with db.connected(database.owner_url) as connection:
        await connection.execute(change)
    assert len((await read_schema())[0]) == 1


@pytest.mark.feature("M13", "M35")
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("priority", 0),
        ("priority", 11),
        ("title", ""),
        ("title", "x" * 256),
        ("status", "done"),
        ("description", "x" * 20001),
    ],
)
async def test_the_database_itself_refuses_bad_values(database, column, value):
    """A row that breaks a rule is refused by PostgreSQL, whatever code tries to write it."""
    row = {"title": "fine", "status": "pending", "priority": 5, "description": None} | {column: value}
    async with db.connected(database.owner_url) as connection:
        user, workspace = await _account(connection)
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute(
                "INSERT INTO tasks (workspace_id, created_by, title, status, priority, description)"
                " VALUES ($1, $2, $3, $4, $5, $6)",
                workspace,
                user,
                *row.values(),
            )


async def _account(connection):
    user = await connection.fetchval(
        "INSERT INTO users (id, email, name, personal_workspace_id)"
        " VALUES (taskbell.new_id(), 'one@example.com', 'One', taskbell.new_id()) RETURNING id"
    )
    workspace = await connection.fetchval(
        "INSERT INTO workspaces (id, name, created_by) VALUES (taskbell.new_id(), 'Mine', $1) RETURNING id", user
    )
    return user, workspace


async def test_the_version_before_leaves_a_newer_schema_alone(database):
    """After a rollback the Job of the version before finds a revision that it does not know, and is content."""
    async with db.connected(database.owner_url) as owner:
        await owner.execute("UPDATE alembic_version SET version_num = '9999'")
    assert await migrate.upgrade_async(database.owner_url) == "9999"


async def test_a_table_in_use_delays_the_migration_and_nobody_else(empty_database):
    """While a session such as a dump holds a table, the migration gives way to others and comes through afterwards."""
    url = empty_database.owner_url
    await migrate.upgrade_async(url)
    await _on_engine(url, lambda connection: command.downgrade(migrate._config(connection), "0006"))
    async with db.connected(url) as dump, db.connected(url) as other:
        held = dump.transaction()
        await held.start()
        await dump.fetch("SELECT 1 FROM reminders LIMIT 1")
        migrating = asyncio.create_task(migrate.upgrade_async(url))
        while not await other.fetchval(_WAITING, empty_database.name):  # noqa: ASYNC110 -- it asks
            await asyncio.sleep(0.05)
        await other.fetchval("SELECT count(*) FROM reminders", timeout=15)
        assert not migrating.done()
        await held.rollback()
    assert await migrating == migrate.head()


async def test_a_table_that_is_held_for_ever_is_told(empty_database, monkeypatch):
    """A migration that never gets its lock ends with a sentence, and leaves the schema as it was."""
    url = empty_database.owner_url
    await migrate.upgrade_async(url)
    await _on_engine(url, lambda connection: command.downgrade(migrate._config(connection), "0006"))
    for name, value in (("_LOCK_TRIES", 2), ("_LOCK_PAUSE", 0.01), ("_LOCK_TIMEOUT", "50ms")):
        monkeypatch.setattr(migrate, name, value)
    async with db.connected(url) as dump, dump.transaction():
        await dump.fetch("SELECT 1 FROM reminders LIMIT 1")
        with pytest.raises(migrate.TableHeld, match="2 tries"):
            await migrate.upgrade_async(url)
    assert await migrate.upgrade_async(url) == migrate.head()
