"""Migrating builds the schema, agrees with the models, gives way to others and refuses what it cannot migrate."""

import asyncio
import os
import shutil
import subprocess
import sys
from uuid import UUID

import asyncpg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import CheckConstraint, inspect, text
from sqlalchemy.dialects.postgresql import base

from taskbell.kit.ids import new_id
from taskbell.local import db
from taskbell.store import migrate, revisions, schema_files
from taskbell.store.declarative import PgSnapshot, Xid8
from taskbell.store.models import Model

# SQLAlchemy 2.1 warns of what it reflects itself about a constraint that is NOT VALID.
pytestmark = pytest.mark.filterwarnings("ignore:Can't validate argument 'dialect_options'")

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
async def test_from_empty_to_head(empty_database):
    """Migrating builds the schema from nothing, also when two processes do it at once."""
    url = empty_database.owner_url
    assert await asyncio.gather(*(migrate.upgrade_async(url) for _ in range(2))) == [revisions.head()] * 2
    assert len(await _objects(url)) > 40


async def test_migrating_at_head_changes_nothing(database):
    """A start of the platform on a migrated database is harmless, also when two start at once."""
    before = await _objects(database.owner_url)
    await asyncio.gather(*(migrate.upgrade_async(database.owner_url) for _ in range(2)))
    assert await _objects(database.owner_url) == before


@pytest.fixture
def read_schema(monkeypatch):
    """Reads how a database differs from the models, and the names of its checks."""
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

    return lambda database: _on_engine(database.owner_url, read)


@pytest.mark.feature("H17", "H18", "H19")
async def test_head_equals_models(database, read_schema):
    """Tables, columns, types, defaults, keys, indexes and checks are in the database as the models describe them."""
    differences, checks = await read_schema(database)
    assert differences == []
    assert checks == {
        (table.name, constraint.name)
        for table in Model.metadata.sorted_tables
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }


