"""The tables of sign-ins through providers of identity; `models` imports them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from taskbell.store.declarative import NOW, Model


class Identity(Model):
    """Who a user is at a provider. A user has one identity of each provider at most."""

    __tablename__ = "identities"
    __table_args__ = (
        CheckConstraint("char_length(issuer) BETWEEN 1 AND 500", name="identities_issuer_length"),
        CheckConstraint("char_length(subject) BETWEEN 1 AND 255", name="identities_subject_length"),
        Index("identities_user_id_key", "user_id", "issuer", unique=True),
    )

    issuer: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    """The provider's own name of the user (`sub`): it stays when the e-mail address changes."""
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class UsedSignIn(Model):
    """A sign-in through a provider that was finished, whether it succeeded or not: it works once."""

    __tablename__ = "used_sign_ins"
    __table_args__ = (Index("used_sign_ins_expires_at_idx", "expires_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    expires_at: Mapped[datetime]
    """When its token is refused in any case, and the row may go."""
