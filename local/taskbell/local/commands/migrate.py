"""`taskbell migrate`: bring a database to the newest schema."""

from __future__ import annotations

import asyncio
import sys

import typer
from pydantic import SecretStr

from taskbell.kit.settings import Settings, load
from taskbell.local import db
from taskbell.store.revisions import SchemaTooOld, TableHeld


class MigrateSettings(Settings):
    """Environment variables of `taskbell migrate`, prefix `TASKBELL_`."""

    database_url: SecretStr
    """PostgreSQL primary, with the rights of the schema's owner."""


def migrate() -> None:
    """Bring the database at TASKBELL_DATABASE_URL to the newest schema; safe to repeat and to run twice at once."""
    from taskbell.store import migrate as migrations  # noqa: PLC0415 -- Alembic; other commands start faster without

    url = load(MigrateSettings).database_url.get_secret_value()
    try:
        asyncio.run(db.require(url))
    except db.DatabaseUnreachable as unreachable:
        sys.stderr.write(f"taskbell: TASKBELL_DATABASE_URL: {unreachable}\n")
        raise typer.Exit(1) from None
    try:
        revision = migrations.upgrade(url)
    except (TableHeld, SchemaTooOld) as refused:
        sys.stderr.write(f"taskbell: {refused}\n")
        raise typer.Exit(1) from None
    print(f"schema at {revision}")
