"""The files of `schema/` are the functions, policies and grants of a migrated database, no more and no less."""

import asyncio

import asyncpg
import pytest

from taskbell.local import db
from taskbell.store import migrate, revisions, schema_files
from taskbell.store.models import Model

_CATALOG = """
SELECT 'function ' || oid::regprocedure, pg_get_functiondef(oid) || coalesce(obj_description(oid, 'pg_proc'), '')
  FROM pg_proc WHERE pronamespace = 'taskbell'::regnamespace
UNION ALL SELECT 'type ' || c.relname, string_agg(a.attname || ' ' || a.atttypid::regtype, ', ' ORDER BY a.attnum)
  FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid
  WHERE c.relnamespace = 'taskbell'::regnamespace AND c.relkind = 'c' GROUP BY c.relname
UNION ALL SELECT 'policy ' || tablename || '.' || policyname,
    concat_ws(' ', permissive, roles::text, cmd, 'USING', qual, 'CHECK', with_check) FROM pg_policies
UNION ALL SELECT 'row security ' || relname, relrowsecurity || ' ' || relforcerowsecurity
  FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
UNION ALL SELECT 'grant ' || what || ' ' || coalesce(nullif(acl.grantee, 0)::regrole::text, 'PUBLIC'),
    string_agg(acl.privilege_type || acl.is_grantable, ' ' ORDER BY acl.privilege_type)
  FROM (
    SELECT 'on ' || oid::regprocedure AS what, coalesce(proacl, acldefault('f', proowner)) AS rights
      FROM pg_proc WHERE pronamespace = 'taskbell'::regnamespace
    UNION ALL SELECT 'on ' || oid::regclass,
        coalesce(relacl, acldefault((CASE relkind WHEN 'S' THEN 's' ELSE 'r' END)::"char", relowner))
      FROM pg_class WHERE relnamespace IN ('public'::regnamespace, 'taskbell'::regnamespace)
        AND relkind IN ('r', 'p', 'S')
    UNION ALL SELECT 'on ' || attrelid::regclass || '.' || attname, attacl
      FROM pg_attribute WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)
    UNION ALL SELECT 'on schema ' || nspname, nspacl FROM pg_namespace WHERE nspname = 'taskbell'
  ) holders CROSS JOIN aclexplode(rights) acl
  GROUP BY 1
"""
_ROWS = """
SELECT 'function ' || proname AS what, xmin::text FROM pg_proc WHERE pronamespace = 'taskbell'::regnamespace
UNION ALL SELECT 'policy ' || polrelid::regclass || '.' || polname, xmin::text FROM pg_policy
UNION ALL SELECT 'relation ' || oid::regclass, xmin::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
UNION ALL SELECT 'record', xmin::text FROM taskbell.schema_files
"""
"""Which transaction wrote each row of the catalog last."""


@pytest.fixture
async def owner(database):
    """A connection as the schema's owner."""
    async with db.connected(database.owner_url) as connection:
        yield connection


@pytest.fixture
def read(owner):
    """Reads the catalog: each thing by its name."""

    async def read(query=_CATALOG):
        return dict(await owner.fetch(query))

    return read


@pytest.fixture
def change(monkeypatch):
    """Changes the files that the code has: `None` takes a file away."""

    def change(files):
        texts = schema_files.texts() | files
        kept = {path: text for path, text in texts.items() if text is not None}
        monkeypatch.setattr(schema_files, "texts", lambda: kept)

    return change


async def _forget(owner, *paths):
    """Make the database forget that it has these files, or any."""
    if paths:
        await owner.execute("UPDATE taskbell.schema_files SET hashes = (hashes::jsonb - $1::text[])::json", list(paths))
    else:
        await owner.execute("UPDATE taskbell.schema_files SET hashes = '{}'")


