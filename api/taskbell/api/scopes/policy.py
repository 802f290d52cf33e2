"""Which scope each operation needs: the one table that decides it.

An operation is its method and the template of its path. One that stands nowhere here is open to sessions alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from taskbell.contract.scopes import Scope

SESSION_ONLY = frozenset(
    {
        "POST /v1/me/delete",
        "GET /v1/me/export",
        "POST /v1/me/password",
        "POST /v1/me/email",
        "POST /v1/me/email/confirmation",
        "POST /v1/me/email/confirm",
        "POST /v1/invitations/accept",
        "DELETE /v1/workspaces/{workspace_id}",
        "POST /v1/workspaces/{workspace_id}/restore",
        "GET /v1/me/second-factor",
        "POST /v1/me/second-factor",
        "POST /v1/me/second-factor/confirm",
        "POST /v1/me/second-factor/disable",
        "GET /v1/me/sessions",
        "DELETE /v1/me/sessions",
        "DELETE /v1/me/sessions/{session_id}",
        "GET /v1/tokens",
        "POST /v1/tokens",
        "DELETE /v1/tokens/{token_id}",
        "POST /v1/workspaces/{workspace_id}/bots",
        "DELETE /v1/workspaces/{workspace_id}/bots/{bot_id}",
        "GET /v1/workspaces/{workspace_id}/bots/{bot_id}/tokens",
        "POST /v1/workspaces/{workspace_id}/bots/{bot_id}/tokens",
        "DELETE /v1/workspaces/{workspace_id}/bots/{bot_id}/tokens/{token_id}",
    }
)
"""The safety of accounts: a personal access token that was stolen must not make itself at home."""

ANY_TOKEN = frozenset({"POST /v1/auth/logout"})
"""What every personal access token may do, whatever its scopes: end itself."""

_OPERATIONS: Mapping[Scope, tuple[str, ...]] = {
    Scope.TASKS_READ: (
        "GET /v1/tasks",
        "GET /v1/tasks/{task_id}",
        "GET /v1/me/tasks",
        "GET /v1/tasks/{task_id}/comments",
        "GET /v1/tasks/{task_id}/subscription",
        "GET /v1/reports/throughput",
        "GET /v1/reports/cycle-time",
        "GET /v1/reports/overdue",
        "GET /v1/reports/workload",
    ),
    Scope.TASKS_WRITE: (
        "POST /v1/tasks",
        "PATCH /v1/tasks/{task_id}",
        "PUT /v1/tasks/{task_id}",
        "DELETE /v1/tasks/{task_id}",
        "POST /v1/tasks/{task_id}/move",
        "POST /v1/tasks/{task_id}/remind",
        "POST /v1/tasks/{task_id}/comments",
        "DELETE /v1/tasks/{task_id}/comments/{comment_id}",
        "PUT /v1/tasks/{task_id}/subscription",
        "DELETE /v1/tasks/{task_id}/subscription",
    ),
    Scope.WORKSPACES_READ: (
        "GET /v1/workspaces",
        "GET /v1/workspaces/deleted",
        "GET /v1/workspaces/{workspace_id}",
        "GET /v1/workspaces/{workspace_id}/members",
        "GET /v1/workspaces/{workspace_id}/invitations",
        "GET /v1/workspaces/{workspace_id}/bots",
        "GET /v1/invitations",
    ),
    Scope.WORKSPACES_WRITE: (
        "POST /v1/workspaces",
        "POST /v1/workspaces/{workspace_id}/members",
        "PATCH /v1/workspaces/{workspace_id}",
        "PATCH /v1/workspaces/{workspace_id}/members/{user_id}",
        "DELETE /v1/workspaces/{workspace_id}/members/{user_id}",
        "DELETE /v1/workspaces/{workspace_id}/invitations/{invitation_id}",
        "POST /v1/invitations/{invitation_id}/accept",
        "POST /v1/invitations/{invitation_id}/decline",
    ),
    Scope.NOTIFICATIONS_READ: (
        "GET /v1/notifications",
        "GET /v1/devices",
        "GET /v1/devices/webpush-key",
        "GET /v1/me/channels/email",
        "GET /v1/me/channels/slack",
        "GET /v1/me/channels/teams",
        "GET /v1/me/preferences",
        "GET /v1/me/preferences/effective",
    ),
    Scope.NOTIFICATIONS_WRITE: (
        "PATCH /v1/notifications/{notification_id}",
        "POST /v1/notifications/read",
        "POST /v1/devices",
        "PATCH /v1/devices/{device_id}",
        "DELETE /v1/devices/{device_id}",
        "PUT /v1/me/channels/email",
        "PUT /v1/me/channels/slack",
        "DELETE /v1/me/channels/slack",
        "PUT /v1/me/channels/teams",
        "DELETE /v1/me/channels/teams",
        "PUT /v1/me/preferences",
    ),
    Scope.WEBHOOKS_READ: (
        "GET /v1/webhooks",
        "GET /v1/webhooks/{webhook_id}",
        "GET /v1/webhooks/{webhook_id}/deliveries",
    ),
    Scope.WEBHOOKS_WRITE: (
        "POST /v1/webhooks",
        "PATCH /v1/webhooks/{webhook_id}",
        "DELETE /v1/webhooks/{webhook_id}",
        "POST /v1/webhooks/{webhook_id}/rotate-secret",
        "POST /v1/webhooks/{webhook_id}/test",
        "POST /v1/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver",
    ),
    Scope.PROFILE_READ: ("GET /v1/me",),
    Scope.PROFILE_WRITE: ("PATCH /v1/me",),
    Scope.EVENTS_READ: ("GET /v1/events", "POST /v1/realtime/tickets"),
}

SCOPES: Mapping[str, Scope] = {operation: scope for scope, found in _OPERATIONS.items() for operation in found}
"""The scope of each operation that a token may call."""


def needed(method: str, path: str) -> Scope | None:
    """The scope of an operation; None if a scope does not help. `path` is the template."""
    return SCOPES.get(f"{method} {path}")


def open_to_any_token(method: str, path: str) -> bool:
    """Whether a personal access token may call an operation without any scope. `path` is the template."""
    return f"{method} {path}" in ANY_TOKEN
