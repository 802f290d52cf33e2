"""Request and response bodies about workspaces."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from taskbell.api.http.body import Name, RequestBody
from taskbell.api.http.paging import Page
from taskbell.api.http.rows import RowModel
from taskbell.api.workspaces.policy import Role

WorkspaceName = Annotated[Name, Field(examples=["Garden"])]


class WorkspaceCreate(RequestBody):
    """A new workspace."""

    name: WorkspaceName
    """1 to 255 characters."""


class WorkspaceChange(RequestBody):
    """What changes of a workspace."""

    name: WorkspaceName
    """1 to 255 characters."""


class Workspace(RowModel):
    """A workspace, as one of its members sees it."""

    id: UUID
    name: str = Field(examples=["Garden"])
    role: Role = Field(description="Your own role in it.")
    created_at: datetime


class DeletedWorkspace(RowModel):
    """A workspace that you can restore."""

    id: UUID
    name: str = Field(examples=["Garden"])
    created_at: datetime
    deleted_at: datetime
    restorable_until: datetime = Field(description="Its owners can restore it until then; afterwards it is erased.")


class DeletedWorkspacePage(Page[DeletedWorkspace]):
    """A page of workspaces that you can restore."""


class WorkspacePage(Page[Workspace]):
    """A page of workspaces."""


class Member(RowModel):
    """A member of a workspace."""

    user_id: UUID
    email: str = Field(examples=["ann@example.com"])
    name: str = Field(examples=["Ann"])
    role: Role
    created_at: datetime = Field(description="Since when.")
    is_bot: bool = Field(description="Whether it is a bot: it reads no mail, and its address leads nowhere.")


class MemberChange(RequestBody):
    """What changes of a membership."""

    role: Role
    """The role that the member has from now on."""


class MemberPage(Page[Member]):
    """A page of members."""
