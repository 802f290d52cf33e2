"""The setting of programs that may reach PostgreSQL by a pooler."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr

from taskbell.kit.postgres.urls import through
from taskbell.kit.settings import ProgramSettings

_HOST_AND_PORT = r"^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\]):[0-9]{1,5}$"


class PooledSettings(ProgramSettings):
    """Base of the settings of a program that keeps no state in its sessions."""

    database_pooler: Annotated[str, Field(pattern=_HOST_AND_PORT)] | None = None
    """PgBouncer in transaction mode, as `host:port`. The program goes through it to the database of
    TASKBELL_DATABASE_URL, with that role and password. Without TLS: a PgBouncer that wants it is named in that URL
    instead. Replicas are reached directly."""

    def way_to(self, database: SecretStr) -> str:
        """The URL by which the program connects to a database: by the pooler, if there is one."""
        return through(database.get_secret_value(), self.database_pooler)