async def test_every_function_and_table_has_its_file(owner):
    """Each function and each relation has the file of its name, and there are no other files."""
    names = {folder: set() for folder in ("functions", "access")}
    for path in schema_files.texts():
        folder, _, name = path.partition("/")
        names[folder].add(name.removesuffix(".sql"))
    functions = await owner.fetch("SELECT proname FROM pg_proc WHERE pronamespace = 'taskbell'::regnamespace")
    assert [row[0] for row in functions if row[0] not in names["functions"]] == []
    assert len(functions) == len(names["functions"])
    assert names["access"] == {
        *Model.metadata.tables,
        "alembic_version",
        "task_position",
        "taskbell",
        "taskbell.schema_files",
    }


async def test_applying_all_files_again_changes_nothing(database, owner, read):
    """A database from empty is what the files say: applied over it once more they change nothing."""
    before = await read()
    await _forget(owner)
    await migrate.upgrade_async(database.owner_url)
    assert await read() == before
    assert len(before) > 150


@pytest.mark.parametrize(
    "damage",
    [
        "DROP POLICY seen ON tasks",
        "CREATE POLICY everything ON tasks TO taskbell_gateway USING (true)",
        "ALTER POLICY swept ON reminders USING (false)",
        "ALTER TABLE tasks NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE users DISABLE ROW LEVEL SECURITY",
        "GRANT DELETE ON users TO taskbell_relay",
        "GRANT SELECT (email) ON users TO taskbell_gateway",
        "GRANT SELECT ON tasks TO PUBLIC",
        "REVOKE USAGE ON SEQUENCE task_position FROM taskbell_api",
        "GRANT CREATE ON SCHEMA taskbell TO taskbell_api",
        "GRANT EXECUTE ON FUNCTION taskbell.account_by_email TO taskbell_gateway",
        "CREATE FUNCTION taskbell.stray() RETURNS integer LANGUAGE sql RETURN 1",
        "CREATE FUNCTION taskbell.actor(other uuid) RETURNS uuid LANGUAGE sql RETURN other",
        "CREATE OR REPLACE FUNCTION taskbell.role_in(workspace uuid) RETURNS text LANGUAGE sql RETURN 'owner'",
        "ALTER FUNCTION taskbell.members_of SECURITY INVOKER",
        "CREATE TYPE taskbell.stray AS (field integer)",
        "DROP TYPE taskbell.task_wire",
    ],
)
async def test_what_differs_from_the_files_is_seen_and_removed(database, owner, read, damage):
    """Each kind of deviation shows up in the comparison above, and the files remove it when they are applied."""
    before = await read()
    await owner.execute(damage)
    assert await read() != before
    await _forget(owner)
    await migrate.upgrade_async(database.owner_url)
    assert await read() == before


async def test_files_that_did_not_change_cost_nothing(database, read):
    """Migrating a database that has all files writes no row of the catalog."""
    before = await read(_ROWS)
    await migrate.upgrade_async(database.owner_url)
    assert await read(_ROWS) == before


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("functions/notify.sql", {"function notify"}),
        (
            "access/reminders.sql",
            {f"policy reminders.{name}" for name in ("maintenance", "seen", "planned", "unplanned", "swept", "watched")}
            | {"relation reminders"},
        ),
    ],
)
async def test_a_changed_file_is_applied_and_no_other(database, read, change, path, what):
    """The next migration applies a file that changed, and writes nothing that other files create."""
    before = await read(_ROWS)
    change({path: schema_files.texts()[path] + "-- changed\n"})
    await migrate.upgrade_async(database.owner_url)
    after = await read(_ROWS)
    assert {name for name in after if after[name] != before[name]} == what | {"record"}


@pytest.mark.parametrize(
    "form",
    [
        "role_in(workspace uuid, unused integer DEFAULT 0) RETURNS text",
        "role_in(place uuid) RETURNS text",
        "role_in(workspace uuid) RETURNS varchar",
    ],
)
async def test_a_function_of_another_form_takes_the_place_of_the_former(database, owner, read, change, form):
    """A function whose parameters or result change is one function afterwards, and the policies use it."""
    policies = {name for name in await read() if name.startswith("policy ")}
    path = "functions/role_in.sql"
    text = schema_files.texts()[path].replace("role_in(workspace uuid) RETURNS text", form)
    change({path: text.replace("= workspace\n", "= $1\n")})
    await migrate.upgrade_async(database.owner_url)
    found = [name for name in await read() if name.startswith("function taskbell.role_in")]
    assert len(found) == 1
    assert {name for name in await read() if name.startswith("policy ")} == policies
    assert await owner.fetchval("SELECT taskbell.role_in(gen_random_uuid()) IS NULL")


