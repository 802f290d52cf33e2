"""Apple Push Notification service: iOS, macOS, watchOS.

Sources: "Sending notification requests to APNs" and "Handling notification responses from APNs" of
https://developer.apple.com/documentation/usernotifications.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

import orjson
from hpack import NeverIndexedHeaderTuple

from taskbell.delivery.alerts import Endpoint
from taskbell.delivery.providers.connection import Answer, Header, NoAnswer
from taskbell.delivery.providers.http2 import Client, read_address
from taskbell.delivery.providers.texts import data, words
from taskbell.delivery.providers.tokens import AppleToken, TokenUnavailable
from taskbell.delivery.providers.verdicts import Sending, Verdict, delivered, final, gone, later
from taskbell.delivery.retry_after import seconds_of

MOST_PAYLOAD_BYTES: Final = 4096
_MOST_BODY_BYTES: Final = 1024
_PAUSE: Final = 60.0
PRODUCTION: Final = "production"
SANDBOX: Final = "sandbox"
_ACCOUNT: Final = frozenset(
    {
        *("InvalidProviderToken", "MissingProviderToken", "ExpiredProviderToken", "BadCertificate"),
        *("BadCertificateEnvironment", "BadEnvironmentKeyIdInToken", "UnrelatedKeyIdInToken"),
        *("BadTopic", "MissingTopic", "TopicDisallowed"),
    }
)
"""What Apple says when the key, the team or the topic of the settings is wrong, and no device is."""
_REQUEST: Final = frozenset(  # and what Apple asks not to send again
    {
        *("BadCollapseId", "BadExpirationDate", "BadMessageId", "BadPriority", "DuplicateHeaders", "InvalidPushType"),
        *("MissingDeviceToken", "PayloadEmpty", "PayloadTooLarge", "Forbidden", "BadPath", "MethodNotAllowed"),
        "DeviceTokenNotForTopic",
    }
)
_UNKNOWN_DEVICE: Final = "BadDeviceToken"
_DEVICE: Final = frozenset({_UNKNOWN_DEVICE, "Unregistered", "ExpiredToken"})
_PASSING: Final = frozenset(
    {
        *("IdleTimeout", "TooManyRequests", "TooManyProviderTokenUpdates"),
        *("InternalServerError", "ServiceUnavailable", "Shutdown"),
    }
)
_REASONS: Final = _ACCOUNT | _REQUEST | _DEVICE | _PASSING


class Apns:
    """Sends by Apple, to production or to the sandbox as the device says.

    `BadDeviceToken` means that the token is malformed, or belongs to the other environment: an app from the store has
    one of production, an app from Xcode one of the sandbox, and a client may say the wrong one. So the other
    environment is asked, too: the alert may be delivered there, and only if both know no such token is the device gone.
    """

    def __init__(
        self,
        client: Client,
        *,
        url: str,
        sandbox_url: str,
        topic: str,
        token: AppleToken,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take the client, both base addresses, the app's id and the token."""
        self._client = client
        self._hosts = {
            PRODUCTION: read_address(url, any_port=True),
            SANDBOX: read_address(sandbox_url, any_port=True),
        }
        self._topic = topic.encode()
        self._token = token
        self._clock = clock

    async def attempt(self, sending: Sending) -> Verdict:
        """Attempt once, and in the other environment if the first one knows no such token."""
        environments = (PRODUCTION, SANDBOX)
        first, second = environments if sending.endpoint.environment != SANDBOX else environments[::-1]
        verdict = await self._send(first, sending)
        if verdict.reason != _UNKNOWN_DEVICE:
            return verdict
        try:
            other = await self._send(second, sending)
        except NoAnswer as missing:
            other = later(None, str(missing), "no_answer")
        if other.reason == _UNKNOWN_DEVICE:
            return gone(400, "400 BadDeviceToken in both environments", _UNKNOWN_DEVICE)
        if other.outcome.delivered or other.outcome.gone:
            return other
        if other.reason in _ACCOUNT:  # a key may be for one environment only: nothing is certain
            return final(400, "400 BadDeviceToken; the other environment cannot tell", _UNKNOWN_DEVICE)
        return later(400, "400 BadDeviceToken; the other environment does not tell", _UNKNOWN_DEVICE)

    async def _send(self, environment: str, sending: Sending) -> Verdict:
        origin, base = self._hosts[environment]
        path = base.rstrip(b"/") + b"/3/device/" + quote(sending.endpoint.address, safe="").encode()
        body = orjson.dumps(payload(sending))
        try:
            token = await self._token.get()
            answer = await self._client.post(origin, path, self._fields(sending, token), body)
            if _reason(answer) == "ExpiredProviderToken":
                token = await self._token.replace(token)
                answer = await self._client.post(origin, path, self._fields(sending, token), body)
        except TokenUnavailable as unavailable:
            return unavailable.verdict
        return judge(answer, endpoint=sending.endpoint, now=self._clock())

    def _fields(self, sending: Sending, token: str) -> list[Header]:
        withdrawn = sending.alert.withdrawn
        expires = str(int(self._clock() + sending.remaining)).encode()
        return [
            (b"authorization", b"bearer " + token.encode()),
            (b"apns-topic", self._topic),
            (b"apns-push-type", b"background" if withdrawn else b"alert"),
            (b"apns-priority", b"5" if withdrawn else b"10"),
            (b"content-type", b"application/json"),
            NeverIndexedHeaderTuple(b"apns-expiration", expires),
            NeverIndexedHeaderTuple(b"apns-collapse-id", str(sending.alert.notification_id).encode()),
            NeverIndexedHeaderTuple(b"apns-id", str(sending.id).encode()),
        ]


