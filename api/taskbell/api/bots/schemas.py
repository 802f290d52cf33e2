"""Request and response bodies about bots."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from taskbell.api.http.body import Name, RequestBody
from taskbell.api.http.paging import Page
from taskbell.api.http.rows import RowModel
from taskbell.api.workspaces.policy import Role


class BotCreate(RequestBody):
    """A new bot."""

    name: Annotated[Name, Field(examples=["Deploy bot"])]
    """Shown where the name of a user is, 1 to 255 characters."""
    role: Literal["admin", "member", "viewer"] = "member"
    """What it may do in the workspace. A bot is never an owner."""


class Bot(RowModel):
    """A bot: a member of one workspace."""

    id: UUID
    """Its user id."""
    name: str = Field(examples=["Deploy bot"])
    role: Role
    created_at: datetime


class BotPage(Page[Bot]):
    """A page of the bots of a workspace, oldest first."""
