"""Scopes: what a personal access token may do (OAuth 2.0, RFC 6749 section 3.3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum


class Scope(StrEnum):
    """One right of a token. `<things>:write` includes `<things>:read`."""

    TASKS_READ = "tasks:read"
    TASKS_WRITE = "tasks:write"
    WORKSPACES_READ = "workspaces:read"
    WORKSPACES_WRITE = "workspaces:write"
    NOTIFICATIONS_READ = "notifications:read"
    NOTIFICATIONS_WRITE = "notifications:write"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    PROFILE_READ = "profile:read"
    PROFILE_WRITE = "profile:write"
    EVENTS_READ = "events:read"


MEANINGS: Mapping[Scope, str] = {
    Scope.TASKS_READ: "Read tasks, comments, how you follow a task, and reports",
    Scope.TASKS_WRITE: "Create, change, move and delete tasks; comment, remind and follow",
    Scope.WORKSPACES_READ: "Read workspaces, members and invitations",
    Scope.WORKSPACES_WRITE: "Create, rename and leave workspaces; invite, remove and promote members; join others",
    Scope.NOTIFICATIONS_READ: "Read your inbox, devices, channels and preferences",
    Scope.NOTIFICATIONS_WRITE: "Mark notifications as read; change devices, channels and preferences",
    Scope.WEBHOOKS_READ: "Read webhooks and their deliveries",
    Scope.WEBHOOKS_WRITE: "Create, change, test and delete webhooks; read a new secret",
    Scope.PROFILE_READ: "Read your account: name, e-mail address, time zone",
    Scope.PROFILE_WRITE: "Change your name, time zone, quiet hours and digest",
    Scope.EVENTS_READ: "Follow events: the change feed, and connections to the gateway",
}
"""What each scope permits, for people."""


def granted(scopes: Iterable[str]) -> frozenset[str]:
    """What a token with these scopes may do: they, and the reading that comes with writing."""
    given = frozenset(scopes)
    return given | {f"{scope.removesuffix(':write')}:read" for scope in given if scope.endswith(":write")}
