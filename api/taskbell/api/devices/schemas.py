"""Request and response bodies about devices."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel, StringConstraints
from pydantic_core import PydanticCustomError

from taskbell.api.http.body import NO_NUL, RequestBody
from taskbell.api.http.paging import Page, PageQuery
from taskbell.api.http.rows import RowModel
from taskbell.kit.p256 import decoded, is_point

_AUTH_BYTES = 16


class DeviceKind(StrEnum):
    """By which service a device is reached."""

    FCM = "fcm"
    """Firebase Cloud Messaging: Android, and apps with Firebase's SDK."""
    APNS = "apns"
    """Apple Push Notification service."""
    WEBPUSH = "webpush"
    """A browser's push service (RFC 8030)."""


def _point(text: str) -> str:
    if not is_point(text):
        raise PydanticCustomError("p256_point", "not an uncompressed point of the curve P-256")
    return text.rstrip("=")


def _secret(text: str) -> str:
    raw = decoded(text)
    if raw is None or len(raw) != _AUTH_BYTES:
        raise PydanticCustomError("auth_secret", "not the base64url text of 16 bytes")
    return text.rstrip("=")


DeviceName = Annotated[str, StringConstraints(max_length=255), NO_NUL, Field(examples=["Ann's phone"])]


class FcmDevice(RequestBody):
    """An app with Firebase's SDK."""

    kind: Literal["fcm"]
    token: Annotated[
        str,
        StringConstraints(min_length=16, max_length=4096, pattern=r"^[A-Za-z0-9:._-]+$"),
        Field(examples=["dXV4Q2h1Y2s:APA91bHPRgkF3JUikC4ENAHEeMrd41Zxv3hVZjC9KtT8OvPVGJ"]),
    ]
    """The registration token that the SDK gave to the app."""
    name: DeviceName | None = None
    """What its owner calls it. Absent: a device that is registered already keeps its name."""


class ApnsDevice(RequestBody):
    """An app on a device of Apple."""

    kind: Literal["apns"]
    token: Annotated[
        str,
        StringConstraints(min_length=16, max_length=200, pattern=r"^(?:[0-9A-Fa-f]{2})+$", to_lower=True),
        Field(examples=["740f4707bebcf74f9b7c25d48e3358945f6aa01da5ddb387462c7eaf61bb78ad"]),
    ]
    """The device token in hexadecimal digits; today it has 32 bytes, but Apple reserves the right to change that."""
    environment: Literal["production", "sandbox"]
    """Where the token is valid: `sandbox` for a development build of the app."""
    name: DeviceName | None = None
    """What its owner calls it. Absent: a device that is registered already keeps its name."""


class SubscriptionKeys(RequestBody):
    """The keys of a browser, with which messages are encrypted for it (RFC 8291)."""

    p256dh: Annotated[
        str,
        StringConstraints(pattern=r"^[A-Za-z0-9_-]{87}=?$"),
        AfterValidator(_point),
        Field(examples=["BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"]),
    ]
    """Its public key: an uncompressed point of P-256, base64url."""
    auth: Annotated[
        str,
        StringConstraints(pattern=r"^[A-Za-z0-9_-]{22}(?:==)?$"),
        AfterValidator(_secret),
        Field(examples=["BTBZMqHH6r4Tts7J_aSIgg"]),
    ]
    """Its authentication secret: 16 bytes, base64url."""


class PushSubscription(RequestBody):
    """What `PushSubscription.toJSON()` of a browser gives."""

    endpoint: Annotated[
        str,
        StringConstraints(min_length=1, max_length=2048),
        NO_NUL,
        Field(
            examples=["https://push.example.net/send/f3a9"], json_schema_extra={"pattern": r"^https://[^\x00-\x20]+$"}
        ),
    ]
    """The https address of the push service, at most 2,048 characters, with a public host."""
    keys: SubscriptionKeys
    expirationTime: float | None = Field(default=None, strict=False)  # noqa: N815 -- the browser's name
    """Ignored: the push service says when a subscription has ended."""


class WebPushDevice(RequestBody):
    """A browser."""

    kind: Literal["webpush"]
    subscription: PushSubscription
    """Made with the key of `GET /v1/devices/webpush-key` as `applicationServerKey`."""
    name: DeviceName | None = None
    """What its owner calls it. Absent: a device that is registered already keeps its name."""


AnyDevice = FcmDevice | ApnsDevice | WebPushDevice


class DeviceRegistration(RootModel[Annotated[AnyDevice, Field(discriminator="kind")]]):
    """A device that is to receive push alerts."""


class ChosenKind(RequestBody):
    """The field of a registration that tells how to read the others."""

    model_config = ConfigDict(extra="ignore")

    kind: Literal["fcm", "apns", "webpush"]


class DeviceChange(RequestBody):
    """The field of a device to change."""

    name: DeviceName
    """What its owner calls it, up to 255 characters."""


class Device(RowModel):
    """A device. Its token or subscription is never shown."""

    id: UUID
    kind: DeviceKind
    name: str = Field(examples=["Ann's phone"])
    """Empty if it has none."""
    fingerprint: str = Field(examples=["9f86d081884c7d65"])
    """The first 16 hexadecimal digits of the SHA-256 of its token (for `apns` in lower case) or of its endpoint. By it
    an app finds itself in the list."""
    push_service: str | None = Field(examples=["fcm.googleapis.com"])
    """The host of its endpoint; null unless `webpush`."""
    environment: Literal["production", "sandbox"] | None
    """Of an `apns` token; null for the others."""
    created_at: datetime
    """When you registered it first."""
    registered_at: datetime
    """When you registered it last. It is removed when its service says that it is gone, unless it was registered since.
    """


class DevicePage(Page[Device]):
    """A page of your devices, in the order in which you registered them first."""


class DeviceQuery(PageQuery):
    """Query parameters of the list of devices."""


class WebPushKey(BaseModel):
    """The public key of this installation for Web Push."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    public_key: str
    """A point of P-256 as base64url text (RFC 8292): the `applicationServerKey` of `PushManager.subscribe()`."""
