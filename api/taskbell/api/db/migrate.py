"""Schema migrations, from empty to head, one runner at a time."""

from __future__ import annotations

import asyncio
from importlib.resources import files
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from taskbell.api.db.partitions import MaintenanceSettings, run

_ADVISORY_LOCK = 0x7461736B
"""One migration at a time in a database; this connection is direct, never pooled."""


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("taskbell.api.db") / "migrations"))
    config.attributes["connection"] = connection
    return config


def head() -> str:
    """The newest revision that this code knows."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None  # noqa: S101 -- the first migration is part of the package
    return revision


def engine_url(url: str) -> str:
    """The SQLAlchemy form of a `postgresql://` address."""
    return url.replace("postgresql://", "postgresql+asyncpg://", 1)


async def upgrade_async(url: str) -> str:
    """Bring a database to head and make its partitions; returns the revision. `url` has the owner's rights."""
    engine = create_async_engine(engine_url(url))
    try:
        async with engine.connect() as connection:
            await connection.execute(text(f"SELECT pg_advisory_lock({_ADVISORY_LOCK})"))
            await connection.commit()
            await connection.run_sync(_upgrade)
            await connection.commit()
            await connection.execute(text(f"SELECT pg_advisory_unlock({_ADVISORY_LOCK})"))
            await connection.commit()
    finally:
        await engine.dispose()
    settings: dict[str, Any] = {"database_url": url}
    await run(MaintenanceSettings(**settings))
    return head()


def _upgrade(connection: Connection) -> None:
    command.upgrade(_config(connection), "head")


def upgrade(url: str) -> str:
    """Bring a database to head from a place without an event loop."""
    return asyncio.run(upgrade_async(url))
