"""The files of `schema/`: functions, policies and grants in their present form, and how a database gets them.

`schema/functions/<name>.sql` creates the function of that name in the schema `taskbell`, with its grants and the type
it needs. `schema/access/<relation>.sql` says who may do what with a table or a sequence: row-level security, policies,
grants. A database records the hash of each file; a file is applied again when its hash changed. What no file creates is
removed: functions, types, policies, and grants of the services' roles.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files

import asyncpg
import structlog

from taskbell.kit.postgres.statements import load
from taskbell.store.roles import OWNER, ROLES

_log = structlog.get_logger(__name__)
_MAKE = load(__package__, "make_schema_files")
_READ = load(__package__, "read_schema_files")
_RECORD = load(__package__, "record_schema_files")
_FUNCTIONS_NAMED = load(__package__, "functions_named")
_FUNCTIONS_NOT_NAMED = load(__package__, "functions_not_named")
_COMPOSITE_TYPES = load(__package__, "composite_types")
_POLICIES_OF = load(__package__, "policies_of")
_RELATION_EXISTS = load(__package__, "relation_exists")
_EVERYBODY = ", ".join(["PUBLIC", *(role for role in ROLES if role != OWNER)])


@dataclass(frozen=True, slots=True)
class Applied:
    """The files that a database has."""

    version: str
    """The version of Taskbell that applied them."""
    hashes: Mapping[str, str]
    """SHA-256 of each file, by its path."""


@cache
def texts() -> dict[str, str]:
    """The text of each file, by its path within `schema/`."""
    root = files("taskbell.store") / "schema"
    found = [(folder.name, file) for folder in root.iterdir() for file in folder.iterdir()]
    return {
        f"{folder}/{file.name}": file.read_text(encoding="utf-8")
        for folder, file in sorted(found, key=lambda pair: (pair[0], pair[1].name))
        if file.name.endswith(".sql")
    }


def present() -> Applied:
    """The files of this code."""
    hashes = {path: sha256(text.encode()).hexdigest() for path, text in texts().items()}
    return Applied(version=version("taskbell"), hashes=hashes)


def suffices(applied: Applied | None, wanted: Applied) -> bool:
    """Whether a database has the wanted files, or those of a newer version, which a rollback leaves alone."""
    return applied is not None and (
        applied.hashes == wanted.hashes or _release(applied.version) > _release(wanted.version)
    )


def _release(name: str) -> list[int]:
    """The numbers of a version without its pre-release: builds of one version replace each other's files."""
    release = re.match(r"[0-9.]*", name)
    return [int(number) for number in re.findall(r"\d+", release[0] if release else "")]


async def read(connection: asyncpg.Connection) -> Applied | None:
    """The files that a database has, or None when none was applied yet.

    Raises:
        asyncpg.UndefinedTableError: The database is older than these files.
    """
    row = await _READ.row(connection)
    return Applied(version=row["version"], hashes=json.loads(row["hashes"])) if row else None


async def apply(connection: asyncpg.Connection) -> None:
    """Apply the files that changed and remove what no file says, within the caller's transaction.

    A function locks no table unless its file says so; access to a table locks that table.

    Raises:
        asyncpg.LockNotAvailableError: Another session held a table for longer than `lock_timeout`.
    """
    await connection.execute(_MAKE.text)
    applied, wanted = await read(connection), present()
    if suffices(applied, wanted):
        return
    former = applied.hashes if applied else {}
    changed = {path for path in {*former, *wanted.hashes} if former.get(path) != wanted.hashes.get(path)}
    await connection.execute("SET LOCAL check_function_bodies = off")  # functions may call each other in any order
    for path in _within("functions", changed):
        if path in texts():
            await _replace_function(connection, path)
    unknown = await _unknown_functions(connection)
    # A policy keeps the function that it was created with: it is created again before that function goes.
    for path in _within("access", {*changed, *texts()} if unknown else changed):
        await _replace_access(connection, path)
    for function in unknown:
        await connection.execute(f"DROP FUNCTION {function}")
    for name in await _unknown_types(connection):
        await connection.execute(f"DROP TYPE taskbell.{name}")
    await _RECORD.count(connection, version=wanted.version, hashes=json.dumps(wanted.hashes, sort_keys=True))
    _log.info("schema_files_applied", files=len(changed), version=wanted.version)


def _within(folder: str, paths: set[str]) -> list[str]:
    return sorted(path for path in paths if path.startswith(f"{folder}/"))


def _name(path: str) -> str:
    return path.rpartition("/")[2].removesuffix(".sql")


async def _replace_function(connection: asyncpg.Connection, path: str) -> None:
    """Replace a function in place; one whose parameters or result changed becomes a new one next to the former.

    The former gets a name that no file has, and so it is dropped with all others of that kind.
    """
    name = _name(path)
    former = [row[0] for row in await _FUNCTIONS_NAMED.rows(connection, name=name)]
    for function in former:
        await connection.execute(f"REVOKE ALL ON FUNCTION {function} FROM {_EVERYBODY}")
        await connection.execute(f"GRANT EXECUTE ON FUNCTION {function} TO PUBLIC")
    try:
        async with connection.transaction():
            await connection.execute(texts()[path])
    except (asyncpg.InvalidFunctionDefinitionError, asyncpg.AmbiguousFunctionError):
        in_place = False
    else:
        in_place = len(await _FUNCTIONS_NAMED.rows(connection, name=name)) == 1
    if not in_place:
        for function in former:
            await connection.execute(f"ALTER FUNCTION {function} RENAME TO {name}_former")
        await connection.execute(texts()[path])


async def _unknown_functions(connection: asyncpg.Connection) -> list[str]:
    """Functions of the schema `taskbell` that no file creates."""
    names = [_name(path) for path in _within("functions", set(texts()))]
    return [row[0] for row in await _FUNCTIONS_NOT_NAMED.rows(connection, names=names)]


async def _unknown_types(connection: asyncpg.Connection) -> list[str]:
    """Composite types of the schema `taskbell` that no file creates."""
    created = "\n".join(texts().values())
    names = [row[0] for row in await _COMPOSITE_TYPES.rows(connection)]
    return [name for name in names if f"CREATE TYPE taskbell.{name} " not in created]


async def _replace_access(connection: asyncpg.Connection, path: str) -> None:
    """Take all policies and grants from a relation, then apply its file, unless the file is gone."""
    relation = _name(path)
    if await _RELATION_EXISTS.value(connection, name=relation):
        for row in await _POLICIES_OF.rows(connection, relation=relation):
            await connection.execute(f"DROP POLICY {row[0]} ON {relation}")
        await connection.execute(f"REVOKE ALL ON {relation} FROM {_EVERYBODY}")
    if path in texts():
        await connection.execute(texts()[path])
