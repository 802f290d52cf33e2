"""What `python -m taskbell.store` does for the database of a cluster: `roles`, `migrate`, `wait` and `pooler`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

import asyncpg
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from taskbell.kit.postgres.errors import AWAY, FAILED
from taskbell.kit.settings import Settings, load
from taskbell.start import signals
from taskbell.store import pooler, roles
from taskbell.store.databases import close_database, give_database
from taskbell.store.revisions import SchemaNotReached, SchemaTooOld, TableHeld, wait_for_head

_REFUSALS: tuple[type[BaseException], ...] = (*FAILED, SchemaNotReached, SchemaTooOld, TableHeld)


class SchemaSettings(Settings):
    """Settings of `python -m taskbell.store migrate` and `wait`."""

    database_url: SecretStr
    """PostgreSQL primary. `migrate` needs the rights of the schema's owner, `wait` those of any program's role."""


class RoleSettings(Settings):
    """Settings of `python -m taskbell.store roles`."""

    admin_database_url: SecretStr
    """PostgreSQL primary, with the rights to create roles and to change the database's owner."""
    role_urls: Annotated[tuple[SecretStr, ...], NoDecode] = Field(min_length=1)
    """Database URLs of the programs, separated by commas; each contains the role and its password."""

    @field_validator("role_urls", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("role_urls")
    @classmethod
    def _complete(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        named = {urlsplit(url.get_secret_value()).username for url in value}
        if missing := sorted(set(roles.ROLES) - named):
            raise ValueError(f"no address for {', '.join(missing)}")
        return value

    def passwords(self) -> dict[str, str]:
        """The password of each role."""
        parts = [urlsplit(url.get_secret_value()) for url in self.role_urls]
        return {part.username or "": unquote(part.password or "") for part in parts}

    def database(self) -> str:
        """The name of the database of the schema's owner."""
        parts = [urlsplit(url.get_secret_value()) for url in self.role_urls]
        return next(unquote(part.path.removeprefix("/")) for part in parts if part.username == roles.OWNER)


async def provide_roles(settings: RoleSettings, *, patience: float = 0.0) -> None:
    """Create the roles that are missing, give each its password, give the database to the schema's owner, and close it.

    A server that does not answer yet is awaited for `patience` seconds: it may have been started just now.
    """
    admin = settings.admin_database_url.get_secret_value()
    connection = await _connected(admin, patience=patience)
    try:
        await roles.prepare_roles(connection, passwords=settings.passwords())
        await give_database(connection, settings.database())
    finally:
        await connection.close(timeout=10)
    within = await asyncpg.connect(admin, database=settings.database(), timeout=10)
    try:
        await close_database(within)
    finally:
        await within.close(timeout=10)


async def _connected(url: str, *, patience: float) -> asyncpg.Connection:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    while True:
        try:
            return await asyncpg.connect(url, timeout=10)
        except AWAY:
            if loop.time() >= deadline:
                raise
        await asyncio.sleep(0.5)


def main() -> None:
    """Do one job; exit status 1 when the database did not answer or did not come to the schema in time."""
    parser = argparse.ArgumentParser(prog="python -m taskbell.store", description="Prepare the database of Taskbell.")
    jobs = parser.add_subparsers(dest="job", required=True, metavar="job")
    making = jobs.add_parser("roles", help="create the services' roles and give each its password")
    making.add_argument("--patience", type=float, default=0.0, help="seconds to wait for the server at most")
    jobs.add_parser("migrate", help="bring the database to the newest schema")
    waiting = jobs.add_parser("wait", help="return when the schema is at least as new as this code knows")
    waiting.add_argument("--patience", type=float, default=300.0, help="seconds to wait at most")
    pooling = jobs.add_parser("pooler", help="write PgBouncer's server and users from the URLs of the programs")
    pooling.add_argument("--folder", type=Path, required=True, help="where to write server.ini and users.txt")
    arguments = parser.parse_args()
    try:
        match arguments.job:
            case "roles":
                asyncio.run(provide_roles(load(RoleSettings), patience=arguments.patience))
                print("roles: ready")  # noqa: T201 -- a job says what it did
            case "migrate":
                signals.end_with(signals.INTERRUPTED)  # a Job that ended with status 0 would not be done again
                from taskbell.store.migrate import upgrade  # noqa: PLC0415 -- Alembic; every pod waits, one job migrates

                print(f"schema: {upgrade(_database_url())}")  # noqa: T201 -- the same
            case "pooler":
                pooler.write(arguments.folder, load(pooler.PoolerSettings))
            case _:
                print(f"schema: {asyncio.run(wait_for_head(_database_url(), patience=arguments.patience))}")  # noqa: T201 -- the same
    except _REFUSALS as refused:
        sys.stderr.write(f"taskbell.store {arguments.job}: {str(refused) or type(refused).__name__}\n")
        raise SystemExit(1) from None


def _database_url() -> str:
    return load(SchemaSettings).database_url.get_secret_value()
