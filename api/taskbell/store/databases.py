"""Databases of a PostgreSQL server: created for the schema's owner, given to it, dropped."""

from __future__ import annotations

import asyncpg

from taskbell.kit.postgres.statements import load
from taskbell.store.roles import OWNER

_OWNER_OF = load(__package__, "database_owner")
_IS_SUPERUSER = load(__package__, "is_superuser")
_IDENTIFIER = load(__package__, "quote_identifier")


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


async def drop_database(connection: asyncpg.Connection, name: str) -> None:
    """Drop a database if it exists, ending the sessions in it. Needs a superuser."""
    await connection.execute(f"DROP DATABASE IF EXISTS {await _IDENTIFIER.value(connection, text=name)} WITH (FORCE)")
