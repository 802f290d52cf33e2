"""PostgreSQL as the command line sees it: whether it is there, and what a superuser does before the migrations."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Final

import asyncpg

from taskbell.kit.postgres.connection import open_session
from taskbell.kit.postgres.errors import FAILED, describe, translating
from taskbell.store import databases
from taskbell.store.roles import prepare_roles

DATABASE: Final = "taskbell"
"""The database that holds everything."""


@contextlib.asynccontextmanager
async def connected(url: str, *, patience: float = 10.0) -> AsyncIterator[asyncpg.Connection]:
    """Yield one connection, made within `patience` seconds.

    Raises `OSError`, `TimeoutError` or `asyncpg.PostgresError` where that fails.
    """
    connection = await asyncpg.connect(url, timeout=patience)
    try:
        yield connection
    finally:
        await connection.close(timeout=patience)


class DatabaseUnreachable(Exception):
    """There is no PostgreSQL at an address, or it refuses the connection. The message is one line."""


_UNREACHABLE = translating(lambda refused: DatabaseUnreachable(describe(refused)), errors=FAILED)


async def require(url: str) -> None:
    """Check that a database accepts connections.

    Raises:
        DatabaseUnreachable: It does not.
    """
    async with open_session(url, away=_UNREACHABLE):
        return


async def ensure_roles(superuser_url: str, passwords: Mapping[str, str]) -> None:
    """Create the roles of the services that are absent and give each its password."""
    async with connected(superuser_url) as connection:
        await prepare_roles(connection, passwords=passwords)


async def ensure_database(superuser_url: str, name: str = DATABASE, *, template: str = "template0") -> None:
    """Create a database for the owner if it is absent, empty or a copy of another, and close it to everybody else."""
    async with connected(superuser_url) as connection:
        await databases.create_database(connection, name, template=template)
    within = await asyncpg.connect(superuser_url, database=name, timeout=10)
    try:
        await databases.close_database(within)
    finally:
        await within.close(timeout=10)


async def drop_database(superuser_url: str, name: str) -> None:
    """Drop a database if it exists, ending the sessions in it."""
    async with connected(superuser_url) as connection:
        await databases.drop_database(connection, name)
