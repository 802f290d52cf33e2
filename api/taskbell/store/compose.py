"""Statements composed at run time: SQLAlchemy Core on the models, compiled to the text that asyncpg takes.

Callers cache what `compile_statement` returns by its shape, see docs/adr/0020-two-kinds-of-statement.md.
"""

from __future__ import annotations

from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.asyncpg import dialect

from taskbell.kit.postgres.statements import Statement

_DIALECT = dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped


def parameter(name: str, kind: sa.types.TypeEngine[Any]) -> sa.BindParameter[Any]:
    """A named parameter; `kind` is the type that PostgreSQL takes it as."""
    return sa.bindparam(name, type_=kind)


def actor_set() -> sa.CTE:
    """The CTE that sets the actor (parameter `actor`, a UUID), with the column `id`.

    A subquery that reads it LATERAL, under a LIMIT, runs after it, so the policies see the actor.
    """
    setting = sa.func.set_config(
        sa.literal_column("'taskbell.actor'"), sa.cast(parameter("actor", sa.Uuid()), sa.Text), sa.true()
    )
    return sa.select(sa.cast(setting, sa.Uuid).label("id")).cte("actor").prefix_with("MATERIALIZED")


def compile_statement(statement: sa.Select[Any]) -> Statement:
    """Compile a statement. Raises `ValueError` for a value that is not a named parameter."""
    compiled = cast("Any", statement.compile(dialect=_DIALECT))
    values = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
    if values:
        raise ValueError(f"the statement holds values: {values}")
    return Statement(text=str(compiled), parameters=tuple(compiled.positiontup or ()))
