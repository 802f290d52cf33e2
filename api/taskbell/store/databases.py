"""Databases of a PostgreSQL server: created for the schema's owner, given to it, closed to others, dropped."""

from __future__ import annotations

import asyncpg
import structlog

from taskbell.kit.postgres.statements import load
from taskbell.store.roles import OWNER

_log = structlog.get_logger(__name__)
_OWNER_OF = load(__package__, "database_owner")
_IS_SUPERUSER = load(__package__, "is_superuser")
_IDENTIFIER = load(__package__, "quote_identifier")
_PUBLIC_RIGHTS = load(__package__, "public_rights")
_LARGE_OBJECT_FUNCTIONS = load(__package__, "large_object_functions")


async def create_database(connection: asyncpg.Connection, name: str, *, template: str = "template0") -> None:
    """Create a database for the schema's owner if it is absent: empty, or a copy of another. Needs a superuser."""
    if await _OWNER_OF.value(connection, name=name) is None:
        quoted, source = [await _IDENTIFIER.value(connection, text=text) for text in (name, template)]
        await connection.execute(f"CREATE DATABASE {quoted} OWNER {OWNER} TEMPLATE {source}")


async def give_database(connection: asyncpg.Connection, name: str) -> None:
    """Give a database to the schema's owner. Needs a superuser, or its owner with CREATEDB who made the roles."""
    if await _OWNER_OF.value(connection, name=name) == OWNER:
        return
    if not await _IS_SUPERUSER.value(connection):
        # Only who could act as the new owner may give something to it.
        await connection.execute(f"GRANT {OWNER} TO CURRENT_USER")
    await connection.execute(f"ALTER DATABASE {await _IDENTIFIER.value(connection, text=name)} OWNER TO {OWNER}")


async def close_database(connection: asyncpg.Connection) -> None:
    """Take from PUBLIC, in the database of this connection, what no program needs. Does nothing the second time.

    That is temporary tables and new objects in the schema `public`, which the database's owner may take, and large
    objects, which only a superuser may. Whoever may not leaves them as they are: a right too many stops no migration.
    """
    rights = await _PUBLIC_RIGHTS.row(connection)
    assert rights is not None  # noqa: S101 -- a SELECT without FROM
    if rights["temporary"]:
        if rights["owns_database"]:
            await connection.execute(f"REVOKE TEMPORARY ON DATABASE {rights['database']} FROM PUBLIC")
        else:
            _log.warning("public_keeps_right", right="temporary tables", remedy="make taskbell_owner the owner")
    if rights["creates"] and rights["owns_database"]:
        await connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    if rights["superuser"]:
        for row in await _LARGE_OBJECT_FUNCTIONS.rows(connection):
            await connection.execute(f"REVOKE EXECUTE ON FUNCTION {row[0]} FROM PUBLIC")


async def drop_database(connection: asyncpg.Connection, name: str) -> None:
    """Drop a database if it exists, ending the sessions in it. Needs a superuser."""
    await connection.execute(f"DROP DATABASE IF EXISTS {await _IDENTIFIER.value(connection, text=name)} WITH (FORCE)")
