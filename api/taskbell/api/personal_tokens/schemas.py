"""Request and response bodies about personal access tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from taskbell.api.http.body import Name, RequestBody
from taskbell.api.http.paging import Page
from taskbell.api.http.rows import RowModel
from taskbell.api.tasks.schemas import Instant
from taskbell.contract.scopes import Scope


def _distinct(scopes: list[Scope]) -> list[Scope]:
    if len({*scopes}) < len(scopes):
        raise PydanticCustomError("repeated", "each scope comes once")
    return scopes


Scopes = Annotated[
    list[Annotated[Scope, Field(strict=False)]],
    Field(min_length=1, max_length=len(Scope), json_schema_extra={"uniqueItems": True}, examples=[["tasks:write"]]),
    AfterValidator(_distinct),
]
"""Scopes of a token. Not strict because JSON has texts alone."""


class PersonalTokenCreate(RequestBody):
    """A new personal access token."""

    name: Annotated[Name, Field(examples=["Nightly report"])]
    """What it is for, 1 to 255 characters."""
    scopes: Scopes
    """What it may do. `<things>:write` includes `<things>:read`."""
    expires_at: Instant | None = None
    """When it ends. Absent or null: after the usual time of the installation, 90 days by default."""


class PersonalToken(RowModel):
    """A personal access token, without its secret."""

    id: UUID
    name: str = Field(examples=["Nightly report"])
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime
    """It is refused from then on, and forgotten 30 days later when you make another one."""
    last_used_at: datetime | None
    """When it was used last, to the minute; null: never."""


class MadePersonalToken(PersonalToken):
    """A personal access token that was just made."""

    token: str = Field(repr=False, examples=["tbp_..."])
    """Send it as `Authorization: Bearer <token>`. It is shown this once: nobody can read it later."""


class PersonalTokenPage(Page[PersonalToken]):
    """A page of your personal access tokens, oldest first."""
