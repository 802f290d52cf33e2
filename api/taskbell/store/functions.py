"""Functions of the schema as statements."""

from __future__ import annotations

import re

import sqlalchemy as sa

from taskbell.kit.postgres.statements import Statement
from taskbell.store.compose import compile_statement, parameter
from taskbell.store.schema_files import texts

_HEAD = re.compile(r"FUNCTION taskbell\.\w+\(([^)]*)\)")


def call(name: str) -> Statement:
    """The statement that calls `schema/functions/<name>.sql`; its parameters are the function's, by their names.

    Its columns are what the function gives out, and `xid`, the position of the change; NULL if it wrote nothing.
    """
    head = _HEAD.search(texts()[f"functions/{name}.sql"])
    if head is None:
        raise ValueError(f"{name}.sql creates no function")
    taken = [part.split()[0] for part in head[1].split(",") if part.split()[0] != "OUT"]
    function = getattr(sa.func.taskbell, name)(*(parameter(each, sa.types.NULLTYPE) for each in taken))
    xid = sa.cast(sa.func.pg_current_xact_id_if_assigned(), sa.Text).label("xid")
    return compile_statement(sa.select(sa.literal_column("*")).add_columns(xid).select_from(function))
