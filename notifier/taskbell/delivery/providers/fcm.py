"""Firebase Cloud Messaging, HTTP v1: Android, and whatever else registers with Firebase.

Sources: the reference of `projects.messages` and of `ErrorCode`, https://firebase.google.com/docs/reference/fcm/rest/v1.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

import orjson

from taskbell.delivery.providers.connection import Answer
from taskbell.delivery.providers.http2 import Client, read_address
from taskbell.delivery.providers.texts import data, words
from taskbell.delivery.providers.tokens import GoogleToken, TokenUnavailable
from taskbell.delivery.providers.verdicts import Sending, Verdict, delivered, final, gone, later
from taskbell.delivery.providers.webpush import topic_of
from taskbell.delivery.retry_after import seconds_of

_MOST_BODY_BYTES: Final = 1024
_LONGEST_TTL: Final = 2_419_200
"""Four weeks, in seconds."""
_PAUSE: Final = 60.0
_FCM_ERROR: Final = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
_CODES: Final = frozenset(
    {
        *("INVALID_ARGUMENT", "UNREGISTERED", "SENDER_ID_MISMATCH", "QUOTA_EXCEEDED", "UNAVAILABLE", "INTERNAL"),
        *("THIRD_PARTY_AUTH_ERROR", "UNAUTHENTICATED", "PERMISSION_DENIED", "NOT_FOUND", "RESOURCE_EXHAUSTED"),
    }
)


class Fcm:
    """Sends by Firebase."""

    def __init__(
        self, client: Client, *, url: str, project_id: str, token: GoogleToken, clock: Callable[[], float] = time.time
    ) -> None:
        """Take the client, the base address, the project and the token."""
        self._client = client
        self._origin, base = read_address(url, any_port=True)
        self._path = base.rstrip(b"/") + f"/v1/projects/{quote(project_id, safe='')}/messages:send".encode()
        self._token = token
        self._clock = clock

    async def attempt(self, sending: Sending) -> Verdict:
        """Attempt once; a second time with another token, if the first one was refused."""
        body = orjson.dumps(message(sending, now=self._clock()))
        try:
            token = await self._token.get()
            answer = await self._post(token, body)
            if answer.status == 401 and _code(_error(answer)) != "THIRD_PARTY_AUTH_ERROR" and self._token.refuse(token):
                answer = await self._post(await self._token.get(), body)
        except TokenUnavailable as unavailable:
            return unavailable.verdict
        return judge(answer, now=self._clock())

    async def _post(self, token: str, body: bytes) -> Answer:
        fields = [(b"authorization", f"Bearer {token}".encode()), (b"content-type", b"application/json")]
        return await self._client.post(self._origin, self._path, fields, body)


def message(sending: Sending, *, now: float) -> dict[str, Any]:
    """Return the request's document.

    The notification's id is the collapse key and the tag: a second copy replaces the first one. Firebase keeps the
    alerts of at most four keys for a phone that is away; the inbox has all. An alert that is taken back is data
    alone, and takes the place of one that was not delivered yet.
    """
    alert = sending.alert
    key = str(alert.notification_id)
    lasts = min(int(sending.remaining), _LONGEST_TTL)
    found: dict[str, Any] = {
        "token": sending.endpoint.address,
        "data": {name: _text(value) for name, value in data(alert).items()},
        "android": {"collapse_key": key, "priority": "NORMAL" if alert.withdrawn else "HIGH", "ttl": f"{lasts}s"},
        "apns": {
            "headers": {
                "apns-collapse-id": key,
                "apns-expiration": str(int(now) + lasts),
                "apns-priority": "5" if alert.withdrawn else "10",
                "apns-push-type": "background" if alert.withdrawn else "alert",
            },
            "payload": {"aps": {"content-available": 1} if alert.withdrawn else {"sound": "default"}},
        },
        "webpush": {
            "headers": {
                "TTL": str(lasts),
                "Topic": topic_of(alert.notification_id),
                "Urgency": "high" if alert.urgent and not alert.withdrawn else "normal",
            }
        },
    }
    if not alert.withdrawn:
        shown = words(alert, most_body_bytes=_MOST_BODY_BYTES)
        found["notification"] = {"title": shown.title, "body": shown.body}
        found["android"]["notification"] = {"tag": key}
    return {"message": found}


def _text(value: str | int | bool) -> str:  # noqa: FBT001 -- a value of the data, whatever its type
    return str(value).lower() if isinstance(value, bool) else str(value)


def judge(answer: Answer, *, now: float) -> Verdict:
    """Judge an answer by Firebase's `ErrorCode`.

    - `UNREGISTERED` (404): gone. So is `INVALID_ARGUMENT` (400) that blames the token; else our message is wrong.
    - `SENDER_ID_MISMATCH` (403): the device belongs to another project: gone, and an error of the settings.
    - `PERMISSION_DENIED` (403), 401, another 404: the account or the project is wrong: nothing is lost, all waits.
    - `THIRD_PARTY_AUTH_ERROR` (401): Firebase lacks the key for Apple or for browsers: other devices go on.
    - `QUOTA_EXCEEDED` (429): after `Retry-After`, else a minute, as its documents ask; the device's own rate stops only
      that device.
    """
    if answer.status == 200:
        is_taken = isinstance(_document(answer).get("name"), str)
        return delivered(200) if is_taken else later(200, "200 without a name", "malformed")
    error = _error(answer)
    code = _code(error)
    text = f"{answer.status} {code}" if code else f"answered {answer.status}"
    reason = code or "status"
    if _is_gone(answer.status, code, error):
        return gone(answer.status, text, reason, ours=code == "SENDER_ID_MISMATCH")
    if answer.status in {400, 413}:
        return final(answer.status, text, reason, ours=True)
    after = seconds_of(answer.retry_after, now=now)
    if answer.status == 429:
        after = after or _PAUSE
        return later(429, text, reason, after=after, pause=None if _of_device(error) else after)
    if answer.status in {401, 403, 404}:
        of_other_devices = code == "THIRD_PARTY_AUTH_ERROR"
        return later(answer.status, text, reason, after=_PAUSE, pause=None if of_other_devices else _PAUSE, ours=True)
    return later(answer.status, text, reason, after=after)


def _is_gone(status: int, code: str | None, error: dict[str, Any]) -> bool:
    if (status, code) in {(404, "UNREGISTERED"), (403, "SENDER_ID_MISMATCH")}:
        return True
    return (status, code) == (400, "INVALID_ARGUMENT") and _blames_token(error)


def _document(answer: Answer) -> dict[str, Any]:
    try:
        found: Any = orjson.loads(answer.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _error(answer: Answer) -> dict[str, Any]:
    error = _document(answer).get("error")
    return error if isinstance(error, dict) else {}


def _details(error: dict[str, Any]) -> list[dict[str, Any]]:
    found = error.get("details")
    return [detail for detail in found if isinstance(detail, dict)] if isinstance(found, list) else []


def _code(error: dict[str, Any]) -> str | None:
    """Return the code of Firebase, else the general one; None if it is unknown here."""
    codes = [detail.get("errorCode") for detail in _details(error) if detail.get("@type") == _FCM_ERROR]
    code = next((code for code in codes if isinstance(code, str)), error.get("status"))
    return code if isinstance(code, str) and code in _CODES else None


def _violations(error: dict[str, Any], name: str) -> list[dict[str, Any]]:
    lists = [detail.get(name) for detail in _details(error)]
    return [entry for found in lists if isinstance(found, list) for entry in found if isinstance(entry, dict)]


def _blames_token(error: dict[str, Any]) -> bool:
    """Tell whether the token itself is wrong: a violation names its field; without any, the text names the token."""
    violations = _violations(error, "fieldViolations")
    if violations:
        return all(entry.get("field") == "message.token" for entry in violations)
    text = error.get("message")
    return isinstance(text, str) and "registration token" in text.lower()


def _of_device(error: dict[str, Any]) -> bool:
    """Tell whether the quota of one device is used up, and not that of the project (`google.rpc.QuotaFailure`)."""
    entries = _violations(error, "violations")
    texts = [str(entry.get(name)).lower() for entry in entries for name in ("subject", "description")]
    return any("device" in text for text in texts)
