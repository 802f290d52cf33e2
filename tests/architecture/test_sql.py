"""One rule for SQL: a fixed statement is a `.sql` file with named parameters, and its callers know the names."""

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import pytest

from taskbell.kit.postgres.statements import Statement, parse
from taskbell.local import db

_SQL = re.compile(
    r"""
    \b(?:SELECT|INSERT\ INTO|DELETE\ FROM|WHERE|JOIN|ORDER\ BY|GROUP\ BY|RETURNING|ON\ CONFLICT|TRUNCATE)\b
    | \b(?:CREATE|ALTER|DROP)\s+(?:OR\ REPLACE\s+)?(?:UNIQUE\s+)?
      (?:DATABASE|ROLE|TABLE|INDEX|VIEW|FUNCTION|POLICY|SCHEMA|TYPE|EXTENSION|SEQUENCE|TRIGGER)\b
    | \b(?:GRANT|REVOKE)\b.+\b(?:ON|TO|FROM)\b
    | \bUPDATE\s+\S+(?:\s+AS\s+\w+)?\s+SET\b
    | \bWITH\s+\w+\s*(?:\([^)]*\))?\s+AS\b
    | \bSET\s+(?:LOCAL|SESSION|\w+\s+(?:=|TO))
    | \A\s*(?:BEGIN|COMMIT|ROLLBACK|LOCK|EXPLAIN|PREPARE|EXECUTE|SHOW|TABLE|VALUES)\b
    | \A\s*(?i:select\s.+\sfrom\s|insert\s+into\s|update\s+\w+\s+set\s|delete\s+from\s|with\s+\w+\s+as\s*\()
    """,
    re.VERBOSE | re.DOTALL,
)
_DATA = re.compile(r"\b(?:SELECT|INSERT INTO|DELETE FROM|WHERE|RETURNING|UPDATE \S+ SET)\b")
_RUNS = {"row", "rows", "value", "count"}


@dataclass
class Source:
    """A module: its strings besides docstrings, the statements it loads, and where it runs them."""

    path: Path
    strings: list[tuple[int, str]] = field(default_factory=list)
    loaded: set[Path] = field(default_factory=set)
    constants: dict[str, Path] = field(default_factory=dict)
    calls: list[tuple[str, ast.Call]] = field(default_factory=list)

    def __post_init__(self):
        tree = ast.parse(self.path.read_text())
        docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if id(node) not in docs | parts and (text := _text(node)) is not None:
                self.strings.append((node.lineno, text))
            if (file := self._file(node)) is not None:
                self.loaded.add(file)
            match node:
                case ast.Assign(targets=[ast.Name(id=constant)], value=value) if file := self._file(value):
                    self.constants[constant] = file
                case ast.Call(func=ast.Attribute(value=ast.Name(id=constant), attr=method)) if method in _RUNS:
                    self.calls.append((constant, node))

    def _file(self, node: ast.AST) -> Path | None:
        """The file of `load(__package__, "name")`, and of `query("name")` in the load tests."""
        match node:
            case ast.Call(func=ast.Name(id="load"), args=[ast.Name(id="__package__"), ast.Constant(value=name)]):
                return self.path.parent / "queries" / f"{name}.sql"
            case ast.Call(func=ast.Name(id="query"), args=[ast.Constant(value=name)]):
                return self.path.parent / "queries" / f"{name}.sql"
        return None


def _text(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) or "x" for part in node.values)
    return None


@pytest.fixture(scope="module")
def sources(root, modules) -> list[Source]:
    """Every module of the project but its tests."""
    others = [path for folder in ("loadtests", "docs/_generate") for path in (root / folder).rglob("*.py")]
    return [Source(path) for path in dict.fromkeys([*(module.path for module in modules), *others])]


@pytest.fixture(scope="module")
def files(root, sources) -> dict[Path, Statement]:
    """Every `.sql` file of a room, parsed."""
    folders = {source.path.parent / "queries" for source in sources}
    return {file: parse(file.read_text()) for folder in folders for file in sorted(folder.glob("*.sql"))}


_TABLES = re.compile(r"api/taskbell/store/(models\.py|migrations/.*)")
"""The tables as they are, and how they came to be."""
_DEFINERS = re.compile(r"api/taskbell/store/(databases|partitions|roles|schema_files)\.py")
"""What creates databases, roles, partitions and functions: an identifier cannot be a parameter."""
_TRANSACTIONS = {"api/taskbell/store/pool.py", "core/taskbell/kit/postgres/pool.py"}
"""They begin a transaction and name its actor in one round trip, which no prepared statement can, and roll back."""


@pytest.mark.feature("F6")
def test_no_statement_stands_in_code(sources, root):
    """No string is SQL or a part of it, but in the tables, the migrations and what defines objects by their names."""
    found = []
    for source in sources:
        path = str(source.path.relative_to(root))
        if _TABLES.fullmatch(path) or path in _TRANSACTIONS:
            continue
        pattern = _DATA if _DEFINERS.fullmatch(path) else _SQL
        found += [f"{path}:{line}: {text.strip()[:60]}" for line, text in source.strings if pattern.search(text)]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        "select id from tasks",
        " WHERE id = $1",
        "UPDATE tasks SET x = 1",
        "WITH a AS (SELECT)",
        "DROP TABLE x",
        "GRANT SELECT ON tasks TO taskbell_api",
        "SET LOCAL statement_timeout = 0",
    ],
)
def test_a_statement_in_code_would_be_found(text):
    """The pattern knows statements and their parts."""
    assert _SQL.search(text)


@pytest.mark.parametrize("text", ["Select a task", "Update and set", "DELETE /v1/tasks/{id}", "where"])
def test_prose_is_not_taken_for_a_statement(text):
    """The pattern leaves sentences and routes alone."""
    assert not _SQL.search(text)


def test_every_statement_is_loaded(sources, files):
    """Every `.sql` file is loaded by a module next to it, and every loaded file exists."""
    assert {file for source in sources for file in source.loaded} == set(files)
    assert len(files) > 100


def test_callers_name_the_parameters(sources, files):
    """A call of a loaded statement gives its parameters by their names, all of them and nothing else."""
    wrong, found = [], 0
    for source in sources:
        for constant, call in source.calls:
            if constant not in source.constants:
                continue
            found += 1
            wanted = set(files[source.constants[constant]].parameters)
            given = {keyword.arg for keyword in call.keywords} - {"within"}
            unpacked = None in given  # `**columns`: the rest of the names is known at run time
            if given - {None} - wanted or (wanted - given and not unpacked):
                wrong.append(f"{source.path}:{call.lineno}: {constant} takes {sorted(wanted)}, not {sorted(given)}")
    assert wrong == []
    assert found > 100


async def test_postgresql_understands_every_statement(files, database):
    """Each statement is prepared on the present schema: its tables, columns and types exist."""
    wrong = {}
    async with db.connected(database.owner_url) as connection:
        for file, statement in files.items():
            try:
                await connection.prepare(statement.text)
            except asyncpg.PostgresError as refused:
                wrong[str(file)] = str(refused)
    assert wrong == {}
