"""Fixed statements: `.sql` files with named parameters, next to the code that runs them.

A parameter is written `:name`. The file holds one statement; its comments explain it and are not sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from operator import itemgetter
from typing import Any, Protocol

import asyncpg

_TOKEN = re.compile(
    r"""
    (?P<text>'(?:[^']|'')*')          # a literal is left as it is
    | (?P<comment>--[^\n]*(?:\n|$))   # a comment is dropped
    | (?<!:):(?P<name>[a-z_][a-z0-9_]*)  # `:name`, but not the cast `::type`
    """,
    re.VERBOSE,
)


class Reader(Protocol):
    """What runs statements that return rows."""

    async def fetch(self, query: str, *arguments: Any, timeout: float | None = None) -> list[asyncpg.Record]:  # noqa: ASYNC109 -- asyncpg's own
        """Run one statement; return its rows."""
        ...

    async def fetchrow(self, query: str, *arguments: Any, timeout: float | None = None) -> asyncpg.Record | None:  # noqa: ASYNC109 -- asyncpg's own
        """Run one statement; return its first row."""
        ...

    async def fetchval(self, query: str, *arguments: Any, timeout: float | None = None) -> Any:  # noqa: ASYNC109 -- asyncpg's own
        """Run one statement; return the first column of its first row."""
        ...


class Executor(Reader, Protocol):
    """What runs any statement: a connection or a pool."""

    async def execute(self, query: str, *arguments: Any, timeout: float | None = None) -> str:  # noqa: ASYNC109 -- asyncpg's own
        """Run one statement; return its command tag."""
        ...


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL as PostgreSQL takes it, with the names of its parameters.

    Every method takes the arguments by name and raises `TypeError` when the names are not the statement's. `within`
    is a time limit in seconds; without it the connection's own limit holds.

    Attributes:
        text: The statement with `$1`, `$2` ...
        parameters: The parameter names in the order of these numbers.
    """

    text: str
    parameters: tuple[str, ...]
    _values: Callable[[dict[str, Any]], tuple[Any, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_values", _in_order(self.parameters))

    def arguments(self, named: dict[str, Any]) -> tuple[Any, ...]:
        """The values in the order of the parameters. Raises `TypeError` for a missing or an unknown name."""
        try:
            values = self._values(named)
        except KeyError as missing:
            raise TypeError(f"the statement needs the argument {missing}") from None
        if len(named) != len(values):
            raise TypeError(f"the statement has no parameter {', '.join(sorted(named.keys() - {*self.parameters}))}")
        return values

    async def rows(self, on: Reader, /, *, within: float | None = None, **named: Any) -> list[asyncpg.Record]:
        """Run it; return its rows."""
        return await on.fetch(self.text, *self.arguments(named), timeout=within)

    async def row(self, on: Reader, /, *, within: float | None = None, **named: Any) -> asyncpg.Record | None:
        """Run it; return its first row, or None."""
        return await on.fetchrow(self.text, *self.arguments(named), timeout=within)

    async def value(self, on: Reader, /, *, within: float | None = None, **named: Any) -> Any:
        """Run it; return the first column of its first row, or None."""
        return await on.fetchval(self.text, *self.arguments(named), timeout=within)

    async def count(self, on: Executor, /, *, within: float | None = None, **named: Any) -> int:
        """Run it; return how many rows it wrote or read."""
        tag = await on.execute(self.text, *self.arguments(named), timeout=within)
        return int(tag.rpartition(" ")[2])


def _in_order(names: tuple[str, ...]) -> Callable[[dict[str, Any]], tuple[Any, ...]]:
    if len(names) > 1:
        return itemgetter(*names)
    return lambda named: tuple(named[name] for name in names)


def parse(sql: str) -> Statement:
    """Turn a statement with named parameters into one with numbered ones; a name may occur any number of times."""
    names: dict[str, int] = {}

    def replaced(found: re.Match[str]) -> str:
        if found["comment"] is not None:
            return "\n"
        if found["text"] is not None:
            return found["text"]
        return f"${names.setdefault(found['name'], len(names) + 1)}"

    text = _TOKEN.sub(replaced, sql)
    lines: Iterable[str] = (line.rstrip() for line in text.splitlines())
    return Statement(text="\n".join(line for line in lines if line), parameters=tuple(names))


@cache
def load(package: str, name: str) -> Statement:
    """Return the statement in `queries/<name>.sql` of a package. Raises `FileNotFoundError` if there is none."""
    return parse((files(package) / "queries" / f"{name}.sql").read_text(encoding="utf-8"))
