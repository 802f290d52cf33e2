"""Roles, and who may change whose membership. PostgreSQL's policies enforce the same, as a second safeguard."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

UNDO = timedelta(days=30)
"""How long a deleted workspace can be restored; then it is erased."""


class Role(StrEnum):
    """What a member may do."""

    OWNER = "owner"
    """May do everything."""
    ADMIN = "admin"
    """May do everything except adding and removing owners."""
    MEMBER = "member"
    """May read and change tasks."""
    VIEWER = "viewer"
    """May read tasks."""


def may_change_membership(*, actor: Role, of: Role) -> bool:
    """Whether `actor` may add or remove a membership with role `of`."""
    return actor is Role.OWNER or (actor is Role.ADMIN and of is not Role.OWNER)
