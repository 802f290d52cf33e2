"""What the models are declared with: the class of all tables, and column types that SQLAlchemy does not know."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Interval, Text, text
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import UserDefinedType


class Xid8(UserDefinedType[int]):
    """PostgreSQL's 64-bit transaction id, which never wraps around."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The type's name in DDL."""
        return "xid8"


class PgSnapshot(UserDefinedType[str]):
    """PostgreSQL's `pg_snapshot`: which transactions were visible at an instant."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The type's name in DDL."""
        return "pg_snapshot"


class Model(DeclarativeBase):
    """Base of all tables."""

    type_annotation_map = {  # noqa: RUF012 -- SQLAlchemy reads it as a class attribute
        UUID: PG_UUID(as_uuid=True),
        datetime: DateTime(timezone=True),
        timedelta: Interval(),
        str: Text(),
    }


NOW = text("clock_timestamp()")
"""The default of columns that tell when a row was written: transactions that wait do not write an earlier time."""
