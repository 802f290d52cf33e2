"""The tables of accounts, sign-ins and their throttling; `models` has all others, and imports these."""

from __future__ import annotations

from datetime import datetime, time
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, ForeignKey, Index, Integer, Text, text
from sqlalchemy.dialects.postgresql import BYTEA
from sqlalchemy.orm import Mapped, mapped_column

from taskbell.store.declarative import NOW, Model, Xid8


class User(Model):
    """An account."""

    __tablename__ = "users"
    __table_args__ = (
        Index("users_email_key", text("lower(email)"), unique=True),
        CheckConstraint("char_length(email) <= 320", name="users_email_length"),
        CheckConstraint("char_length(name) BETWEEN 1 AND 255", name="users_name_length"),
        CheckConstraint(
            "(quiet_from IS NULL) = (quiet_until IS NULL) AND quiet_from <> quiet_until", name="users_quiet_hours"
        ),
        CheckConstraint(
            "bot_of IS NULL OR (bot_of = personal_workspace_id AND password_hash IS NULL)", name="users_bot"
        ),
        Index("users_bot_of_idx", "bot_of", "id", postgresql_where=text("bot_of IS NOT NULL")),
        Index("users_digest_at_idx", "digest_at", "id", postgresql_where=text("digest_at IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str]
    name: Mapped[str]
    password_hash: Mapped[str | None]
    password_version: Mapped[int] = mapped_column(Integer, server_default="1")
    """Grows when the user changes the password, which ends device tokens."""
    password_changed_at: Mapped[datetime | None]
    """When the user last did so, by the old password or a token; NULL: never. Letters of earlier times are void."""
    email_confirmed_at: Mapped[datetime | None]
    """When the user proved to read this mailbox. Until then only confirmations are sent to it."""
    time_zone: Mapped[str] = mapped_column(server_default="UTC")
    quiet_from: Mapped[time | None]
    """Local time at which quiet hours begin; they may span midnight. NULL: there are none."""
    quiet_until: Mapped[time | None]
    digest_at: Mapped[time | None]
    """Local time of the daily digest; NULL: there is none."""
    personal_workspace_id: Mapped[UUID]
    """Of a bot: the workspace that it works in."""
    bot_of: Mapped[UUID | None] = mapped_column(
        ForeignKey("workspaces.id", name="users_bot_of_fkey", ondelete="CASCADE", use_alter=True)
    )
    """The workspace of a bot, which goes with it; NULL: a person."""
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(server_default=NOW)
    deleted_at: Mapped[datetime | None]
    """When the user deleted the account. The row stays for what refers to it, with nothing of the person."""


class Erasure(Model):
    """A deleted account, or a workspace without members, of which maintenance still has rows to erase."""

    __tablename__ = "erasures"
    __table_args__ = (CheckConstraint("kind IN ('user', 'workspace')", name="erasures_kind"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Session(Model):
    """A sign-in: the family of refresh tokens that descend from one login."""

    __tablename__ = "sessions"
    __table_args__ = (
        Index("sessions_user_id_idx", "user_id"),
        Index("sessions_expires_at_idx", "expires_at"),
        # Every process asks twice a second which ones have ended.
        Index("sessions_revoked_at_idx", "revoked_at", "id", postgresql_where=text("revoked_at IS NOT NULL")),
        CheckConstraint("char_length(client) <= 200", name="sessions_client_length"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    last_used_at: Mapped[datetime] = mapped_column(server_default=NOW)
    """When it last got a pair of tokens."""
    client: Mapped[str | None]
    """What the client called itself when it signed in (`User-Agent`), shortened."""
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    revoked_reason: Mapped[str | None]


class RefreshToken(Model):
    """One refresh token of a session, as its SHA-256; used once, kept to detect reuse."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (
        CheckConstraint("octet_length(token_hash) = 32", name="refresh_tokens_hash_length"),
        Index("refresh_tokens_session_id_idx", "session_id"),
    )

    token_hash: Mapped[bytes] = mapped_column(BYTEA, primary_key=True)
    session_id: Mapped[UUID] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    used_at: Mapped[datetime | None]


class PersonalToken(Model):
    """A personal access token, as its SHA-256. Deleting the row ends it."""

    __tablename__ = "personal_tokens"
    __table_args__ = (
        CheckConstraint("char_length(name) BETWEEN 1 AND 255", name="personal_tokens_name_length"),
        CheckConstraint("cardinality(scopes) BETWEEN 1 AND 100", name="personal_tokens_scopes_count"),
        CheckConstraint("octet_length(token_hash) = 32", name="personal_tokens_hash_length"),
        Index("personal_tokens_token_hash_key", "token_hash", unique=True),
        Index("personal_tokens_user_id_idx", "user_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    token_hash: Mapped[bytes] = mapped_column(BYTEA)
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    expires_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    """To the minute: each process writes it once a minute."""


class LoginAttempts(Model):
    """Failed sign-ins and registrations by hashed key (account, account and address, device ...), to throttle them."""

    __tablename__ = "login_attempts"
    __table_args__ = (Index("login_attempts_window_idx", "window_started_at"),)

    key: Mapped[bytes] = mapped_column(BYTEA, primary_key=True)
    failures: Mapped[int] = mapped_column(Integer, server_default="0")
    window_started_at: Mapped[datetime] = mapped_column(server_default=NOW)
    blocked_until: Mapped[datetime | None]


class SecondFactor(Model):
    """The authenticator of a user."""

    __tablename__ = "second_factors"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    secret: Mapped[str]
    """Encrypted under a key that only the API has (JWE)."""
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    confirmed_at: Mapped[datetime | None]
    """Since when sign-ins ask for it; NULL: no code of it was seen yet."""
    last_step: Mapped[int | None] = mapped_column(BigInteger)
    """The step (half a minute since 1970) of the last code that was used: it and those before are refused."""


class RecoveryCode(Model):
    """A code that stands in for a lost authenticator once, as its SHA-256."""

    __tablename__ = "recovery_codes"
    __table_args__ = (CheckConstraint("octet_length(code_hash) = 32", name="recovery_codes_hash_length"),)

    user_id: Mapped[UUID] = mapped_column(ForeignKey("second_factors.user_id", ondelete="CASCADE"), primary_key=True)
    code_hash: Mapped[bytes] = mapped_column(BYTEA, primary_key=True)
    used_at: Mapped[datetime | None]


class PasswordReset(Model):
    """A token by which a forgotten password is set again. Without a user it was asked for an address of nobody.

    The token itself is only in the message.
    """

    __tablename__ = "password_resets"
    __table_args__ = (
        Index("password_resets_token_hash_key", "token_hash", unique=True),
        Index("password_resets_mailbox_idx", "mailbox", "created_at"),
        Index("password_resets_user_id_idx", "user_id"),
        CheckConstraint("octet_length(mailbox) = 32", name="password_resets_mailbox_length"),
        CheckConstraint("octet_length(token_hash) = 32", name="password_resets_hash_length"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("taskbell.new_id()"))
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    email: Mapped[str | None]
    """The account's address at that time: the token is worth nothing once it has another."""
    password_version: Mapped[int | None] = mapped_column(Integer)
    """Which password was forgotten: the token is worth nothing once it is changed."""
    mailbox: Mapped[bytes] = mapped_column(BYTEA)
    """Hash of the address without its tag; by it messages are limited."""
    token_hash: Mapped[bytes] = mapped_column(BYTEA)
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class EmailConfirmation(Model):
    """A token that was sent to an account's address, or to one that it is to have. It is only in the message."""

    __tablename__ = "email_confirmations"
    __table_args__ = (
        Index("email_confirmations_token_hash_key", "token_hash", unique=True),
        Index("email_confirmations_mailbox_idx", "mailbox", "created_at"),
        Index("email_confirmations_user_id_idx", "user_id"),
        CheckConstraint("octet_length(mailbox) = 32", name="email_confirmations_mailbox_length"),
        CheckConstraint("octet_length(token_hash) = 32", name="email_confirmations_hash_length"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("taskbell.new_id()"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    email: Mapped[str]
    former_email: Mapped[str | None]
    """The address in whose place the account gets this one; NULL: it has this one already."""
    mailbox: Mapped[bytes] = mapped_column(BYTEA)
    """Hash of the address without its tag; by it messages are limited."""
    token_hash: Mapped[bytes] = mapped_column(BYTEA)
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class KeptAnswer(Model):
    """The answer to a request with an `Idempotency-Key`, encrypted with that key, which is stored nowhere.

    It refers to no account, so that the request that deletes one can keep its answer, too.
    """

    __tablename__ = "kept_answers"
    __table_args__ = (
        CheckConstraint("octet_length(name) = 32", name="kept_answers_name_length"),
        Index("kept_answers_created_at_idx", "created_at"),
    )

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[bytes] = mapped_column(BYTEA, primary_key=True)
    """Derived from the key and the user."""
    sealed: Mapped[bytes] = mapped_column(BYTEA)
    xid: Mapped[int] = mapped_column(Xid8, server_default=text("pg_current_xact_id()"))
    """The transaction that carried the request out."""
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
