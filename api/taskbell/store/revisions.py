"""Which schema this code knows and which one a database has, without Alembic: every program asks at its start."""

from __future__ import annotations

import asyncio
from importlib.resources import files

import asyncpg

from taskbell.kit.postgres.errors import FAILED, describe
from taskbell.kit.postgres.statements import load
from taskbell.store import schema_files

MIGRATIONS = files("taskbell.store") / "migrations"
"""The folder of the migrations."""

_REVISION = load(__package__, "revision")
_DIGITS = 4


class TableHeld(Exception):
    """Some session, such as a dump, held a table for so long that the schema could not be changed."""


class SchemaTooOld(Exception):
    """The database has a revision from before the first migration of this code; it was left as it is."""


class SchemaNotReached(Exception):
    """The database did not come to the schema that this code knows within the time given."""


def head() -> str:
    """The newest revision that this code knows. Revisions are numbers of four digits: a greater one is newer.

    Each migration's file begins with its revision (a test compares with Alembic's answer).
    """
    names = (file.name for file in (MIGRATIONS / "versions").iterdir())
    return max(name[:_DIGITS] for name in names if name[:_DIGITS].isdecimal() and name.endswith(".py"))


async def wait_for_head(url: str, *, patience: float) -> str:
    """Return the database's revision once it has the schema of this code or a newer one; `url` may be any service's.

    Raises:
        SchemaNotReached: It has not within `patience` seconds; the message says what was found instead.
    """
    wanted, wanted_files = head(), schema_files.present()
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    while True:
        try:
            found, files_found = await _found(url)
        except FAILED as refused:
            seen = describe(refused)
        else:
            if found > wanted or (found == wanted and schema_files.suffices(files_found, wanted_files)):
                return found
            seen = f"schema {found}" + (" without its functions and policies" if found == wanted else "")
        if loop.time() >= deadline:
            raise SchemaNotReached(f"wanted schema {wanted}, after {patience:g} s: {seen}")
        await asyncio.sleep(0.5)


async def _found(url: str) -> tuple[str, schema_files.Applied | None]:
    """The revision of a database, and its files."""
    connection = await asyncpg.connect(url, timeout=5)
    try:
        revision = await _REVISION.value(connection)
        return revision or "", await schema_files.read(connection)
    finally:
        await connection.close(timeout=5)
