"""Request and response bodies about accounts."""

from __future__ import annotations

from datetime import datetime, time
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StringConstraints,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from taskbell.api.accounts.emails import EmailMalformed, normalised
from taskbell.api.http.body import NO_NUL, Name, RequestBody, exactly_one, given
from taskbell.api.http.paging import Page
from taskbell.api.http.rows import RowModel


def _email(text: str) -> str:
    try:
        return normalised(text)
    except EmailMalformed as refused:
        raise PydanticCustomError("email", "{reason}", {"reason": str(refused)}) from None


@cache
def _time_zones() -> frozenset[str]:
    """Names of the IANA time zone database, the same on every machine; `Factory` names no place."""
    return frozenset(files("tzdata").joinpath("zones").read_text().split()) - {"Factory"}


def _time_zone(text: str) -> str:
    if text not in _time_zones():
        raise PydanticCustomError("time_zone", "not a name of the IANA time zone database")
    return text


class _ZoneNames:
    """Puts the names into the OpenAPI document; reading them at import would slow down every start.

    As a condition, because generators of clients make an enumeration of an `enum`, in which names of zones clash.
    """

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(core) | {"if": {"type": "string"}, "then": {"enum": sorted(_time_zones())}}


Email = Annotated[
    str,
    StringConstraints(min_length=3, max_length=320),
    NO_NUL,
    AfterValidator(_email),
    Field(json_schema_extra={"format": "email"}, examples=["ann@example.com"]),
]
"""An e-mail address, in its one stored form."""
NewPassword = Annotated[
    str,
    StringConstraints(min_length=8, max_length=256),
    NO_NUL,
    Field(json_schema_extra={"format": "password"}, examples=["correct horse battery staple"]),
]
GivenPassword = Annotated[
    str,
    StringConstraints(min_length=1, max_length=256),
    NO_NUL,
    Field(json_schema_extra={"format": "password"}, examples=["correct horse battery staple"]),
]
"""A password to check: only a length limit applies, because rules change and old passwords stay."""
PersonName = Annotated[Name, Field(examples=["Ann"])]
TimeZone = Annotated[
    str,
    StringConstraints(max_length=64),
    NO_NUL,
    AfterValidator(_time_zone),
    Field(examples=["Europe/Berlin"]),
    _ZoneNames(),
]
LocalTime = Annotated[
    str,
    StringConstraints(pattern=r"^(?:[01][0-9]|2[0-3]):[0-5][0-9]$"),
    Field(examples=["22:00"]),
]
"""A time of day, `HH:MM`, on the clock of the user's time zone."""
DeviceToken = Annotated[str, StringConstraints(min_length=1, max_length=640), NO_NUL]
OpaqueToken = Annotated[str, StringConstraints(min_length=1, max_length=1024), NO_NUL]


class Registration(RequestBody):
    """A new account."""

    email: Email
    """The e-mail address; unique, regardless of letter case."""
    password: NewPassword
    """8 to 256 characters."""
    name: PersonName | None = None
    """The user's name; by default the part of the e-mail address before the @."""


class Credentials(RequestBody):
    """A sign-in: `email` or, by its OAuth2 name, `username`."""

    model_config = ConfigDict(
        json_schema_extra={
            **exactly_one(*(given(name, {"type": "string"}) for name in ("email", "username"))),
            "examples": [{"email": "ann@example.com", "password": "correct horse battery staple"}],
        },
    )

    email: Annotated[str, StringConstraints(min_length=1, max_length=320), NO_NUL] | None = Field(
        default=None, examples=["ann@example.com"]
    )
    """The e-mail address of the account."""
    username: Annotated[str, StringConstraints(min_length=1, max_length=320), NO_NUL] | None = None
    """The same, as OAuth2 calls it."""
    password: GivenPassword
    device_token: DeviceToken | None = None
    """The newest device token that this device has, if any. One that is not valid is ignored."""

    @model_validator(mode="after")
    def _one_name(self) -> Credentials:
        if (self.email is None) == (self.username is None):
            raise PydanticCustomError("account_named", "give either email or username")
        return self

    @property
    def account(self) -> str:
        """The one that was given."""
        return self.email or self.username or ""


class PasswordForm(RequestBody):
    """An OAuth2 password grant (RFC 6749, section 4.3.2). Scope and client id are ignored."""

    model_config = ConfigDict(extra="ignore")

    grant_type: Literal["password"] = "password"
    username: Annotated[str, StringConstraints(min_length=1, max_length=320), NO_NUL]
    password: GivenPassword
    device_token: DeviceToken | None = None
    """As in JSON; not a parameter of OAuth2."""


class RefreshBody(RequestBody):
    """A refresh token to be exchanged."""

    refresh_token: OpaqueToken
    """The newest token of the session: each works once."""


class SignOutBody(RequestBody):
    """The session to end."""

    refresh_token: OpaqueToken | None = None
    """Any refresh token of it; without it, the session of the access token."""


