"""Request and response bodies about chat channels."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from taskbell.api.chats.policy import Chat
from taskbell.api.http.body import NO_NUL, RequestBody
from taskbell.api.http.rows import RowModel


class ChatChannelChange(RequestBody):
    """Where a chat takes your alerts."""

    url: Annotated[
        str,
        StringConstraints(min_length=1, max_length=2048),
        NO_NUL,
        Field(
            examples=["https://hooks.slack.com/services/T0000/B0000/XXXX"],
            json_schema_extra={"pattern": r"^https://[^\x00-\x20]+$"},
        ),
    ]
    """The https address of the incoming webhook, up to 2,048 characters. Whoever knows it can post there: it is stored,
    and never shown again."""


class ChatChannel(RowModel):
    """A chat that receives your alerts."""

    kind: Chat
    host: str = Field(examples=["hooks.slack.com"])
    """The host of the address; the rest is a secret."""
    created_at: datetime
    """Since when alerts go to this address."""
    registered_at: datetime
    """When you set it last."""
