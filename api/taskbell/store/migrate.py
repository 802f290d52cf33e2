"""Schema migrations, from empty to head, one runner at a time."""

from __future__ import annotations

import asyncio
from functools import partial
from importlib.resources import files
from typing import Any

import asyncpg
import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from taskbell.store.partitions import MaintenanceSettings, run

_log = structlog.get_logger(__name__)
_ADVISORY_LOCK = 0x7461736B
"""One migration at a time in a database; this connection is direct, never pooled."""


_LOCK_TIMEOUT = "3s"
"""How long a change of a table may wait for its lock: all who come later to that table wait behind it."""
_LOCK_TRIES = 100
_LOCK_PAUSE = 2.0
"""Seconds between two tries, in which they get through."""


class TableHeld(Exception):
    """Some session, such as a dump, held a table for so long that the schema could not be changed."""


class SchemaNotReached(Exception):
    """The database did not come to the schema that this code knows within the time given."""


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("taskbell.store") / "migrations"))
    config.attributes["connection"] = connection
    return config


def head() -> str:
    """The newest revision that this code knows."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None  # noqa: S101 -- the first migration is part of the package
    return revision


def engine_of(url: str) -> AsyncEngine:
    """SQLAlchemy's engine on a database. asyncpg reads the address itself: it alone knows `sslmode` and its like."""
    return create_async_engine("postgresql+asyncpg://", async_creator=partial(asyncpg.connect, url))


async def upgrade_async(url: str) -> str:
    """Bring a database to head and make its partitions; returns the revision. `url` has the owner's rights.

    A schema that is newer than this code stays as it is: after a rollback the version before serves on it.

    Raises:
        TableHeld: A table was held for minutes by somebody else; what was done until then stays done.
    """
    engine = engine_of(url)
    try:
        async with engine.connect() as connection:
            await connection.execute(text(f"SELECT pg_advisory_lock({_ADVISORY_LOCK})"))
            await connection.commit()
            await connection.execute(text(f"SET lock_timeout = '{_LOCK_TIMEOUT}'"))
            await connection.commit()
            revision = await _upgrade_between_others(connection)
            await connection.commit()
            await connection.execute(text(f"SELECT pg_advisory_unlock({_ADVISORY_LOCK})"))
            await connection.commit()
    finally:
        await engine.dispose()
    settings: dict[str, Any] = {"database_url": url}
    await run(MaintenanceSettings(**settings))
    return revision


async def _upgrade_between_others(connection: AsyncConnection) -> str:
    """Upgrade without holding up who uses the tables: give way to whoever holds one, and try again."""
    for tries in range(1, _LOCK_TRIES + 1):
        try:
            return await connection.run_sync(_upgrade)
        except (DBAPIError, asyncpg.LockNotAvailableError) as refused:
            reason = refused.orig if isinstance(refused, DBAPIError) else refused  # scripts go to asyncpg itself
            if getattr(reason, "sqlstate", None) != asyncpg.LockNotAvailableError.sqlstate:
                raise
            await connection.rollback()
            _log.warning("migration_waits_for_a_table", tries=tries, reason=str(reason))
        await asyncio.sleep(_LOCK_PAUSE)
    raise TableHeld(f"a table was held by another session at {_LOCK_TRIES} tries; end that session, then migrate again")


def _upgrade(connection: Connection) -> str:
    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and found > head():
        return found
    command.upgrade(_config(connection), "head")
    return head()


def upgrade(url: str) -> str:
    """Bring a database to head from a place without an event loop."""
    return asyncio.run(upgrade_async(url))


async def wait_for_head(url: str, *, patience: float) -> str:
    """Return the database's revision once it is at least as new as this code knows; `url` may be any service's.

    Raises:
        SchemaNotReached: It is not within `patience` seconds; the message says what was found instead.
    """
    wanted = head()
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    while True:
        try:
            found = await _revision(url)
        except (OSError, TimeoutError, asyncpg.PostgresError) as refused:
            found, seen = None, f"{type(refused).__name__}: {refused}"
        else:
            seen = f"schema {found}"
        if found is not None and found >= wanted:
            return found
        if loop.time() >= deadline:
            raise SchemaNotReached(f"wanted schema {wanted}, after {patience:g} s: {seen}")
        await asyncio.sleep(0.5)


async def _revision(url: str) -> str | None:
    connection = await asyncpg.connect(url, timeout=5)
    try:
        revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    finally:
        await connection.close(timeout=5)
    return revision
