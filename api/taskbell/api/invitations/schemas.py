"""Request and response bodies about invitations."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from taskbell.api.accounts.schemas import Email
from taskbell.api.http.body import RequestBody
from taskbell.api.http.paging import Page, PageQuery
from taskbell.api.http.rows import RowModel
from taskbell.api.workspaces.policy import Role


class MemberInvite(RequestBody):
    """A person to be invited to a workspace."""

    email: Email
    """The person's e-mail address, with or without an account."""
    role: Annotated[Role, Field(strict=False)] = Role.MEMBER
    """The role of the member, once the person accepts."""


class InvitationState(StrEnum):
    """What has become of an invitation. Whether it was declined is told to nobody."""

    OPEN = "open"
    """It can be accepted."""
    WITHDRAWN = "withdrawn"
    """An owner or admin ended it."""
    EXPIRED = "expired"
    """Its time is over."""
    VOID = "void"
    """Who made it may no longer make it, so it cannot be accepted meanwhile."""


class InvitationsQuery(PageQuery):
    """Which invitations of a workspace."""

    ended: bool = False
    """Also those that were withdrawn or have expired: they count until maintenance deletes them."""


class InvitationByMail(RequestBody):
    """The token of a message that invited you."""

    token: Annotated[str, Field(max_length=200, examples=["yR3mJw0x8k9Zc7fVbq2tLhN5sPaUdGeXiOoTzWnQyAE"])]
    """From the link of the message, or its code."""


class Invitation(RowModel):
    """An invitation, as the owners and admins of the workspace see it."""

    id: UUID = Field(description="UUIDv7.")
    workspace_id: UUID
    email: str = Field(description="The address that is invited.", examples=["ann@example.com"])
    role: Role = Field(description="The role of the member, once the person accepts.")
    invited_by: UUID = Field(description="The user who made it. It ends when that user may no longer make it.")
    created_at: datetime
    expires_at: datetime = Field(description="It can be accepted until then.")
    state: InvitationState


class InvitationPage(Page[Invitation]):
    """A page of invitations."""


class InvitationToYou(RowModel):
    """An invitation, as the invited person sees it."""

    id: UUID = Field(description="UUIDv7; the notification of it has the same id.")
    workspace_id: UUID
    workspace_name: str = Field(examples=["Garden"])
    role: Role = Field(description="Your role, once you accept.")
    invited_by: UUID = Field(description="The user who invites you.")
    inviter_name: str = Field(examples=["Ann"])
    inviter_email: str = Field(examples=["ann@example.com"])
    created_at: datetime
    expires_at: datetime = Field(description="You can accept it until then.")
    declined_at: datetime | None = Field(
        description="When you declined it, or null. Nobody else is told; until it expires you can still accept it."
    )


class InvitationToYouPage(Page[InvitationToYou]):
    """A page of invitations to you."""