async def test_a_field_is_added_to_the_document(database, owner, change):
    """A type that a function needs changes with the function's file."""
    path = "functions/task_document.sql"
    text = schema_files.texts()[path]
    change({path: text.replace("\n);", ", shade text\n);").replace("\n  )::", ", 'dark'\n  )::")})
    await migrate.upgrade_async(database.owner_url)
    document = await owner.fetchval("SELECT taskbell.task_document(NULL::tasks)::text")
    assert document.endswith(',"shade":"dark"}')


async def test_what_a_removed_file_created_goes(database, read, change):
    """A function or access without a file is gone after the next migration; row-level security stays on."""
    before = await read()
    change({"functions/members_of.sql": None, "access/webhooks.sql": None})
    await migrate.upgrade_async(database.owner_url)
    after = await read()
    gone = {name for name in before if name not in after}
    assert {name for name in gone if "members_of" not in name and "webhooks" not in name} == set()
    assert [name for name in after if "members_of" in name or name.startswith("policy webhooks.")] == []
    assert {name.rpartition(" ")[2] for name in after if name.startswith("grant on webhooks")} == {"taskbell_owner"}
    assert after["row security webhooks"] == "true true"


async def test_a_file_that_fails_changes_nothing(database, read, change):
    """All files are one transaction: when one is wrong, the database stays as it was."""
    before = await read(_ROWS)
    change({"access/reminders.sql": None, "access/users.sql": "GRANT NOTHING ON users TO taskbell_api"})
    with pytest.raises(asyncpg.PostgresSyntaxError):
        await migrate.upgrade_async(database.owner_url)
    assert await read(_ROWS) == before


async def test_the_version_before_leaves_newer_files_alone(database, owner, read):
    """After a rollback the version before applies none of its files, and its services are content."""
    await owner.execute("UPDATE taskbell.schema_files SET version = '99.10', hashes = '{}'")
    before = await read(_ROWS)
    await migrate.upgrade_async(database.owner_url)
    assert await read(_ROWS) == before
    assert await revisions.wait_for_head(database.gateway_url, patience=0) == revisions.head()


def test_versions_are_compared_as_numbers():
    """0.10 is newer than 0.9; the same version with other files is not enough, nor is its pre-release."""
    wanted = schema_files.Applied(version="0.10.0", hashes={"functions/a.sql": "1"})
    same = {"version": "0.10.0", "hashes": wanted.hashes}
    for replaced, enough in [
        ({}, True),
        ({"version": "0.9.0"}, True),
        ({"hashes": {}}, False),
        ({"version": "0.9.9", "hashes": {}}, False),
        ({"version": "0.11.0", "hashes": {}}, True),
        ({"version": "1.0", "hashes": {}}, True),
        ({"version": "0.10.0rc1", "hashes": {}}, False),
        ({"version": "0.10.0+build5", "hashes": {}}, False),
    ]:
        assert schema_files.suffices(schema_files.Applied(**{**same, **replaced}), wanted) is enough
    assert not schema_files.suffices(None, wanted)


async def test_services_wait_for_the_files_too(database, owner):
    """A pod whose functions have not come yet waits, and starts when they are there."""
    await _forget(owner, "functions/notify.sql")
    with pytest.raises(revisions.SchemaNotReached, match="without its functions and policies"):
        await revisions.wait_for_head(database.sweeper_url, patience=0)
    waiting = asyncio.create_task(revisions.wait_for_head(database.sweeper_url, patience=30))
    await migrate.upgrade_async(database.owner_url)
    assert await waiting == revisions.head()