async def test_partitions_and_sequence_equal_the_models(database):
    """Tables are partitioned as the models say, each with a default partition, and positions come from the sequence."""
    async with db.connected(database.owner_url) as owner:
        keys = await owner.fetch(
            "SELECT partrelid::regclass::text, pg_get_partkeydef(partrelid) FROM pg_partitioned_table"
        )
        defaults = await owner.fetch("SELECT relname FROM pg_class JOIN pg_partitioned_table ON partdefid = oid")
        sequences = await owner.fetch("SELECT sequencename, start_value, increment_by FROM pg_sequences")
    options = {
        table.name: table.dialect_options["postgresql"]["partition_by"] for table in Model.metadata.sorted_tables
    }
    partitioned = {name: key for name, key in options.items() if key is not None}
    assert dict(keys) == partitioned
    assert {row[0] for row in defaults} == {f"{name}_default" for name in partitioned}
    assert {tuple(row) for row in sequences} == {
        (sequence.name, sequence.start, sequence.increment) for sequence in Model.metadata._sequences.values()
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
    assert len((await read_schema(database))[0]) == 1


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


@pytest.fixture
async def behind(database):
    """A database that has yet to get the policies of `reminders`."""
    async with db.connected(database.owner_url) as owner:
        await owner.execute("UPDATE taskbell.schema_files SET hashes = (hashes::jsonb - 'access/reminders.sql')::json")
    return database


async def test_a_table_in_use_delays_the_migration_and_nobody_else(behind):
    """While a session such as a dump holds a table, the migration gives way to others and comes through afterwards."""
    url = behind.owner_url
    async with db.connected(url) as dump, db.connected(url) as other:
        held = dump.transaction()
        await held.start()
        await dump.fetch("SELECT 1 FROM reminders LIMIT 1")
        migrating = asyncio.create_task(migrate.upgrade_async(url))
        while not await other.fetchval(_WAITING, behind.name):  # noqa: ASYNC110 -- it asks
            await asyncio.sleep(0.05)
        await other.fetchval("SELECT count(*) FROM reminders", timeout=15)
        assert not migrating.done()
        await held.rollback()
    assert await migrating == revisions.head()
    assert await revisions.wait_for_head(url, patience=0) == revisions.head()


async def test_a_table_that_is_held_forever_is_told(behind, monkeypatch):
    """A migration that never gets its lock ends with a sentence, and leaves the schema as it was."""
    url = behind.owner_url
    for name, value in (("_LOCK_TRIES", 2), ("_LOCK_PAUSE", 0.01), ("_LOCK_TIMEOUT", "50ms")):
        monkeypatch.setattr(migrate, name, value)
    before = await _objects(url)
    async with db.connected(url) as dump, dump.transaction():
        await dump.fetch("SELECT 1 FROM reminders LIMIT 1")
        with pytest.raises(revisions.TableHeld, match="2 tries"):
            await migrate.upgrade_async(url)
    assert await _objects(url) == before
    assert await migrate.upgrade_async(url) == revisions.head()


def test_the_newest_file_is_alembics_head():
    """What programs take for the newest revision by the files' names, Alembic takes for it by their links."""
    assert ScriptDirectory.from_config(migrate._config()).get_current_head() == revisions.head()


@pytest.fixture
def next_release(tmp_path, monkeypatch):
    """The code of a later release: a migration that adds a column, and a file that reads it."""
    folder = tmp_path / "migrations"
    shutil.copytree(revisions.MIGRATIONS, folder)
    (folder / "versions" / "9000_shade.py").write_text(_SHADE.format(before=revisions.head()))
    texts = schema_files.texts()
    path = "functions/task_document.sql"
    document = texts[path].replace("\n);", ", shade text\n);").replace("\n  )::", ", t.shade\n  )::")
    monkeypatch.setattr(revisions, "MIGRATIONS", folder)
    monkeypatch.setattr(schema_files, "texts", lambda: texts | {path: document})
    return texts


_SHADE = """
from alembic import op

revision, down_revision, branch_labels, depends_on = "9000", "{before}", None, None


def upgrade():
    op.execute("ALTER TABLE tasks ADD COLUMN shade text")
"""


async def test_a_release_brings_a_column_and_the_functions_that_read_it(database, next_release):
    """A migration and the files that go with it arrive together."""
    assert await migrate.upgrade_async(database.owner_url) == "9000"
    async with db.connected(database.owner_url) as owner:
        document = await owner.fetchval("SELECT taskbell.task_document(NULL::tasks)::text")
    assert document.endswith('"shade":null}')


async def test_a_release_whose_files_fail_leaves_the_tables_too(database, next_release, monkeypatch):
    """Migrations and files are one transaction: a wrong file keeps the column out, and the revision."""
    broken = next_release | {"access/users.sql": "GRANT NOTHING ON users TO taskbell_api"}
    monkeypatch.setattr(schema_files, "texts", lambda: broken)
    with pytest.raises(asyncpg.PostgresSyntaxError):
        await migrate.upgrade_async(database.owner_url)
    async with db.connected(database.owner_url) as owner:
        assert await owner.fetchval("SELECT version_num FROM alembic_version") < "9000"
        with pytest.raises(asyncpg.UndefinedColumnError):
            await owner.fetch("SELECT shade FROM tasks")


_FORMER = """
ALTER TABLE tasks DROP COLUMN assignee_ids, ADD COLUMN assignee_ids uuid[] NOT NULL DEFAULT '{}'
  CONSTRAINT tasks_assignees_count CHECK (cardinality(assignee_ids) <= 50);
ALTER TABLE job_log DROP COLUMN planned_at, ADD COLUMN planned_at timestamptz;
CREATE TYPE taskbell.task_wire AS (id uuid);
CREATE FUNCTION taskbell.task_document(t tasks) RETURNS json LANGUAGE sql STABLE AS 'SELECT NULL::json';
CREATE FUNCTION taskbell.role_in(workspace uuid) RETURNS text LANGUAGE sql STABLE AS 'SELECT NULL::text';
CREATE POLICY seen ON tasks FOR SELECT TO taskbell_api USING (taskbell.role_in(workspace_id) IS NOT NULL);
GRANT SELECT ON tasks TO taskbell_api;
"""
"""What a database of the former chain, 0001 to 0007, has besides the first migration: another order of columns, and
functions and policies that no file applied."""


@pytest.fixture
async def former(empty_database, monkeypatch):
    """A database as the former chain left it."""

    async def nothing(_connection):
        """Apply no file."""

    url = empty_database.owner_url
    with monkeypatch.context() as without_files:
        without_files.setattr(schema_files, "apply", nothing)
        await _on_engine(url, lambda connection: command.upgrade(migrate._config(connection), "0007"))
    async with db.connected(url) as owner:
        await owner.execute(_FORMER)
    return empty_database


async def test_a_database_of_the_former_chain_gets_the_files(former, database, read_schema):
    """Its tables are those of the first migration: it keeps its rows, gets the files, and equals the models."""
    async with db.connected(former.owner_url) as owner:
        user, _ = await _account(owner)
        assert await migrate.upgrade_async(former.owner_url) == revisions.head()
        assert await owner.fetchval("SELECT name FROM users WHERE id = $1", user) == "One"
    assert await _objects(former.owner_url) == await _objects(database.owner_url)
    assert (await read_schema(former))[0] == []


async def test_one_of_several_accounts_with_one_address_keeps_it(former):
    """Spellings that have become one address, in any number, stop no upgrade: the oldest account has the address."""
    spellings = ["h\u0331\u1e96@example.com", "\u1e96h\u0331@example.com", "h\u0331h\u0331@example.com"]
    async with db.connected(former.owner_url) as owner:
        for number, spelling in enumerate(spellings):
            await owner.execute(
                "INSERT INTO users (id, email, name, personal_workspace_id) VALUES ($1, $2, 'One', $1)",
                UUID(int=number),
                spelling,
            )
        await migrate.upgrade_async(former.owner_url)
        found = [row[0] for row in await owner.fetch("SELECT email FROM users ORDER BY id")]
    assert found == ["\u1e96\u1e96@example.com", *spellings[1:]]


async def test_tasks_that_were_due_before_become_overdue_too(former):
    """Open tasks whose due time is to come get the reminder that new tasks get; others do not."""
    async with db.connected(former.owner_url) as owner:
        user, workspace = await _account(owner)
        for status, hours in (("pending", 5), ("in_progress", 6), ("completed", 5), ("pending", -5), ("pending", None)):
            await owner.execute(
                "INSERT INTO tasks (id, workspace_id, title, status, due_at, created_by)"
                " VALUES ($1, $2, 'T', $3, now() + $4 * interval '1 hour', $5)",
                new_id(),
                workspace,
                status,
                hours,
                user,
            )
        await migrate.upgrade_async(former.owner_url)
        ask = "SELECT r.kind, fire_at = due_at, status FROM reminders r JOIN tasks t ON t.id = task_id ORDER BY fire_at"
        found = [tuple(row) for row in await owner.fetch(ask)]
    assert found == [("overdue", True, "pending"), ("overdue", True, "in_progress")]


@pytest.fixture(params=["taskbell.local", "taskbell.store"])
def migrate_command(request, former):
    """Runs `taskbell migrate` or `python -m taskbell.store migrate` on the database."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TASKBELL_")}
    return lambda: subprocess.run(
        [sys.executable, "-m", request.param, "migrate"],
        env={**kept, "TASKBELL_DATABASE_URL": former.owner_url},
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )


async def test_an_older_database_of_the_former_chain_is_refused(former, migrate_command):
    """Before 0007 nothing is changed, and one line says what to do."""
    async with db.connected(former.owner_url) as owner:
        await owner.execute("UPDATE alembic_version SET version_num = '0004'")
        before = await _objects(former.owner_url)
        done = await asyncio.to_thread(migrate_command)
        assert await owner.fetchval("SELECT version_num FROM alembic_version") == "0004"
    assert await _objects(former.owner_url) == before
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "the database has schema 0004" in done.stderr
    assert "bring it to 0007 with the version before, then migrate again" in done.stderr


async def test_a_migration_gives_way_before_a_deadlock_is_looked_for(database, owner):
    """Its wait for a lock is shorter than PostgreSQL's deadlock check, which could end a request instead."""
    waits_less = "SELECT $1::text::interval < current_setting('deadlock_timeout')::interval"
    assert await owner.fetchval(waits_less, migrate._LOCK_TIMEOUT)
