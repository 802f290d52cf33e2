"""Simulated devices, browsers and chat hooks.

A token carries a code made with the simulator's secret. So a simulator that is started again knows the tokens that it
gave out before, without a list of them.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from enum import StrEnum

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from taskbell.testing.pushsim.credentials import base64url, from_base64url
from taskbell.testing.pushsim.screen import Screen

_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_MOST = 200_000


class Provider(StrEnum):
    """Who brings alerts to a device."""

    FCM = "fcm"
    APNS = "apns"
    WEBPUSH = "webpush"
    SLACK = "slack"
    TEAMS = "teams"


class TooManyDevices(ValueError):
    """The simulator has as many devices as it holds."""


@dataclass(slots=True, kw_only=True)
class Device:
    """A phone with the app, a browser with a subscription, or a chat with a hook.

    Attributes:
        provider: Who brings alerts to it.
        token: What its provider calls it in a request.
        address: What Taskbell registers: the token, or the address that contains it.
        environment: Of APNs: `production` or `sandbox`.
        p256dh: Of Web Push: the browser's public key, 65 bytes, base64url.
        auth: Of Web Push: the browser's authentication secret, 16 bytes, base64url.
        gone_at: Since when the provider says that it is gone, in Unix seconds; None: it is there.
        sender: Of FCM: the project that its token belongs to; None: Taskbell's.
        topic: Of APNs: the app that its token belongs to; None: Taskbell's.
        archived: Of Slack: whether the channel was archived.
        screen: What its person sees.
        private_key: Of Web Push: the browser's private key.
    """

    provider: Provider
    token: str
    address: str
    environment: str | None = None
    p256dh: str | None = None
    auth: str | None = None
    gone_at: float | None = None
    sender: str | None = None
    topic: str | None = None
    archived: bool = False
    screen: Screen = field(default_factory=Screen)
    private_key: ec.EllipticCurvePrivateKey | None = field(default=None, repr=False)


class Devices:
    """All that the simulator knows."""

    def __init__(self, secret: str) -> None:
        """Take the secret of which tokens are made."""
        self._secret = bytes.fromhex(secret)
        self._known: dict[tuple[Provider, str], Device] = {}
        self.url = ""
        """Where the simulator listens; the addresses of browsers and chats begin with it."""

    def new(self, provider: Provider, *, environment: str | None = None) -> Device:
        """Make a device.

        Raises:
            TooManyDevices: There are 200,000 already.
        """
        number = secrets.token_bytes(16)
        return self._keep(provider, self._token(provider, number, environment), number, environment)

    def find(self, provider: Provider, token: str) -> Device | None:
        """The device with this token; None where no simulator with this secret gave it out."""
        known = self._known.get((provider, token))
        return known if known is not None else self._restored(provider, token)

    def of(self, provider: Provider) -> list[Device]:
        """Those that were made or met since the start."""
        return [device for (its, _), device in self._known.items() if its == provider]

    def at(self, address: str) -> Device | None:
        """The one with this address, among those that were made or met since the start."""
        return next((device for device in self._known.values() if device.address == address), None)

    def _restored(self, provider: Provider, token: str) -> Device | None:
        found = _FORMS[provider].fullmatch(token)
        if found is None:
            return None
        try:
            number = from_base64url(found[1]) if provider is Provider.FCM else bytes.fromhex(found[1])
        except ValueError:
            return None
        for environment in ("production", "sandbox") if provider is Provider.APNS else (None,):
            if hmac.compare_digest(self._token(provider, number, environment), token):
                return self._keep(provider, token, number, environment)
        return None

    def _code(self, *parts: bytes) -> bytes:
        return hmac.digest(self._secret, b"|".join(parts), hashlib.sha512)

    def _token(self, provider: Provider, number: bytes, environment: str | None) -> str:
        code = self._code(provider.encode(), (environment or "").encode(), number)
        match provider:
            case Provider.FCM:
                return f"{base64url(number)}:APA91b{base64url(code)}"
            case Provider.APNS:
                return (number + code[:16]).hex()
            case Provider.SLACK:
                return f"T{code[24:29].hex().upper()}/B{number.hex().upper()}/{code[:12].hex()}"
            case _:
                return f"{number.hex()}.{code[:24].hex()}"

    def _address(self, provider: Provider, token: str) -> str:
        match provider:
            case Provider.WEBPUSH:
                return f"{self.url}/wpush/v2/{token}"
            case Provider.SLACK:
                return f"{self.url}/services/{token}"
            case Provider.TEAMS:
                workflow, _, signature = token.partition(".")
                query = f"api-version=1&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig={signature}"
                return f"{self.url}/workflows/{workflow}/triggers/manual/paths/invoke?{query}"
            case _:
                return token

    def _keep(self, provider: Provider, token: str, number: bytes, environment: str | None) -> Device:
        if len(self._known) >= _MOST:
            raise TooManyDevices(f"a simulator holds at most {_MOST} devices")
        device = Device(provider=provider, token=token, address=self._address(provider, token), environment=environment)
        if provider is Provider.WEBPUSH:
            scalar = int.from_bytes(self._code(b"browser", number)[:32], "big") % (_P256_ORDER - 1) + 1
            device.private_key = ec.derive_private_key(scalar, ec.SECP256R1())
            point = device.private_key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
            device.p256dh = base64url(point)
            device.auth = base64url(self._code(b"auth", number)[:16])
        self._known[provider, token] = device
        return device


_FORMS = {
    Provider.FCM: re.compile(r"([A-Za-z0-9_-]{22}):APA91b[A-Za-z0-9_-]{86}"),
    Provider.APNS: re.compile(r"([0-9a-f]{32})[0-9a-f]{32}"),
    Provider.WEBPUSH: re.compile(r"([0-9a-f]{32})\.[0-9a-f]{48}"),
    Provider.SLACK: re.compile(r"T[0-9A-F]{10}/B([0-9A-F]{32})/[0-9a-f]{24}"),
    Provider.TEAMS: re.compile(r"([0-9a-f]{32})\.[0-9a-f]{48}"),
}
