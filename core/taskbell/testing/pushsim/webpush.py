"""A push service of browsers (RFC 8030) with the browsers behind it: `POST` to a subscription's endpoint.

Statuses are those of RFC 8030 and RFC 8292; the bodies are Mozilla's.

Sources:
    RFC 8030 sections 5 (201, `Location`), 5.2 (TTL is mandatory: 400), 5.3 (urgency), 5.4 (topic: 32 characters of
    base64url), 7.2 (413 above 4096 bytes), 7.3 (404 for an expired subscription; services answer 410 too),
    https://mozilla-services.github.io/autopush-rs/errors.html (errno and body).
"""

from __future__ import annotations

import re
import secrets
from http import HTTPStatus

from taskbell.testing.pushsim.credentials import from_base64url
from taskbell.testing.pushsim.devices import Device, Provider
from taskbell.testing.pushsim.journal import Push
from taskbell.testing.pushsim.message_encryption import MessageUndecipherable, decrypt
from taskbell.testing.pushsim.provider import Accepted, Refusal, Refuse, World, json_answer, json_object
from taskbell.testing.pushsim.screen import Effect, Shown, app_effect, takes_back
from taskbell.testing.pushsim.vapid import Vapid, VapidMissing, VapidWrong
from taskbell.testing.pushsim.wire import Answer, Request

MAX_BODY = 4096
LONGEST_TTL = 2_592_000
"""Seconds: 30 days. A longer TTL is cut, and the answer says so (RFC 8030 section 5.2)."""
_PREFIX = "/wpush/v2/"
_URGENCIES = frozenset({"very-low", "low", "normal", "high"})
_MORE = "https://mozilla-services.github.io/autopush-rs/errors.html"

ERRORS: dict[str, tuple[int, int, str]] = {
    "invalid_endpoint": (404, 102, "Request did not validate: invalid token"),
    "expired": (410, 103, "Request did not validate: expired endpoint"),
    "gone": (410, 106, "Subscription is no longer valid"),
    "too_large": (413, 104, "This message is intended for a constrained device and is limited in size"),
    "unauthorized": (401, 109, "Request did not validate: missing authorization header"),
    "forbidden": (403, 109, "Request did not validate: invalid authorization"),
    "bad_encryption": (400, 110, "Request did not validate: invalid encryption headers"),
    "missing_ttl": (400, 111, "Request did not validate: missing TTL header"),
    "bad_ttl": (400, 112, "Request did not validate: invalid TTL value"),
    "bad_topic": (400, 113, "Request did not validate: invalid Topic value"),
    "bad_urgency": (400, 114, "Request did not validate: invalid Urgency value"),
    "too_many": (429, 201, "Please use exponential back-off"),
    "overloaded": (503, 201, "Please use exponential back-off"),
    "temporary": (503, 202, "Temporary failure, retry is possible"),
    "internal": (500, 999, "An unknown error occurred"),
}
"""Names of this simulator: HTTP status, Mozilla's errno, message."""


def refusal(name: str, *, message: str | None = None, **headers: str) -> Refusal:
    """The push service's answer for one of `ERRORS`."""
    status, number, text = ERRORS[name]
    body = {
        "code": status,
        "errno": number,
        "error": HTTPStatus(status).phrase,
        "message": message or text,
        "more_info": _MORE,
    }
    return Refusal(json_answer(status, body, **headers), name)


class WebPush:
    """The push service, and its browsers."""

    def __init__(self, world: World) -> None:
        """Take the world; browsers subscribe with its VAPID key."""
        self._world = world
        self.vapid = Vapid(world.credentials.vapid_public_key)
        """Verifies who sends."""

    def subscription(self) -> Device:
        """Make a browser with a subscription, as `PushManager.subscribe()` would."""
        return self._world.devices.new(Provider.WEBPUSH)

    def address_of(self, request: Request) -> str | None:
        """The endpoint that a request names."""
        return self._world.devices.url + request.path

    def handle(self, request: Request) -> Accepted:
        """Judge a request: subscription, VAPID, headers, size. Then the browser decrypts it."""
        if request.method != "POST":
            raise Refuse(Refusal(Answer(405, b"", {"allow": "POST"}), "405"))
        device = self._world.devices.find(Provider.WEBPUSH, request.path.removeprefix(_PREFIX))
        now = self._world.clock()
        if device is None:
            raise Refuse(refusal("invalid_endpoint"))
        if device.gone_at is not None and device.gone_at <= now:
            raise Refuse(refusal("gone"))
        try:
            self.vapid.check(request.headers.get("authorization", ""), now=now)
        except VapidMissing:
            raise Refuse(refusal("unauthorized", www_authenticate="vapid")) from None
        except VapidWrong as wrong:
            raise Refuse(refusal("forbidden", message=f"Request did not validate: {wrong}")) from None
        ttl, topic = _checked(request)
        message_id = secrets.token_urlsafe(24)
        push, effect = self._received(request, device, message_id, topic=topic, expires=now + ttl)
        location = f"{self._world.devices.url}/m/{message_id}"
        return Accepted(push, device, effect, Answer(201, b"", {"location": location, "ttl": str(ttl)}))

    def _received(
        self, request: Request, device: Device, message_id: str, *, topic: str | None, expires: float
    ) -> tuple[Push, Effect]:
        problem, plain = None, b""
        try:
            plain = _decrypted(request.body, device)
        except MessageUndecipherable as wrong:
            problem = str(wrong)
        payload = json_object(plain) or {}
        shown, known = app_effect(payload)
        if problem is None and shown is None and not payload:
            shown = Shown(title="", body=plain.decode("utf-8", "replace"))
        withdrawn = takes_back(payload)
        headers = {name: text for name, text in request.headers.items() if name in {"ttl", "topic", "urgency"}}
        push = Push(
            number=self._world.journal.next_number(),
            at=self._world.clock(),
            provider=Provider.WEBPUSH,
            address=device.address,
            message_id=message_id,
            notification_id=known,
            collapse_id=topic,
            title=shown.title if shown else None,
            body=shown.body if shown else None,
            withdrawn=withdrawn,
            payload=payload,
            headers=headers,
            problem=problem,
        )
        removes = known if withdrawn else None
        return push, Effect(show=shown, replaces=known, removes=removes, stored_as=topic, expires_at=expires)


def _decrypted(body: bytes, device: Device) -> bytes:
    if not body:
        return b""
    if device.private_key is None or device.auth is None:
        raise MessageUndecipherable("the subscription has no keys")
    return decrypt(body, key=device.private_key, auth=from_base64url(device.auth))


def _checked(request: Request) -> tuple[int, str | None]:
    """The TTL and the topic of a request that is in order."""
    headers = request.headers
    ttl, topic = headers.get("ttl"), headers.get("topic")
    if ttl is None:
        raise Refuse(refusal("missing_ttl"))
    if not re.fullmatch(r"\d{1,12}", ttl, re.ASCII):
        raise Refuse(refusal("bad_ttl"))
    if topic is not None and not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", topic):
        raise Refuse(refusal("bad_topic"))
    if headers.get("urgency", "normal") not in _URGENCIES or "urgency" in request.repeated:
        raise Refuse(refusal("bad_urgency"))
    if request.body and headers.get("content-encoding", "").lower() != "aes128gcm":
        raise Refuse(refusal("bad_encryption"))
    if len(request.body) > MAX_BODY:
        raise Refuse(refusal("too_large"))
    return min(int(ttl), LONGEST_TTL), topic
