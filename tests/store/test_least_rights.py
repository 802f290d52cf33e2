"""Who holds the password of a program's role gets that program's rights, and no others."""

import contextlib

import asyncpg
import pytest

from taskbell.local import db
from taskbell.store import migrate, roles

pytestmark = pytest.mark.feature("M33")

_SERVICES = [role for role in roles.ROLES if role != roles.OWNER]
_FUNCTIONS = """
SELECT oid::regprocedure::text AS name, prosecdef AS definer, proconfig AS settings,
       ARRAY(SELECT format_type(kind, NULL) FROM unnest(proargtypes) AS kind)::text[] AS kinds,
       has_function_privilege(oid, 'EXECUTE') AS allowed
FROM pg_proc WHERE pronamespace = 'taskbell'::regnamespace ORDER BY 1
"""
_COLUMNS = """
SELECT c.relname AS relation,
       string_agg(format('%s::%s AS %I', CASE format_type(a.atttypid, NULL)
         WHEN 'uuid' THEN 's.id' WHEN 'uuid[]' THEN 'ARRAY[s.id]' WHEN 'text' THEN 's.word' ELSE 'NULL' END,
         format_type(a.atttypid, a.atttypmod), a.attname), ', ' ORDER BY a.attnum) AS columns
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND a.attnum > 0 AND NOT a.attisdropped
GROUP BY 1
"""
_STEAL = """
CREATE FUNCTION pg_temp.steal() RETURNS TABLE (id uuid, word text) LANGUAGE plpgsql AS $$
BEGIN
  IF current_user = 'taskbell_owner' THEN
    RAISE EXCEPTION 'foreign code ran as %', current_user;
  END IF;
  RETURN QUERY SELECT gen_random_uuid(), 'owner';
END $$;
GRANT EXECUTE ON FUNCTION pg_temp.steal() TO PUBLIC;
"""
_VALUES = {
    "uuid": "gen_random_uuid()",
    "uuid[]": "ARRAY[gen_random_uuid()]",
    "text": "'x'",
    "bytea": "'x'",
    "integer": "1",
    "boolean": "true",
}


def _address(database, role):
    return getattr(database, f"{role.removeprefix('taskbell_')}_url")


async def _attack(connection):
    """Put a view that runs code in the place of every table, then call whatever runs as the schema's owner."""
    tables = await connection.fetch(_COLUMNS)
    await connection.execute(_STEAL)
    for table in tables:
        name = f"pg_temp.{table['relation']}"
        await connection.execute(f"CREATE VIEW {name} AS SELECT {table['columns']} FROM pg_temp.steal() s")
        await connection.execute(f"GRANT SELECT ON {name} TO PUBLIC")
    await connection.execute("SELECT set_config('taskbell.actor', gen_random_uuid()::text, false)")
    called = [row for row in await connection.fetch(_FUNCTIONS) if row["definer"] and row["allowed"]]
    for function in called:
        values = ", ".join(_VALUES.get(kind, f"NULL::{kind}") for kind in function["kinds"])
        with contextlib.suppress(asyncpg.IntegrityConstraintViolationError):  # these values are no real ones
            await connection.execute(f"SELECT * FROM {function['name'].partition('(')[0]}({values})")
    return len(called)


@pytest.mark.parametrize("role", _SERVICES)
async def test_nobody_runs_code_as_the_schemas_owner(database, role):
    """Temporary relations named like the tables are not what functions that run as the owner read."""
    async with db.connected(database.superuser_url) as superuser:
        await superuser.execute(f'GRANT TEMPORARY ON DATABASE "{database.name}" TO {role}')
    async with db.connected(_address(database, role)) as connection:
        called = await _attack(connection)
    expected = {roles.API: 12, roles.SWEEPER: 2}
    assert called >= expected.get(role, 0)


async def test_the_attack_above_finds_a_function_that_searches_temporary_relations_first(database):
    """The same attack succeeds on a function whose path leaves `pg_temp` to its default place."""
    async with db.connected(database.superuser_url) as superuser:
        await superuser.execute(f'GRANT TEMPORARY ON DATABASE "{database.name}" TO taskbell_sweeper')
    async with db.connected(database.owner_url) as owner:
        await owner.execute(
            "CREATE FUNCTION taskbell.careless() RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER"
            " SET search_path = pg_catalog, public AS 'SELECT user_id FROM memberships';"
            " GRANT EXECUTE ON FUNCTION taskbell.careless TO taskbell_sweeper"
        )
    async with db.connected(database.sweeper_url) as connection:
        with pytest.raises(asyncpg.RaiseError, match="foreign code ran as taskbell_owner"):
            await _attack(connection)


async def test_functions_that_run_as_the_owner_search_nothing_that_others_can_write(database):
    """Each has a path of its own that ends with `pg_temp` and holds no schema in which anybody may create."""
    async with db.connected(database.owner_url) as owner:
        functions = await owner.fetch(_FUNCTIONS)
    definers = {row["name"]: row["settings"] for row in functions if row["definer"]}
    assert {name: paths for name, paths in definers.items() if paths != ["search_path=pg_catalog, pg_temp"]} == {}
    assert len(definers) > 7


@pytest.mark.parametrize("role", _SERVICES)
async def test_a_role_keeps_nothing_besides_rows(database, role):
    """No program's role creates temporary tables or large objects, nor anything in a schema."""
    await migrate.upgrade_async(database.owner_url)  # a copy of a database has the rights of a new one
    async with db.connected(_address(database, role)) as connection:
        for statement in (
            "CREATE TEMPORARY TABLE mine ()",
            "SELECT lo_create(0)",
            "SELECT lo_from_bytea(0, 'x')",
            "CREATE TABLE public.mine ()",
            "CREATE FUNCTION taskbell.mine() RETURNS integer LANGUAGE sql RETURN 1",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)


async def test_no_role_takes_all_connections_or_all_time(database):
    """Each program's role has a share of the connections, a time limit for statements and one for idle transactions."""
    async with db.connected(database.superuser_url) as superuser:
        most = int(await superuser.fetchval("SHOW max_connections"))
        found = await superuser.fetch(
            "SELECT rolname, rolconnlimit, array_to_string(setconfig, ' ') FROM pg_roles"
            " JOIN pg_db_role_setting s ON s.setrole = pg_roles.oid WHERE rolname = ANY ($1)",
            _SERVICES,
        )
    assert {row[0] for row in found} == set(_SERVICES)
    for name, connections, settings in found:
        assert 0 < connections <= most * (0.7 if name == roles.API else 0.25)
        assert "statement_timeout=" in settings
        assert "idle_in_transaction_session_timeout=" in settings
