"""Firebase Cloud Messaging, HTTP v1: `POST /v1/projects/{project}/messages:send`.

Sources:
    https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages (fields and their types),
    https://firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode (codes, statuses, 4096 bytes, TTL up to 4 weeks),
    https://firebase.google.com/docs/cloud-messaging/error-codes (the form of errors),
    https://bloomberg.github.io/pushiko/fcm_responses (recorded answers).
"""

from __future__ import annotations

import re
import secrets
from typing import Any

from taskbell.testing.pushsim.devices import Device, Provider
from taskbell.testing.pushsim.fcm_message import WEEKS, MessageMalformed, check_message, seconds_of
from taskbell.testing.pushsim.journal import Push
from taskbell.testing.pushsim.oauth import TokenEndpoint
from taskbell.testing.pushsim.provider import Accepted, Refusal, Refuse, World, json_answer, json_object
from taskbell.testing.pushsim.screen import Effect, Shown, app_effect, takes_back
from taskbell.testing.pushsim.wire import Answer, Request

_DETAIL = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
_BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{8,}:[A-Za-z0-9_-]{20,}")
_REALM = 'Bearer realm="https://accounts.google.com/", error="invalid_token"'

ERRORS: dict[str, tuple[int, str, str]] = {
    "INVALID_ARGUMENT": (400, "INVALID_ARGUMENT", "Request contains an invalid argument."),
    "UNREGISTERED": (404, "NOT_FOUND", "Requested entity was not found."),
    "SENDER_ID_MISMATCH": (403, "PERMISSION_DENIED", "SenderId mismatch"),
    "QUOTA_EXCEEDED": (429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
    "UNAVAILABLE": (503, "UNAVAILABLE", "The service is currently unavailable."),
    "INTERNAL": (500, "INTERNAL", "Internal error encountered."),
    "THIRD_PARTY_AUTH_ERROR": (401, "UNAUTHENTICATED", "Auth error from APNS or Web Push Service"),
}
"""FCM's codes: HTTP status, canonical status, message."""


def refusal(code: str, *, blames: str | None = None, message: str | None = None, **headers: str) -> Refusal:
    """FCM's answer for one of its codes. `blames` names the field at fault; `headers` such as `retry_after`."""
    status, canonical, text = ERRORS[code]
    details: list[dict[str, Any]] = [{"@type": _DETAIL, "errorCode": code}]
    if blames is not None:
        violation = {"field": blames, "description": message or text}
        details.append({"@type": _BAD_REQUEST, "fieldViolations": [violation]})
    return Refusal(_error(status, canonical, message or text, details, **headers), code)


def _error(status: int, canonical: str, message: str, details: list[dict[str, Any]], **headers: str) -> Answer:
    error = {"code": status, "message": message, "status": canonical, "details": details}
    return json_answer(status, {"error": error}, **headers)


class Fcm:
    """FCM, and the Android devices that it serves."""

    def __init__(self, world: World, tokens: TokenEndpoint) -> None:
        """Take the world and the endpoint whose bearer tokens count."""
        self._world = world
        self._tokens = tokens
        self._path = f"/v1/projects/{world.credentials.project_id}/messages:send"

    def device(self, *, sender: str | None = None) -> Device:
        """Make a device with the app. `sender` is another project that its token belongs to."""
        made = self._world.devices.new(Provider.FCM)
        made.sender = sender
        return made

    def address_of(self, request: Request) -> str | None:
        """The registration token that a request names, without judging the request."""
        message = (json_object(request.body) or {}).get("message")
        token = message.get("token") if isinstance(message, dict) else None
        return token if isinstance(token, str) else None

    def handle(self, request: Request) -> Accepted:
        """Judge a request as FCM does: path, bearer token, message, size, registration token."""
        try:
            return self._judge(request)
        except MessageMalformed as wrong:
            violation = {"@type": _BAD_REQUEST, "fieldViolations": [{"field": wrong.field, "description": str(wrong)}]}
            details = [violation] if wrong.field else []
            answer = _error(400, "INVALID_ARGUMENT", str(wrong), details)
            raise Refuse(Refusal(answer, "INVALID_ARGUMENT")) from wrong

    def _judge(self, request: Request) -> Accepted:
        self._check_sender(request)
        body = json_object(request.body)
        if body is None:
            raise MessageMalformed("Invalid JSON payload received. Expected a JSON object.", "")
        message = check_message(body)
        device = self._receiver(str(message["token"]))
        android = message.get("android", {})
        name = f"projects/{self._world.credentials.project_id}/messages/0:{secrets.token_hex(12)}"
        answer = json_answer(200, {"name": name})
        now = self._world.clock()
        effect = _effect(message, expires=now + seconds_of(android.get("ttl", f"{WEEKS}s")))
        shown, known = effect.show, app_effect(message.get("data", {}))[1]
        push = Push(
            number=self._world.journal.next_number(),
            at=now,
            provider=Provider.FCM,
            address=device.address,
            message_id=name,
            notification_id=known or (shown.notification_id if shown else None) or effect.removes,
            collapse_id=effect.replaces or effect.removes or android.get("collapse_key"),
            title=shown.title if shown else None,
            body=shown.body if shown else None,
            withdrawn=effect.removes is not None,
            payload=message,
        )
        return Accepted(push, device, effect, answer)

    def _check_sender(self, request: Request) -> None:
        if request.method != "POST" or request.path.partition("?")[0] != self._path:
            if not request.path.startswith("/v1/projects/") or request.method != "POST":
                raise Refuse(Refusal(Answer(404, b"<!DOCTYPE html><title>Error 404 (Not Found)!!1</title>"), "404"))
            details: list[dict[str, Any]] = []
            raise Refuse(
                Refusal(_error(403, "PERMISSION_DENIED", "Permission denied on resource project.", details), "PROJECT")
            )
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not self._tokens.is_valid(bearer.strip(), now=self._world.clock()):
            reason = "ACCESS_TOKEN_EXPIRED" if bearer else "CREDENTIALS_MISSING"
            details = [
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": reason,
                    "domain": "googleapis.com",
                    "metadata": {"service": "fcm.googleapis.com"},
                }
            ]
            message = (
                "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other "
                "valid authentication credential."
            )
            answer = _error(401, "UNAUTHENTICATED", message, details, www_authenticate=_REALM)
            raise Refuse(Refusal(answer, reason))

    def _receiver(self, token: str) -> Device:
        if not _TOKEN.fullmatch(token):
            text = "The registration token is not a valid FCM registration token"
            raise Refuse(refusal("INVALID_ARGUMENT", blames="message.token", message=text))
        device = self._world.devices.find(Provider.FCM, token)
        if device is None or (device.gone_at is not None and device.gone_at <= self._world.clock()):
            raise Refuse(refusal("UNREGISTERED"))
        if device.sender not in {None, self._world.credentials.project_id}:
            raise Refuse(refusal("SENDER_ID_MISMATCH"))
        return device


def _effect(message: dict[str, Any], *, expires: float) -> Effect:
    """What the device does: a message with a notification is shown by Android, one with data alone by the app."""
    android = message.get("android", {})
    data = message.get("data", {})
    collapse = android.get("collapse_key")
    common, own = message.get("notification", {}), android.get("notification", {})
    shown, known = app_effect(data)
    if common or own:
        tag = own.get("tag")
        shown = Shown(
            title=str(own.get("title", common.get("title", ""))),
            body=str(own.get("body", common.get("body", ""))),
            notification_id=known or tag,
        )
        return Effect(show=shown, replaces=tag, stored_as=collapse, expires_at=expires)
    if shown is not None:
        return Effect(show=shown, replaces=known, stored_as=collapse, expires_at=expires)
    return Effect(removes=known if takes_back(data) else None, stored_as=collapse, expires_at=expires)
