"""The tables as they are. A migration makes each change of them; a test compares the models with the migrated database.

Functions, policies and grants are the files of `schema/`. Tables that hold tenants' rows have row-level security: under
the services' roles, a statement sees only what the actor named by the setting `taskbell.actor` may see. A partitioned
table has a partition `<table>_default` for rows that no other partition covers.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    Sequence,
    SmallInteger,
    text,
)
from sqlalchemy.dialects.postgresql import BYTEA, JSON
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Mapped, mapped_column

from taskbell.contract.events import MAX_DATA_BYTES
from taskbell.store import (  # noqa: F401 -- they declare the other tables
    account_models,
    alert_models,
    delivery_models,
    identity_models,
    report_models,
)
from taskbell.store.declarative import NOW, Model, PgSnapshot, Xid8

_POSITION = Sequence("task_position", start=1000, increment=1000, data_type=BigInteger(), metadata=Model.metadata)
"""A new task goes past every other one without a lock."""


class Workspace(Model):
    """A tenant: everything else belongs to one."""

    __tablename__ = "workspaces"
    __table_args__ = (
        CheckConstraint("char_length(name) BETWEEN 1 AND 255", name="workspaces_name_length"),
        Index(
            "workspaces_restorable_until_idx",
            "restorable_until",
            postgresql_where=text("restorable_until IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    created_by: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    deleted_at: Mapped[datetime | None]
    """When an owner deleted it; its memberships are suspended since then. NULL: it is not deleted."""
    restorable_until: Mapped[datetime | None]
    """Until when an owner may restore a deleted one; maintenance erases it afterwards."""


class Membership(Model):
    """Who may do what in a workspace. The key begins with the user: every policy asks by user."""

    __tablename__ = "memberships"
    __table_args__ = (
        CheckConstraint("role IN ('owner', 'admin', 'member', 'viewer')", name="memberships_role"),
        Index("memberships_workspace_id_idx", "workspace_id"),
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("workspaces.id", ondelete="CASCADE"), primary_key=True)
    role: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class SuspendedMembership(Model):
    """A membership of a deleted workspace. It opens nothing, and comes back when the workspace is restored."""

    __tablename__ = "suspended_memberships"
    __table_args__ = (Index("suspended_memberships_workspace_id_idx", "workspace_id"),)

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("workspaces.id", ondelete="CASCADE"), primary_key=True)
    role: Mapped[str]
    created_at: Mapped[datetime]


class Invitation(Model):
    """An address that is invited to a workspace. Accepting it deletes it and makes the membership.

    It is kept until it expires, also when it was withdrawn or declined: it counts until then.
    """

    __tablename__ = "invitations"
    __table_args__ = (
        CheckConstraint("role IN ('owner', 'admin', 'member', 'viewer')", name="invitations_role"),
        CheckConstraint("char_length(email) <= 320", name="invitations_email_length"),
        Index("invitations_workspace_id_key", "workspace_id", "email", unique=True),
        Index("invitations_email_idx", "email", "id"),
        Index("invitations_invited_by_idx", "invited_by", "expires_at"),
        Index("invitations_expires_at_idx", "expires_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    """Also the id of the notification of it."""
    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("workspaces.id", ondelete="CASCADE"))
    email: Mapped[str]
    role: Mapped[str]
    invited_by: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    """It can be accepted while this user may make it."""
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    expires_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]
    declined_at: Mapped[datetime | None]
    """Only the invited person is told."""


class InvitationLetter(Model):
    """A letter with a token that was sent, or seemed to be, when an address was invited. The token is only in it.

    Its invitation is NULL once that is over; also of a letter that is not sent.
    """

    __tablename__ = "invitation_letters"
    __table_args__ = (
        Index("invitation_letters_token_hash_key", "token_hash", unique=True),
        Index("invitation_letters_invitation_id_idx", "invitation_id"),
        Index("invitation_letters_mailbox_idx", "mailbox", "created_at"),
        Index("invitation_letters_invited_by_idx", "invited_by", "created_at"),
        Index("invitation_letters_created_at_idx", "created_at"),
        CheckConstraint("octet_length(mailbox) = 32", name="invitation_letters_mailbox_length"),
        CheckConstraint("octet_length(token_hash) = 32", name="invitation_letters_hash_length"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    invitation_id: Mapped[UUID | None] = mapped_column(ForeignKey("invitations.id", ondelete="SET NULL"))
    invited_by: Mapped[UUID]
    mailbox: Mapped[bytes] = mapped_column(BYTEA)
    """Hash of the address without its tag; by it letters are limited."""
    token_hash: Mapped[bytes] = mapped_column(BYTEA)
    is_sent: Mapped[bool]
    """Whether it goes out, and counts: not if the address has an account, or got enough letters."""
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Task(Model):
    """A task. Partitioned by range of its UUIDv7 id, which is by time of creation."""

    __tablename__ = "tasks"
    __table_args__ = (
        CheckConstraint("char_length(title) BETWEEN 1 AND 255", name="tasks_title_length"),
        CheckConstraint("char_length(description) <= 20000", name="tasks_description_length"),
        CheckConstraint("status IN ('pending', 'in_progress', 'completed', 'cancelled')", name="tasks_status"),
        CheckConstraint("priority BETWEEN 1 AND 10", name="tasks_priority"),
        CheckConstraint("cardinality(assignee_ids) <= 50", name="tasks_assignees_count"),
        Index("tasks_position_idx", "workspace_id", "position", "id"),
        Index("tasks_priority_idx", "workspace_id", "priority", "id"),
        Index("tasks_created_idx", "workspace_id", "created_at", "id"),
        Index("tasks_updated_idx", "workspace_id", "updated_at", "id"),
        # Row-level security takes coalesce for leaky and would not seek by it; least skips NULL, too.
        Index("tasks_due_idx", "workspace_id", text("least(due_at, 'infinity'::timestamptz)"), "id"),
        Index("tasks_status_idx", "workspace_id", "status", "position", "id"),
        Index("tasks_creator_idx", "created_by", "created_at", "id"),
        Index("tasks_creator_position_idx", "created_by", "position", "id"),
        Index("tasks_creator_priority_idx", "created_by", "priority", "id"),
        Index("tasks_creator_due_idx", "created_by", text("least(due_at, 'infinity'::timestamptz)"), "id"),
        Index("tasks_creator_updated_idx", "created_by", "updated_at", "id"),
        {"postgresql_partition_by": "RANGE (id)"},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("taskbell.new_id()"))
    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("workspaces.id", ondelete="CASCADE"), primary_key=True)
    title: Mapped[str]
    description: Mapped[str | None]
    status: Mapped[str] = mapped_column(server_default="pending")
    priority: Mapped[int] = mapped_column(SmallInteger, server_default="5")
    position: Mapped[int] = mapped_column(BigInteger, server_default=_POSITION.next_value())
    start_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    assignee_ids: Mapped[list[UUID]] = mapped_column(ARRAY(PG_UUID(as_uuid=True)), server_default="{}")
    """Members of the workspace when they were assigned; one may have left since."""
    version: Mapped[int] = mapped_column(BigInteger, server_default="1")
    created_by: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(server_default=NOW)
    status_changed_at: Mapped[datetime] = mapped_column(server_default=NOW)
    completed_at: Mapped[datetime | None]


class Assignment(Model):
    """A task in the list of one of its assignees, with its sort keys. Triggers of `tasks` write it, and nothing else.

    A task has the rows of its `assignee_ids`; a row of a task that was deleted went with it.
    """

    __tablename__ = "assignments"
    __table_args__ = (
        Index("assignments_position_idx", "user_id", "position", "task_id"),
        Index("assignments_priority_idx", "user_id", "priority", "task_id"),
        Index("assignments_due_idx", "user_id", text("least(due_at, 'infinity'::timestamptz)"), "task_id"),
        Index("assignments_created_idx", "user_id", "created_at", "task_id"),
        Index("assignments_updated_idx", "user_id", "updated_at", "task_id"),
    )

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    task_id: Mapped[UUID] = mapped_column(primary_key=True)
    workspace_id: Mapped[UUID]
    position: Mapped[int] = mapped_column(BigInteger)
    priority: Mapped[int] = mapped_column(SmallInteger)
    due_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class DeletedTask(Model):
    """The sort keys of a task that is gone, so that a list can go on after it."""

    __tablename__ = "deleted_tasks"
    __table_args__ = (Index("deleted_tasks_deleted_at_idx", "deleted_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("workspaces.id", ondelete="CASCADE"))
    priority: Mapped[int] = mapped_column(SmallInteger)
    position: Mapped[int] = mapped_column(BigInteger)
    due_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Event(Model):
    """A fact that became true with the transaction that wrote it. Append-only, partitioned by time."""

    __tablename__ = "events"
    __table_args__ = (
        CheckConstraint(f"octet_length(data::text) <= {MAX_DATA_BYTES}", name="events_data_size"),
        Index("events_xid_idx", "xid", "id"),
        {"postgresql_partition_by": "RANGE (id)"},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("taskbell.new_id()"))
    xid: Mapped[int] = mapped_column(Xid8, server_default=text("pg_current_xact_id()"))
    workspace_id: Mapped[UUID]
    type: Mapped[str]
    subject_id: Mapped[UUID]
    actor_id: Mapped[UUID | None]
    audience: Mapped[list[UUID]] = mapped_column(ARRAY(PG_UUID(as_uuid=True)))
    traceparent: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    data: Mapped[str] = mapped_column(JSON)


class Notification(Model):
    """A notification of one user. Append-only except for `read_at`, partitioned by time."""

    __tablename__ = "notifications"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('assigned', 'status_changed', 'comment', 'mention', 'due_soon', 'overdue', 'stale', 'reminder', "
            "'digest', 'invited', 'webhooks_paused')",
            name="notifications_kind",
        ),
        Index("notifications_user_idx", "user_id", "id"),
        Index("notifications_unread_idx", "user_id", "id", postgresql_where=text("read_at IS NULL")),
        {"postgresql_partition_by": "RANGE (id)"},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("taskbell.new_id()"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    kind: Mapped[str]
    workspace_id: Mapped[UUID]
    task_id: Mapped[UUID | None]
    actor_id: Mapped[UUID | None]
    title: Mapped[str]
    body: Mapped[str]
    urgent: Mapped[bool] = mapped_column(server_default=text("false"))
    read_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Reminder(Model):
    """A reminder that is still to fire. Written and removed together with what it depends on."""

    __tablename__ = "reminders"
    __table_args__ = (
        ForeignKeyConstraint(["task_id", "workspace_id"], ["tasks.id", "tasks.workspace_id"], ondelete="CASCADE"),
        CheckConstraint("kind IN ('due_soon', 'overdue')", name="reminders_kind"),
        Index("reminders_fire_at_idx", "fire_at"),
    )

    task_id: Mapped[UUID] = mapped_column(primary_key=True)
    workspace_id: Mapped[UUID]
    kind: Mapped[str] = mapped_column(primary_key=True, server_default="due_soon")
    """Kind of the notification that it becomes."""
    lead: Mapped[timedelta] = mapped_column(primary_key=True)
    """How long before the due time it fires."""
    fire_at: Mapped[datetime]


class FinishedJob(Model):
    """A job that was done: its id says what it was, so that doing it again is refused by the key."""

    __tablename__ = "job_log"
    __table_args__ = (Index("job_log_finished_at_idx", "finished_at"),)

    job_id: Mapped[str] = mapped_column(primary_key=True)
    planned_at: Mapped[datetime | None]
    finished_at: Mapped[datetime] = mapped_column(server_default=NOW)
    xid: Mapped[int | None] = mapped_column(Xid8, server_default=text("pg_current_xact_id()"))


class RelayState(Model):
    """How far the relay has carried events to the stream. One row.

    The window being carried holds the rows visible in `window_snapshot` and not in `done_snapshot`; `window_last_id`
    is the last of it that the stream has acknowledged. Without a window, everything visible in `done_snapshot` is done.
    """

    __tablename__ = "relay_state"
    __table_args__ = (CheckConstraint("id = 1", name="relay_state_single_row"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, server_default="1", autoincrement=False)
    epoch: Mapped[int] = mapped_column(Integer, server_default="1")
    stream_sequence: Mapped[int] = mapped_column(BigInteger, server_default="0")
    done_snapshot: Mapped[str | None] = mapped_column(PgSnapshot)
    window_snapshot: Mapped[str | None] = mapped_column(PgSnapshot)
    window_last_id: Mapped[UUID | None]
    stream_server: Mapped[str | None]
    """Name of the NATS server that may hold messages after `stream_sequence`; NULL if none can: the relay ended as it
    should."""
    replay_from: Mapped[datetime | None]
    """Set by `taskbell replay`: the active relay starts a new epoch from this time and clears it."""
    lease_holder: Mapped[str | None]
    lease_epoch: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """Fencing token: grows with every change of holder."""
    lease_expires_at: Mapped[datetime | None]


class WorkspaceUsage(Model):
    """How much a workspace writes and stores, as the relay measured it some seconds ago. No row: nothing so far."""

    __tablename__ = "workspace_usage"
    __table_args__ = (
        Index("workspace_usage_refused_idx", "refused_until"),
        Index("workspace_usage_full_idx", "workspace_id", postgresql_where=text("tasks_full")),
    )

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    level_bytes: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """What its events and deliveries took, less what it may write by the day since then."""
    measured_at: Mapped[datetime]
    refused_until: Mapped[datetime | None]
    """When the level is low enough again; NULL while it is."""
    task_bytes: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """What its tasks took when they were last counted."""
    uncounted_bytes: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """Written since then."""
    counted_at: Mapped[datetime | None]
    tasks_full: Mapped[bool] = mapped_column(server_default=text("false"))
    """Its tasks took more than they may."""
