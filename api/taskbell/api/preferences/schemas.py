"""Request and response bodies about preferences."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from taskbell.api.http.body import RequestBody
from taskbell.api.http.query import QueryParameters
from taskbell.api.http.rows import RowModel
from taskbell.contract.notices import Kind

MOST_PREFERENCES = 500
"""Preferences of one user: more than any settings page shows."""
ALL: Literal["*"] = "*"
_KINDS = frozenset({ALL, *Kind})


class AlertChannel(StrEnum):
    """How alerts reach a user."""

    PUSH = "push"
    """All devices."""
    EMAIL = "email"
    SLACK = "slack"
    TEAMS = "teams"


def _kind(text: str) -> str:
    if text not in _KINDS:
        raise PydanticCustomError("notification_kind", "not a kind of notification, nor `*`")
    return text


class Preference(RequestBody):
    """Whether to send alerts of a kind by a channel."""

    workspace_id: Annotated[UUID | None, Field(strict=False)] = None
    """For notifications of this workspace; null for all workspaces."""
    kind: Annotated[str, AfterValidator(_kind), Field(json_schema_extra={"enum": sorted(_KINDS)})] = ALL
    """For this kind of notification; `*` for all kinds, including future ones."""
    channel: Literal["push", "email", "slack", "teams", "*"] = ALL
    """For this channel: `push` is all your devices; `*` is all channels."""
    enabled: bool
    """Whether alerts are sent."""

    @property
    def scope(self) -> tuple[UUID | None, str, str]:
        """What it is about: at most one preference has it."""
        return self.workspace_id, self.kind, self.channel


def _distinct(items: list[Preference]) -> list[Preference]:
    if len({item.scope for item in items}) < len(items):
        raise PydanticCustomError("not_distinct", "two items are about the same workspace, kind and channel")
    return items


class PreferencesReplacement(RequestBody):
    """All preferences of a user."""

    items: Annotated[list[Preference], Field(max_length=MOST_PREFERENCES), AfterValidator(_distinct)]
    """Up to 500, each about something else. An empty list restores the defaults."""


class StoredPreference(RowModel):
    """A preference."""

    workspace_id: UUID | None
    """Null for all workspaces."""
    kind: str
    """`*` for all kinds."""
    channel: str
    """`*` for all channels."""
    enabled: bool


class Preferences(BaseModel):
    """All preferences of a user."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    items: list[StoredPreference]
    """Those for all workspaces first. Preferences for workspaces that you left are not among them."""


class EffectiveQuery(QueryParameters):
    """What decisions to tell."""

    workspace_id: UUID | None = None
    """For notifications of this workspace; without it, of a workspace that has no preferences of its own."""


class Decision(RowModel):
    """Whether alerts of a kind are sent by a channel."""

    kind: Kind
    channel: AlertChannel
    enabled: bool


class EffectivePreferences(BaseModel):
    """What the preferences come to."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    workspace_id: UUID | None
    ready: list[AlertChannel]
    """Channels that can reach you at present: `push` if you have a device, `email` if it is switched on and your
    address is confirmed, chats that you have set. Nothing is sent by the others."""
    items: list[Decision]
    """Each kind with each channel."""
