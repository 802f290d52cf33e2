"""The body of FCM's `messages:send`: which fields it knows, their types, and their limits.

Source: https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages. A field that FCM has and this list
does not is one that Taskbell does not send; add it here when it does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

MAX_PAYLOAD = 4096
"""Bytes of `data` and `notification` together, keys included."""
WEEKS = 2_419_200
"""Seconds: the longest TTL, and the one of a message without."""
_DURATION = re.compile(r"(\d{1,10})(\.\d{1,9})?s")
_RESERVED = re.compile(r"from|message_type|google\..*|gcm\.notification\..*")

_Kind = type | tuple[type, ...] | Mapping[str, Any] | str
_MAP, _TTL = "map of strings", "duration"
_NOTIFICATION: dict[str, _Kind] = {"title": str, "body": str, "image": str}
_ANDROID_NOTIFICATION: dict[str, _Kind] = {
    **_NOTIFICATION,
    **dict.fromkeys(("icon", "color", "sound", "tag", "click_action", "channel_id", "ticker", "event_time"), str),
    **dict.fromkeys(("sticky", "local_only", "default_sound", "default_vibrate_timings"), bool),
    "notification_priority": str,
    "visibility": str,
    "notification_count": int,
}
_ANDROID: dict[str, _Kind] = {
    **dict.fromkeys(("collapse_key", "priority", "restricted_package_name"), str),
    "ttl": _TTL,
    "data": _MAP,
    "notification": _ANDROID_NOTIFICATION,
    "direct_boot_ok": bool,
    "fcm_options": {"analytics_label": str},
}
_MESSAGE: dict[str, _Kind] = {
    **dict.fromkeys(("token", "topic", "condition", "name"), str),
    "data": _MAP,
    "notification": _NOTIFICATION,
    "android": _ANDROID,
    "webpush": {"headers": _MAP, "data": _MAP, "notification": dict, "fcm_options": dict},
    "apns": {"headers": _MAP, "payload": dict, "fcm_options": dict},
    "fcm_options": {"analytics_label": str},
}
_REQUEST: dict[str, _Kind] = {"message": _MESSAGE, "validate_only": bool}
_TYPES = {str: "TYPE_STRING", bool: "TYPE_BOOL", int: "TYPE_INT32", dict: "TYPE_MESSAGE"}


class MessageMalformed(ValueError):
    """FCM's message about a request that it cannot take; `field` is the one at fault."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


def check_message(body: dict[str, Any]) -> dict[str, Any]:
    """Check a request's body; return its message.

    Raises:
        MessageMalformed: A field is unknown, of another type or out of its range, or the payload is too large.
    """
    _check(body, _REQUEST, "")
    message: dict[str, Any] | None = body.get("message")
    if message is None:
        raise MessageMalformed("Message is not set.", "message")
    targets = [name for name in ("token", "topic", "condition") if message.get(name)]
    if len(targets) != 1 or targets != ["token"]:
        raise MessageMalformed("Recipient of the message is not set.", "message")
    for key in message.get("data", {}):
        if _RESERVED.fullmatch(key):
            raise MessageMalformed(f"Invalid data payload key: {key}", "message.data")
    android = message.get("android", {})
    if android.get("priority", "normal").lower() not in {"normal", "high"}:
        raise _invalid("message.android.priority", "TYPE_ENUM", android["priority"])
    if "ttl" in android and not 0 <= seconds_of(android["ttl"]) <= WEEKS:
        raise MessageMalformed("Invalid TTL: 0 to 2,419,200 seconds", "message.android.ttl")
    size = sum(
        len(key.encode()) + len(value.encode() if isinstance(value, str) else orjson.dumps(value))
        for part in ("data", "notification")
        for key, value in message.get(part, {}).items()
    )
    if size > MAX_PAYLOAD:
        raise MessageMalformed("Message is too big", "")
    return message


def seconds_of(duration: str) -> float:
    """The seconds of a duration such as `3.5s`."""
    return float(duration.removesuffix("s"))


def _invalid(path: str, kind: str, value: object) -> MessageMalformed:
    return MessageMalformed(f"Invalid value at '{path}' ({kind}), {orjson.dumps(value).decode()}", path)


def _check(found: Any, kind: _Kind, path: str) -> None:
    if isinstance(kind, Mapping):
        _check_fields(found, kind, path)
    elif kind == _MAP:
        _check_map(found, path)
    elif kind == _TTL:
        if not isinstance(found, str) or not _DURATION.fullmatch(found):
            raise _invalid(path, "type.googleapis.com/google.protobuf.Duration", found)
    elif isinstance(kind, type) and (not isinstance(found, kind) or (kind is int and isinstance(found, bool))):
        raise _invalid(path, _TYPES[kind], found)


def _check_fields(found: Any, kinds: Mapping[str, Any], path: str) -> None:
    if not isinstance(found, dict):
        raise _invalid(path, "TYPE_MESSAGE", found)
    for name, value in found.items():
        if name not in kinds:
            at = f" at '{path}'" if path else ""
            raise MessageMalformed(
                f'Invalid JSON payload received. Unknown name "{name}"{at}: Cannot find field.', path
            )
        _check(value, kinds[name], f"{path}.{name}" if path else name)


def _check_map(found: Any, path: str) -> None:
    if not isinstance(found, dict):
        raise _invalid(path, "TYPE_MESSAGE", found)
    for number, value in enumerate(found.values()):
        if not isinstance(value, str):
            raise _invalid(f"{path}[{number}].value", "TYPE_STRING", value)
