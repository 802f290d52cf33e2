"""Gives an alert its words and its data, within a provider's bytes. Text of users stays text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from taskbell.delivery.alerts import Alert

CREATED: Final = "notification.created"
READ: Final = "notification.read"
MOST_TITLE_BYTES: Final = 512
_ELLIPSIS: Final = "…"
_CONTROLS: Final = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 127), " ")


@dataclass(frozen=True, slots=True)
class Words:
    """What a person reads."""

    title: str
    body: str


def words(alert: Alert, *, most_body_bytes: int) -> Words:
    """Return the title and the body, cut to what a lock screen shows and a provider takes.

    Args:
        alert: What is told. If it speaks for others, the body ends with their number.
        most_body_bytes: Most bytes of the body in UTF-8.
    """
    others = f"and {alert.others} more" if alert.others else ""
    room = most_body_bytes - (len(others) + 1 if others else 0)
    body = cut(_plain(alert.body), room)
    return Words(cut(_plain(alert.title), MOST_TITLE_BYTES), f"{body}\n{others}".strip() if others else body)


def cut(text: str, most_bytes: int) -> str:
    """Return at most this number of bytes of a text in UTF-8, cut between characters and marked by an ellipsis."""
    if len(text) * 4 <= most_bytes or len(encoded := text.encode()) <= most_bytes:
        return text
    return encoded[: max(0, most_bytes - len(_ELLIPSIS.encode()))].decode(errors="ignore").rstrip() + _ELLIPSIS


def data(alert: Alert) -> dict[str, str | int | bool]:
    """Return what a client's program reads: always `type` and `notification_id`, more if there is something to show."""
    if alert.withdrawn:
        return {"type": READ, "notification_id": str(alert.notification_id)}
    found: dict[str, str | int | bool] = {
        "type": CREATED,
        "notification_id": str(alert.notification_id),
        "kind": alert.kind,
        "workspace_id": str(alert.workspace_id),
        "urgent": alert.urgent,
        "others": alert.others,
        "created_at": alert.created_at,
    }
    if alert.task_id is not None:
        found["task_id"] = str(alert.task_id)
    return found


def _plain(text: str) -> str:
    return text.translate(_CONTROLS).strip()
