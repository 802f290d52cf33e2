"""`taskbell migrate`: bring a database to the newest schema."""

from __future__ import annotations

from pydantic import SecretStr

from taskbell.kit.settings import Settings, load


class MigrateSettings(Settings):
    """Environment variables of `taskbell migrate`, prefix `TASKBELL_`."""

    database_url: SecretStr
    """PostgreSQL primary, with the rights of the schema's owner."""


def migrate() -> None:
    """Bring the database at TASKBELL_DATABASE_URL to the newest schema; safe to repeat and to run twice at once."""
    from taskbell.api.db import migrate as migrations  # noqa: PLC0415 -- Alembic; other commands start faster without

    settings = load(MigrateSettings)
    revision = migrations.upgrade(settings.database_url.get_secret_value())
    print(f"schema at {revision}")
