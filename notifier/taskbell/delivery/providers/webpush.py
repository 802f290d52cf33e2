"""Web Push: to browsers, by whatever push service a browser has chosen (RFC 8030, 8188, 8291, 8292).

The address of a subscription is user input: only public addresses are reached, and no answer of one server pauses
alerts to others.
"""

from __future__ import annotations

import base64
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final
from uuid import UUID

import orjson
from hpack import NeverIndexedHeaderTuple
from joserfc import jwt

from taskbell.delivery.policy import Outcome
from taskbell.delivery.providers.connection import Answer, Header
from taskbell.delivery.providers.credentials import VapidKey
from taskbell.delivery.providers.encryption import KeysMalformed, encrypt, read_keys
from taskbell.delivery.providers.http2 import MOST_ORIGINS, AddressMalformed, Client, Origin, read_address
from taskbell.delivery.providers.texts import data, words
from taskbell.delivery.providers.verdicts import Sending, Verdict, delivered, final, gone, later
from taskbell.delivery.retry_after import seconds_of

_MOST_BODY_BYTES: Final = 1024
_PAUSE: Final = 60.0
_SIGNED_FOR: Final = 12 * 3600
"""Seconds for which a signature is valid; RFC 8292, section 2, allows 24 hours."""
_SIGN_AGAIN: Final = 6 * 3600
_ALWAYS_SHOWS: Final = ".push.apple.com"
"""Safari takes the permission away from a page that got messages and showed nothing."""


class Vapid:
    """Signs for push services (RFC 8292): one signature for each origin, used for hours."""

    def __init__(self, key: VapidKey, *, subject: str, clock: Callable[[], float] = time.time) -> None:
        """Take the key, and a contact for the people of push services: `mailto:` or `https:`."""
        self._key = key
        self._subject = subject
        self._clock = clock
        self._signed: OrderedDict[Origin, tuple[bytes, float]] = OrderedDict()

    def authorization(self, origin: Origin) -> bytes:
        """Return the value of the field `authorization`."""
        now = self._clock()
        value, until = self._signed.get(origin, (b"", 0.0))
        if now >= until:
            claims = {"aud": origin.text, "exp": int(now) + _SIGNED_FOR, "sub": self._subject}
            token = jwt.encode({"typ": "JWT", "alg": "ES256"}, claims, self._key.key, algorithms=["ES256"])
            value, until = f"vapid t={token}, k={self._key.public}".encode(), now + _SIGN_AGAIN
            self._signed[origin] = value, until
            while len(self._signed) > MOST_ORIGINS:
                self._signed.popitem(last=False)
        self._signed.move_to_end(origin)
        return value


class WebPush:
    """Sends to browsers."""

    def __init__(self, client: Client, *, vapid: Vapid, any_port: bool, clock: Callable[[], float] = time.time) -> None:
        """Take the client, the signatures, and whether addresses may have a port."""
        self._client = client
        self._vapid = vapid
        self._any_port = any_port
        self._clock = clock

    async def attempt(self, sending: Sending) -> Verdict:
        """Attempt once. Safari gets no message that shows nothing; the client takes the alert back when it is open."""
        endpoint, alert = sending.endpoint, sending.alert
        try:
            origin, path = read_address(endpoint.address, any_port=self._any_port)
            point, secret = read_keys(endpoint.p256dh, endpoint.auth)
            if alert.withdrawn and origin.host.endswith(_ALWAYS_SHOWS):
                return Verdict(Outcome(delivered=True))
            body = encrypt(message(sending), point=point, secret=secret)
        except (AddressMalformed, KeysMalformed) as malformed:
            return Verdict(Outcome(delivered=False, error=str(malformed), permanent=True), "malformed")
        fields: list[Header] = [
            (b"authorization", self._vapid.authorization(origin)),
            (b"content-encoding", b"aes128gcm"),
            (b"content-type", b"application/octet-stream"),
            (b"urgency", b"high" if alert.urgent and not alert.withdrawn else b"normal"),
            NeverIndexedHeaderTuple(b"ttl", str(int(sending.remaining)).encode()),
            NeverIndexedHeaderTuple(b"topic", topic_of(alert.notification_id).encode()),
        ]
        answer = await self._client.post(origin, path, fields, body)
        return judge(answer, now=self._clock())


def topic_of(notification_id: UUID) -> str:
    """Return a topic (RFC 8030, section 5.4): of two messages with one topic a browser that is away gets the last."""
    return base64.urlsafe_b64encode(notification_id.bytes).rstrip(b"=").decode()


def message(sending: Sending) -> bytes:
    """Return the message before its encryption: the data of the alert, with `title` and `body` to show."""
    alert = sending.alert
    if alert.withdrawn:
        return orjson.dumps(data(alert))
    shown = words(alert, most_body_bytes=_MOST_BODY_BYTES)
    return orjson.dumps(data(alert) | {"title": shown.title, "body": shown.body})


def judge(answer: Answer, *, now: float) -> Verdict:
    """Judge an answer by RFC 8030 and RFC 8292, and by what the services of Mozilla, Google and Apple say.

    - 2xx: taken (201, section 5; services also use 200, 202, 204).
    - 404 and 410: the subscription is gone (section 7.3).
    - 401 and 403: the signature does not fit the subscription (RFC 8292, section 4.2). That is so for all browsers
      that subscribed with a former VAPID key, and nothing here can tell it from a wrong setting: the device stays, the
      alert is not sent again, the log has an error.
    - 400 and 413: a retry would be refused, too.
    - 429 and 5xx: later, after `Retry-After` (section 8.4).
    """
    status = answer.status
    after = seconds_of(answer.retry_after, now=now)
    error = f"answered {status}"
    if 200 <= status < 300:
        return delivered(status)
    if status in {404, 410}:
        return gone(status, error, "gone")
    if status in {401, 403}:
        return final(status, error, "signature", ours=True)
    if status in {400, 405, 413}:
        return final(status, error, "status")
    if status == 429:
        return later(status, error, "too_many", after=after or _PAUSE)
    return later(status, error, "status", after=after)
