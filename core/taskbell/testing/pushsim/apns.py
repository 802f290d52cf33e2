"""Apple Push Notification service: `POST /3/device/{device token}`.

Sources:
    https://developer.apple.com/documentation/usernotifications/sending-notification-requests-to-apns (headers),
    https://developer.apple.com/documentation/usernotifications/establishing-a-token-based-connection-to-apns
    (provider tokens: 20 to 60 minutes),
    https://developer.apple.com/documentation/usernotifications/handling-notification-responses-from-apns (reasons),
    https://developer.apple.com/documentation/usernotifications/generating-a-remote-notification (4096 bytes).
"""

from __future__ import annotations

import re
from uuid import uuid4

from taskbell.testing.pushsim.apns_tokens import ProviderTokens
from taskbell.testing.pushsim.devices import Device, Provider
from taskbell.testing.pushsim.journal import Push
from taskbell.testing.pushsim.provider import Accepted, Refusal, Refuse, World, json_answer, json_object
from taskbell.testing.pushsim.screen import Effect, Shown, app_effect, takes_back
from taskbell.testing.pushsim.wire import Answer, Request

MAX_PAYLOAD = 4096
"""Bytes; 5120 for VoIP, which Taskbell does not send."""
MAX_COLLAPSE_ID = 64
"""Bytes."""
_TYPES = frozenset(
    {"alert", "background", "location", "voip", "complication", "fileprovider", "mdm", "liveactivity", "pushtotalk"}
)
_PREFIX = "/3/device/"
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_MONTH = 30 * 86_400.0

REASONS: dict[str, int] = {
    **dict.fromkeys(
        (
            *("BadCollapseId", "BadDeviceToken", "BadExpirationDate", "BadMessageId", "BadPriority", "BadTopic"),
            *("DeviceTokenNotForTopic", "DuplicateHeaders", "IdleTimeout", "InvalidPushType", "MissingDeviceToken"),
            *("MissingTopic", "PayloadEmpty", "TopicDisallowed"),
        ),
        400,
    ),
    **dict.fromkeys(
        (
            *("BadCertificate", "BadCertificateEnvironment", "ExpiredProviderToken", "Forbidden"),
            *("InvalidProviderToken", "MissingProviderToken", "UnrelatedKeyIdInToken", "BadEnvironmentKeyIdInToken"),
        ),
        403,
    ),
    "BadPath": 404,
    "MethodNotAllowed": 405,
    "ExpiredToken": 410,
    "Unregistered": 410,
    "PayloadTooLarge": 413,
    "TooManyProviderTokenUpdates": 429,
    "TooManyRequests": 429,
    "InternalServerError": 500,
    "ServiceUnavailable": 503,
    "Shutdown": 503,
}
"""Apple's reasons and their statuses."""


def refusal(reason: str, *, apns_id: str | None = None, gone_at: float | None = None, **headers: str) -> Refusal:
    """Apple's answer for one of its reasons. With 410 comes the time, in milliseconds, since which it is known."""
    body: dict[str, object] = {"reason": reason}
    if gone_at is not None:
        body["timestamp"] = int(gone_at * 1000)
    return Refusal(json_answer(REASONS[reason], body, apns_id=apns_id or str(uuid4()), **headers), reason)


