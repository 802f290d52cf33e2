"""Responses that are rows."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict


class RowModel(BaseModel):
    """A response whose fields are the columns of a statement."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    @classmethod
    def of(cls, row: Any) -> Self:
        """Make it of a record of asyncpg."""
        return cls.model_validate(dict(row))
