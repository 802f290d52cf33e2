"""The tables of alerts: where they go, who wants which, and who follows a task; `models` has all others."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, Text, text
from sqlalchemy.dialects.postgresql import BYTEA
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Mapped, mapped_column

from taskbell.store.declarative import NOW, Model


class AlertEndpoint(Model):
    """Where alerts of a user go: a device or a chat. An address belongs to the user who registered it last."""

    __tablename__ = "alert_endpoints"
    __table_args__ = (
        CheckConstraint("kind IN ('fcm', 'apns', 'webpush', 'slack', 'teams')", name="alert_endpoints_kind"),
        CheckConstraint("char_length(address) BETWEEN 1 AND 4096", name="alert_endpoints_address_length"),
        CheckConstraint("octet_length(address_hash) = 32", name="alert_endpoints_hash_length"),
        CheckConstraint("char_length(name) <= 255", name="alert_endpoints_name_length"),
        CheckConstraint("environment IN ('production', 'sandbox')", name="alert_endpoints_environment"),
        Index("alert_endpoints_address_key", "kind", "address_hash", unique=True),
        Index("alert_endpoints_user_id_idx", "user_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    kind: Mapped[str]
    address: Mapped[str]
    """A registration token, the endpoint of a push subscription, or the address of a chat's hook."""
    address_hash: Mapped[bytes] = mapped_column(BYTEA)
    """SHA-256 of the address; of a chat, of the user's id, a space and the address."""
    p256dh: Mapped[str | None]
    """The browser's public key (RFC 8291), base64url."""
    auth: Mapped[str | None]
    """The browser's authentication secret (RFC 8291), base64url."""
    environment: Mapped[str | None]
    """Of an APNs token."""
    name: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    registered_at: Mapped[datetime] = mapped_column(server_default=NOW)
    """When the client last registered it: a provider's word counts only if it is newer."""


class AlertPreference(Model):
    """Whether a user wants alerts of a kind by a channel. The most specific row decides, the workspace before the kind.

    Without a row: push and chats yes, e-mail as `email_channels` says.
    """

    __tablename__ = "alert_preferences"
    __table_args__ = (
        CheckConstraint("channel IN ('push', 'email', 'slack', 'teams', '*')", name="alert_preferences_channel"),
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    """The nil UUID for all workspaces."""
    kind: Mapped[str] = mapped_column(primary_key=True)
    """`*` for all kinds."""
    channel: Mapped[str] = mapped_column(primary_key=True)
    """`*` for all channels."""
    enabled: Mapped[bool]
    updated_at: Mapped[datetime] = mapped_column(server_default=NOW)


class TaskSubscription(Model):
    """How a user follows a task. No row: only as its creator or assignee."""

    __tablename__ = "task_subscriptions"
    __table_args__ = (
        ForeignKeyConstraint(["task_id", "workspace_id"], ["tasks.id", "tasks.workspace_id"], ondelete="CASCADE"),
        CheckConstraint("state IN ('watching', 'muted')", name="task_subscriptions_state"),
        Index("task_subscriptions_user_id_idx", "user_id", "task_id"),
    )

    task_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    workspace_id: Mapped[UUID]
    state: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Comment(Model):
    """A comment on a task."""

    __tablename__ = "comments"
    __table_args__ = (
        ForeignKeyConstraint(["task_id", "workspace_id"], ["tasks.id", "tasks.workspace_id"], ondelete="CASCADE"),
        CheckConstraint("char_length(body) BETWEEN 1 AND 10000", name="comments_body_length"),
        CheckConstraint("cardinality(mention_ids) <= 50", name="comments_mentions_count"),
        Index("comments_task_id_idx", "task_id", "id"),
        Index("comments_author_idx", "workspace_id", "task_id", "author_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("taskbell.new_id()"))
    task_id: Mapped[UUID]
    workspace_id: Mapped[UUID]
    author_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    body: Mapped[str]
    mention_ids: Mapped[list[UUID]] = mapped_column(ARRAY(PG_UUID(as_uuid=True)), server_default="{}")
    """Members of the workspace when they were mentioned; one may have left since."""
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class ProviderToken(Model):
    """A token that all delivery workers show to a push provider."""

    __tablename__ = "provider_tokens"

    provider: Mapped[str] = mapped_column(Text, primary_key=True)
    key_id: Mapped[str] = mapped_column(Text, primary_key=True)
    """The key that signed it."""
    token: Mapped[str]
    issued_at: Mapped[datetime]
