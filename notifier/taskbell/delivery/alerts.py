"""What an alert says and where it goes, as plain values. A transport gives them the form of its provider."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from taskbell.delivery.times import told_body

PUSH_CHANNELS = ("fcm", "apns", "webpush")
"""Channels to devices; preferences call them together `push`."""
SERVICE_CHANNELS = ("fcm", "apns")
"""Channels whose receiver is one service of the operator's choice, for all users."""
ENDPOINT_CHANNELS = (*PUSH_CHANNELS, "slack", "teams")
"""Channels to devices and chats: what users register as endpoints."""
ALERT_CHANNELS = ("email", *ENDPOINT_CHANNELS)
"""Channels of alerts."""
CHANNELS = ("webhook", *ALERT_CHANNELS)
"""All channels of the ledger."""
_READ = "notification.read"


class AlertMalformed(ValueError):
    """The payload is not an event about a notification."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where alerts of a user go.

    Attributes:
        id: Its id in the API.
        kind: `fcm`, `apns`, `webpush`, `slack` or `teams`.
        address: The registration token, the push subscription's endpoint, or the address of the chat's hook.
        p256dh: The browser's public key (RFC 8291), base64url; only Web Push.
        auth: The browser's authentication secret (RFC 8291), base64url; only Web Push.
        environment: `production` or `sandbox`; only APNs.
        registered_at: When the client last registered it, in Unix seconds.
    """

    id: UUID
    kind: str
    address: str
    p256dh: str | None = None
    auth: str | None = None
    environment: str | None = None
    registered_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A notification on its way outside.

    Attributes:
        notification_id: The notification; the same in all attempts and at all endpoints, so it is what providers
            collapse by.
        kind: Kind of the notification.
        title: At most 255 characters.
        body: A few English words.
        workspace_id: Whose notification it is.
        task_id: The task that it is about, if any.
        urgent: Whether it passed quiet hours.
        created_at: RFC 3339, UTC.
        others: How many further notifications this alert speaks for, because they waited with it.
        withdrawn: The user has read the notification elsewhere: take the alert back, show nothing.
    """

    notification_id: UUID
    kind: str
    title: str
    body: str
    workspace_id: UUID
    task_id: UUID | None
    urgent: bool
    created_at: str
    others: int = 0
    withdrawn: bool = False


def read_alert(payload: str, *, others: int = 0, zone: str = "UTC") -> Alert:
    """Read the alert in the CloudEvents document of a `notification.created` or `notification.read` event.

    A time in its body is told in the reader's `zone`.

    Raises:
        AlertMalformed: It is another document.
    """
    try:
        document: dict[str, Any] = orjson.loads(payload)
        data: dict[str, Any] = document["data"]
        return Alert(
            notification_id=UUID(data["id"]),
            kind=str(data["kind"]),
            title=str(data["title"]),
            body=told_body(str(data["body"]), zone),
            workspace_id=UUID(data["workspace_id"]),
            task_id=UUID(data["task_id"]) if data.get("task_id") else None,
            urgent=bool(data.get("urgent")),
            created_at=str(data["created_at"]),
            others=others,
            withdrawn=document["type"] == _READ,
        )
    except (ValueError, KeyError, TypeError) as wrong:
        raise AlertMalformed(f"no alert: {type(wrong).__name__}") from wrong