def payload(sending: Sending) -> dict[str, Any]:
    """Return the payload, at most 4,096 bytes. An alert that is taken back shows nothing: the app removes it."""
    alert = sending.alert
    if alert.withdrawn:
        return {"aps": {"content-available": 1}, **data(alert)}
    shown = words(alert, most_body_bytes=_MOST_BODY_BYTES)
    aps: dict[str, Any] = {
        "alert": {"title": shown.title, "body": shown.body},
        "sound": "default",
        "thread-id": str(alert.task_id or alert.workspace_id),
    }
    if alert.urgent:
        aps["interruption-level"] = "time-sensitive"
    return {"aps": aps, **data(alert)}


def judge(answer: Answer, *, endpoint: Endpoint, now: float) -> Verdict:
    """Judge an answer by Apple's status and reason.

    - 410 `Unregistered` or `ExpiredToken`: gone, if the time of the answer is later than the registration; else the
      app has registered since, and it is tried again.
    - `BadDeviceToken`: see `Apns`.
    - `DeviceTokenNotForTopic`: no device is removed for it, because a wrong TASKBELL_APNS_TOPIC would remove all.
    - 403, and 400 for a wrong topic: the settings are wrong: all waits, nothing is lost.
    - 429 `TooManyRequests`: this device gets too much; others go on.
    """
    if answer.status == 200:
        return delivered(200)
    known = _reason(answer)
    text = f"{answer.status} {known}" if known else f"answered {answer.status}"
    reason = known or "status"
    after = seconds_of(answer.retry_after, now=now)
    if answer.status == 410:
        is_gone = _timestamp(answer) > endpoint.registered_at
        return gone(410, text, reason) if is_gone else later(410, f"{text}, but registered since", reason, after=after)
    if known in _ACCOUNT or (answer.status == 403 and known is None):
        return later(answer.status, text, reason, pause=_PAUSE, ours=True)
    if answer.status == 429:
        is_account = known == "TooManyProviderTokenUpdates"
        after = after or _PAUSE
        return later(429, text, reason, after=after, pause=after if is_account else None, ours=is_account)
    if known in _REQUEST or answer.status in {404, 405, 413}:
        return final(answer.status, text, reason, ours=True)
    return later(answer.status, text, reason, after=after)


def _document(answer: Answer) -> dict[str, Any]:
    try:
        found: Any = orjson.loads(answer.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _reason(answer: Answer) -> str | None:
    """Return Apple's reason; None if there is none, or one that is unknown here."""
    if answer.status == 200:
        return None
    found = _document(answer).get("reason")
    return found if isinstance(found, str) and found in _REASONS else None


def _timestamp(answer: Answer) -> float:
    """Return since when the token is invalid, in Unix seconds; without a time nothing is certain: 0."""
    found = _document(answer).get("timestamp")
    return found / 1000 if isinstance(found, int | float) and not isinstance(found, bool) else 0.0