class QuietHours(RequestBody):
    """When alerts wait: from one time of day until another one, which may be on the next day."""

    model_config = ConfigDict(serialize_by_alias=True)

    begin: LocalTime = Field(alias="from")
    """When they begin, `HH:MM` in your time zone."""
    until: LocalTime = Field(examples=["07:00"])
    """When they end. Not the same as `from`; before it, if they span midnight."""

    @model_validator(mode="after")
    def _not_empty(self) -> QuietHours:
        if self.begin == self.until:
            raise PydanticCustomError("quiet_hours_empty", "`from` and `until` must differ")
        return self


class ProfileChange(RequestBody):
    """The fields of the account to change; absent ones stay."""

    name: PersonName = ""
    """The user's name; 1 to 255 characters."""
    time_zone: TimeZone = ""
    """Name of the IANA time zone database. Quiet hours and the digest follow its clock, also when it is changed."""
    quiet_hours: QuietHours | None = None
    """When alerts wait, every day; null for never."""
    digest_at: LocalTime | None = None
    """When you get a daily digest of what is due, overdue and unread, `HH:MM` in your time zone; null for never."""


class PasswordChange(RequestBody):
    """A new password."""

    current_password: GivenPassword
    new_password: NewPassword
    """8 to 256 characters."""


class EmailToken(RequestBody):
    """The token of a message that confirms the account's address, or another one for it."""

    token: Annotated[str, StringConstraints(min_length=1, max_length=256), NO_NUL]


class EmailChange(RequestBody):
    """Another address for the account."""

    email: Email
    """The address that the account is to have."""
    password: GivenPassword | None = None
    """The password of the account. Only an account that has none is changed without it, within 15 minutes after the
    sign-in."""


class PasswordResetRequest(RequestBody):
    """The account whose password was forgotten."""

    email: Email
    """The e-mail address of the account."""


class PasswordReset(RequestBody):
    """A new password, with the token of the message."""

    token: Annotated[str, StringConstraints(min_length=1, max_length=256), NO_NUL]
    password: NewPassword
    """8 to 256 characters."""


class ConfirmationSent(BaseModel):
    """A message is on its way."""

    email: str = Field(description="Where it goes.", examples=["ann@example.com"])
    expires_at: datetime = Field(description="Until when its token works.")


class User(RowModel):
    """An account, as its owner sees it."""

    id: UUID
    email: str = Field(examples=["ann@example.com"])
    name: str = Field(examples=["Ann"])
    time_zone: str = Field(description="IANA time zone.", examples=["Europe/Berlin"])
    quiet_hours: QuietHours | None = Field(
        description="When alerts wait, every day in your time zone; null for never. The inbox and the WebSocket get "
        "notifications at once, and so do all channels urgent ones."
    )
    digest_at: str | None = Field(
        description="When you get the daily digest, `HH:MM` in your time zone; null for never.", examples=["08:00"]
    )
    personal_workspace_id: UUID = Field(description="The workspace that was made with the account.")
    email_confirmed_at: datetime | None = Field(
        description="When the e-mail address was confirmed; null before. Notifications are sent to confirmed addresses."
    )
    created_at: datetime

    @classmethod
    def of(cls, row: Any) -> Self:
        """Make it of a record of asyncpg."""
        values = dict(row)
        begin, until, digest = (values.pop(name) for name in ("quiet_from", "quiet_until", "digest_at"))
        values["quiet_hours"] = None if begin is None else {"from": _clock(begin), "until": _clock(until)}
        values["digest_at"] = None if digest is None else _clock(digest)
        return cls.model_validate(values)


def _clock(at: time) -> str:
    return at.strftime("%H:%M")


class SignIn(RowModel):
    """A session: a sign-in that has not ended."""

    id: UUID = Field(description="UUIDv7.")
    created_at: datetime = Field(description="When it began.")
    last_used_at: datetime = Field(description="When it last got tokens: at the sign-in, or by the last refresh.")
    expires_at: datetime = Field(description="When it ends unless it is used before.")
    client: str | None = Field(
        description="What the client called itself when it signed in (`User-Agent`), up to 200 characters.",
        examples=["Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"],
    )
    current: bool = Field(description="Whether it is the session of this request.")


class SignInPage(Page[SignIn]):
    """A page of sessions, the newest first."""


class TokenPair(BaseModel):
    """The result of a sign-in (RFC 6749, section 5.1)."""

    access_token: str = Field(description="Send it as `Authorization: Bearer <access_token>`.")
    refresh_token: str = Field(description="Exchange it once at `POST /v1/auth/refresh`. Keep it secret.")
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 -- the name of a scheme
    expires_in: int = Field(description="Seconds the access token is valid.", examples=[1800])
    device_token: str = Field(
        description="Keep the newest one, also after a sign-out, and send it with the next sign-in: then failures of "
        "others do not delay it. It grants nothing else, and ends when the password is changed."
    )


class Registered(TokenPair):
    """A new account, signed in."""

    user: User


class JsonWebKey(BaseModel):
    """A public key (RFC 8037)."""

    model_config = ConfigDict(extra="allow")

    kty: str = Field(examples=["OKP"])
    crv: str = Field(examples=["Ed25519"])
    kid: str
    x: str


class JsonWebKeySet(BaseModel):
    """The public keys that verify access tokens (RFC 7517)."""

    keys: list[JsonWebKey]
