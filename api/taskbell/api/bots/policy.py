"""What bots may be and do."""

from __future__ import annotations

from collections.abc import Iterable

from taskbell.api.workspaces.policy import Role
from taskbell.contract.scopes import Scope

MANAGERS = frozenset({Role.OWNER, Role.ADMIN})
"""Who looks after bots."""
_NOT_FOR_BOTS = frozenset({Scope.WORKSPACES_WRITE, Scope.NOTIFICATIONS_WRITE, Scope.PROFILE_WRITE})
"""A bot joins no other workspace, and nothing is sent to it: no device, no channel, no digest."""


def refused(scopes: Iterable[Scope]) -> list[str]:
    """Those of the scopes that no token of a bot may have."""
    return [scope.value for scope in scopes if scope in _NOT_FOR_BOTS]
