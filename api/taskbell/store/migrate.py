"""Brings a database to the schema of this code: its tables by migrations, all else by the files of `schema/`."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import asyncpg
import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from taskbell.kit.postgres.connection import connect_directly
from taskbell.store import revisions
from taskbell.store.databases import close_database
from taskbell.store.partitions import MaintenanceSettings, run

_log = structlog.get_logger(__name__)
_ADVISORY_LOCK = 0x7461736B
"""One migration at a time in a database: the lock belongs to the session, so a pooler is refused."""
_LOCK_TIMEOUT = "300ms"
"""How long a change of a table may wait for its lock: all who come later to that table wait behind it.

It is shorter than PostgreSQL's deadlock_timeout (1 s), so that in a deadlock the migration gives way, not a request.
"""
_FOR_THE_SESSION = False
_LOCK_TRIES = 100
_LOCK_PAUSE = 2.0
"""Seconds between two tries, in which they get through."""
_CONNECT_SECONDS = 60.0
_HELD = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)
"""A table is held by another session."""


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(revisions.MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def engine_of(url: str) -> AsyncEngine:
    """SQLAlchemy's engine on a database. asyncpg reads the address itself: it alone knows `sslmode` and its like."""
    return create_async_engine("postgresql+asyncpg://", async_creator=partial(asyncpg.connect, url))


async def upgrade_async(url: str) -> str:
    """Bring a database to head and make its partitions; returns the revision. `url` has the owner's rights.

    All migrations and files are one transaction. A schema that is newer than this code stays as it is: after a rollback
    the version before serves on it.

    Raises:
        PoolerInBetween: A pooler answered.
        TableHeld: Another session held a table for minutes. Nothing was changed.
        SchemaTooOld: This code has no migration from the database's revision. Nothing was changed.
    """
    await (await connect_directly(url, timeout=_CONNECT_SECONDS)).close()
    engine = engine_of(url)
    try:
        async with engine.connect() as connection:
            await connection.execute(select(func.pg_advisory_lock(_ADVISORY_LOCK)))
            await connection.execute(select(func.set_config("lock_timeout", _LOCK_TIMEOUT, _FOR_THE_SESSION)))
            await connection.commit()
            revision = await _upgrade_between_others(connection)
            await connection.run_sync(_close_database)
            await connection.execute(select(func.pg_advisory_unlock(_ADVISORY_LOCK)))
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
        except (DBAPIError, *_HELD) as refused:
            reason = refused.orig if isinstance(refused, DBAPIError) else refused  # the files go to asyncpg itself
            if getattr(reason, "sqlstate", None) not in {held.sqlstate for held in _HELD}:
                raise
            await connection.rollback()
            _log.warning("migration_waits_for_a_table", tries=tries, reason=str(reason))
        await asyncio.sleep(_LOCK_PAUSE)
    raise revisions.TableHeld(
        f"a table was held by another session at {_LOCK_TRIES} tries; end that session, then migrate again"
    )


def _close_database(connection: Connection) -> None:
    """Take from PUBLIC what no program needs: a database that was copied or restored has the rights of a new one."""
    driver: Any = connection.connection.dbapi_connection
    driver.run_async(close_database)
    connection.commit()


def _upgrade(connection: Connection) -> str:
    found = MigrationContext.configure(connection).get_current_revision()
    connection.commit()
    if found is not None and found > revisions.head():
        return found
    first = ScriptDirectory.from_config(_config()).get_base()
    if found is not None and first is not None and found < first:
        raise revisions.SchemaTooOld(
            f"the database has schema {found}, and this version migrates from {first} on: bring it to {first} with the"
            " version before, then migrate again, or begin with an empty database"
        )
    command.upgrade(_config(connection), "head")
    return revisions.head()


def upgrade(url: str) -> str:
    """Bring a database to head from a place without an event loop."""
    return asyncio.run(upgrade_async(url))