class Apns:
    """APNs with its production and its sandbox side, and the Apple devices that it serves."""

    def __init__(self, world: World) -> None:
        """Take the world."""
        self._world = world
        self.tokens = ProviderTokens(world.credentials)
        """The provider tokens it has seen."""
        self.sandbox_port = 0
        """The port of the sandbox; all others are production."""

    def device(self, *, sandbox: bool = False, topic: str | None = None) -> Device:
        """Make a device with the app. `topic` is another app that its token belongs to."""
        made = self._world.devices.new(Provider.APNS, environment="sandbox" if sandbox else "production")
        made.topic = topic
        return made

    def address_of(self, request: Request) -> str | None:
        """The device token that a request names."""
        return request.path.removeprefix(_PREFIX)

    def handle(self, request: Request) -> Accepted:
        """Judge a request as APNs does: path, provider token, headers, payload, device token."""
        headers = request.headers
        apns_id = _checked_id(headers.get("apns-id"))
        if not request.path.startswith(_PREFIX):
            raise _refuse("BadPath", apns_id)
        if request.method != "POST":
            raise _refuse("MethodNotAllowed", apns_id)
        if request.repeated & {"apns-id", "apns-topic", "apns-expiration", "apns-priority", "authorization"}:
            raise _refuse("DuplicateHeaders", apns_id)
        now = self._world.clock()
        if reason := self.tokens.refuse(headers.get("authorization", ""), now=now):
            raise _refuse(reason, apns_id)
        expires = _expiration(headers.get("apns-expiration", ""), apns_id, now=now)
        _check_headers(request, apns_id, topic=self._world.credentials.apns_topic)
        device = self._receiver(request, apns_id, now=now)
        payload = json_object(request.body)
        aps = (payload or {}).get("aps")
        if payload is None or not isinstance(aps, dict):  # Apple names no reason for a body that is no JSON object
            raise _refuse("PayloadEmpty", apns_id)
        collapse = headers.get("apns-collapse-id")
        known = app_effect(payload)[1]
        effect = _effect(payload, collapse=collapse, expires=expires)
        push = Push(
            number=self._world.journal.next_number(),
            at=now,
            provider=Provider.APNS,
            address=device.address,
            message_id=apns_id,
            notification_id=known or collapse,
            collapse_id=collapse,
            title=effect.show.title if effect.show else None,
            body=effect.show.body if effect.show else None,
            withdrawn=effect.removes is not None,
            payload=payload,
            headers={name: text for name, text in headers.items() if name.startswith("apns-")},
        )
        fields = {"apns-id": apns_id}
        if device.environment == "sandbox":
            fields["apns-unique-id"] = str(uuid4())
        return Accepted(push, device, effect, Answer(200, b"", fields))

    def _receiver(self, request: Request, apns_id: str, *, now: float) -> Device:
        token = request.path.removeprefix(_PREFIX)
        if not token:
            raise _refuse("MissingDeviceToken", apns_id)
        device = self._world.devices.find(Provider.APNS, token.lower())
        environment = "sandbox" if request.port == self.sandbox_port else "production"
        if device is None or device.environment != environment:
            raise _refuse("BadDeviceToken", apns_id)
        if device.topic not in {None, self._world.credentials.apns_topic}:
            raise _refuse("DeviceTokenNotForTopic", apns_id)
        if device.gone_at is not None and device.gone_at <= now:
            raise Refuse(refusal("Unregistered", apns_id=apns_id, gone_at=device.gone_at))
        return device


def _refuse(reason: str, apns_id: str) -> Refuse:
    return Refuse(refusal(reason, apns_id=apns_id))


def _checked_id(text: str | None) -> str:
    """The `apns-id`: a UUID in its canonical form, or a new one where the request has none."""
    if text is None:
        return str(uuid4()).upper()
    if not _UUID.fullmatch(text):
        raise Refuse(refusal("BadMessageId"))
    return text


def _expiration(text: str, apns_id: str, *, now: float) -> float:
    if not text:
        return now + _MONTH
    if not re.fullmatch(r"\d{1,10}", text, re.ASCII):
        raise _refuse("BadExpirationDate", apns_id)
    return min(float(text), now + _MONTH)


def _check_headers(request: Request, apns_id: str, *, topic: str) -> None:
    headers = request.headers
    priority, kind = headers.get("apns-priority", "10"), headers.get("apns-push-type", "alert")
    if priority not in {"1", "5", "10"}:
        raise _refuse("BadPriority", apns_id)
    if kind not in _TYPES:
        raise _refuse("InvalidPushType", apns_id)
    if kind == "background" and priority == "10":
        raise _refuse("BadPriority", apns_id)
    if "apns-topic" not in headers:
        raise _refuse("MissingTopic", apns_id)
    if not re.fullmatch(r"[A-Za-z0-9.-]{1,255}", headers["apns-topic"]):
        raise _refuse("BadTopic", apns_id)
    if headers["apns-topic"] != topic:
        raise _refuse("TopicDisallowed", apns_id)
    if len(headers.get("apns-collapse-id", "").encode()) > MAX_COLLAPSE_ID:
        raise _refuse("BadCollapseId", apns_id)
    if not request.body:
        raise _refuse("PayloadEmpty", apns_id)
    if len(request.body) > MAX_PAYLOAD:
        raise _refuse("PayloadTooLarge", apns_id)


def _effect(payload: dict[str, object], *, collapse: str | None, expires: float) -> Effect:
    """What the device does: the system shows an alert; a background push wakes the app, which may take one back."""
    aps = payload["aps"]
    alert = aps.get("alert") if isinstance(aps, dict) else None
    known = app_effect(payload)[1]
    stored = "the last of the app"  # APNs keeps one notification for each app of a device
    if isinstance(alert, str):
        alert = {"body": alert}
    if isinstance(alert, dict):
        shown = Shown(
            title=str(alert.get("title", "")), body=str(alert.get("body", "")), notification_id=known or collapse
        )
        return Effect(show=shown, replaces=collapse, stored_as=stored, expires_at=expires)
    return Effect(removes=known if takes_back(payload) else None, stored_as=stored, expires_at=expires)
