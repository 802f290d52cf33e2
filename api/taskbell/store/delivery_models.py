"""The tables of deliveries: webhooks, e-mail, and what is on its way; `models` has all others, and imports these."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, Integer, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from taskbell.store.declarative import NOW, Model


class Webhook(Model):
    """Where a workspace's events are posted to, and the secrets that they are signed with."""

    __tablename__ = "webhooks"
    __table_args__ = (
        Index("webhooks_workspace_id_idx", "workspace_id", "id"),
        CheckConstraint("char_length(url) <= 2048", name="webhooks_url_length"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("workspaces.id", ondelete="CASCADE"))
    url: Mapped[str]
    event_types: Mapped[list[str]] = mapped_column(ARRAY(Text()))
    """Types of events it wants; `*` is all."""
    enabled: Mapped[bool] = mapped_column(server_default="true")
    enabled_at: Mapped[datetime] = mapped_column(server_default=NOW)
    """Events of earlier times are not for it: a replay of the stream does not flood it."""
    disabled_reason: Mapped[str | None]
    secret: Mapped[str]
    previous_secret: Mapped[str | None]
    """Also signs until `previous_secret_expires_at`."""
    previous_secret_expires_at: Mapped[datetime | None]
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    responsible_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    """Made it, or last set its address or switched it on. It is paused when this user no longer administers."""
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(server_default=NOW)


class EmailChannel(Model):
    """Which notifications a person wants by e-mail. No row: none."""

    __tablename__ = "email_channels"
    __table_args__ = (Index("email_channels_unsubscribe_token_key", "unsubscribe_token", unique=True),)

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    enabled: Mapped[bool] = mapped_column(server_default="false")
    enabled_at: Mapped[datetime] = mapped_column(server_default=NOW)
    """Notifications of earlier times are not sent."""
    kinds: Mapped[list[str]] = mapped_column(ARRAY(Text()))
    """Kinds of notifications; `*` is all."""
    updated_at: Mapped[datetime] = mapped_column(server_default=NOW)
    unsubscribe_token: Mapped[UUID] = mapped_column(server_default=text("gen_random_uuid()"))
    """In each e-mail: whoever has it may switch the channel off, and nothing else."""


class Delivery(Model):
    """One event on its way to one endpoint, once. Partitioned by the event's time; a lease is a later `due_at`."""

    __tablename__ = "deliveries"
    __table_args__ = (
        Index("deliveries_due_idx", "due_at", postgresql_where=text("state IN ('pending', 'retrying')")),
        # What waits for one receiver: an address that a user chose, or a service for all users of a workspace.
        Index(
            "deliveries_queue_idx",
            "channel",
            # As PostgreSQL writes it: the comparison of the models with a database is one of texts.
            text(
                "(\nCASE\n    WHEN channel = ANY (ARRAY['webhook'::text, 'webpush'::text, 'slack'::text, "
                "'teams'::text]) THEN endpoint_id\n    ELSE workspace_id\nEND)"
            ),
            "due_at",
            postgresql_where=text("state IN ('pending', 'retrying')"),
        ),
        Index("deliveries_endpoint_idx", "endpoint_id", "id"),
        Index("deliveries_dead_idx", "id", postgresql_where=text("state = 'dead'")),
        # What waits at an endpoint for the end of quiet hours, to become one alert.
        Index(
            "deliveries_deferred_idx",
            "endpoint_id",
            "event_id",
            postgresql_where=text("deferred AND state = 'pending' AND attempts = 0"),
        ),
        Index("deliveries_notification_idx", "notification_id", postgresql_where=text("notification_id IS NOT NULL")),
        CheckConstraint(
            "channel IN ('webhook', 'email', 'fcm', 'apns', 'webpush', 'slack', 'teams')", name="deliveries_channel"
        ),
        CheckConstraint(
            "state IN ('pending', 'retrying', 'delivered', 'dead', 'withdrawn', 'collapsed')", name="deliveries_state"
        ),
        {"postgresql_partition_by": "RANGE (event_id)"},
    )

    id: Mapped[UUID] = mapped_column(server_default=text("taskbell.new_id()"))
    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    channel: Mapped[str] = mapped_column(primary_key=True)
    endpoint_id: Mapped[UUID] = mapped_column(primary_key=True)
    """Id of a webhook or of an alert endpoint; of an e-mail, the user's or the letter's."""
    workspace_id: Mapped[UUID]
    notification_id: Mapped[UUID | None]
    """The notification that an alert is about."""
    event_type: Mapped[str]
    payload: Mapped[str | None]
    """The event's CloudEvents document, if `events` does not hold the event, such as that of a test delivery."""
    traceparent: Mapped[str | None]
    state: Mapped[str] = mapped_column(server_default="pending")
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    due_at: Mapped[datetime] = mapped_column(server_default=NOW)
    deferred: Mapped[bool] = mapped_column(server_default=text("false"))
    """An alert that waits for the end of quiet hours, where all that wait for its endpoint become one."""
    collapsed: Mapped[int] = mapped_column(Integer, server_default="0")
    """For how many further notifications the alert speaks."""
    give_up_at: Mapped[datetime]
    response_status: Mapped[int | None] = mapped_column(Integer)
    error: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    attempted_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
