"""Roles, and who may change whose membership. PostgreSQL's policies hold the same as a second wall."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a member may do."""

    OWNER = "owner"
    """Everything."""
    ADMIN = "admin"
    """Everything but making and removing owners."""
    MEMBER = "member"
    """Reads and changes tasks."""
    VIEWER = "viewer"
    """Reads tasks."""


def may_change_membership(*, actor: Role, of: Role) -> bool:
    """Whether `actor` may add or remove a membership with role `of`."""
    return actor is Role.OWNER or (actor is Role.ADMIN and of is not Role.OWNER)
