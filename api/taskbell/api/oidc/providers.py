"""Providers of identity, as `TASKBELL_OIDC_PROVIDERS` describes them."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Annotated, Any, Literal, Self
from urllib.parse import SplitResult, urlsplit

import orjson
from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, model_validator

MOST_PROVIDERS = 16
_Text = Annotated[str, StringConstraints(min_length=1, max_length=255)]
_Domain = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.-]{1,253}$", to_lower=True)]
Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"
]  # fmt: skip
"""Signatures that anybody can verify and the provider alone can make; never `none`, never a shared secret."""


class Provider(BaseModel):
    """One provider of identity and the client that Taskbell is there."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True)

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    """Its name in addresses and metrics: small letters, digits, hyphens."""
    name: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    """Its name for people."""
    issuer: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    """Its issuer, exactly as its tokens say (`iss`)."""
    client_id: _Text
    """Taskbell's client id there."""
    client_secret: SecretStr | None = None
    """The client's secret; none for a public client, which PKCE alone protects."""
    token_auth: Literal["client_secret_basic", "client_secret_post"] = "client_secret_basic"  # noqa: S105 -- a method
    """How the secret is sent to the token endpoint."""
    scopes: tuple[_Text, ...] = Field(default=("openid", "email", "profile"), max_length=20)
    """What a sign-in asks for; with `openid`."""
    algorithms: tuple[Algorithm, ...] = Field(default=("RS256",), min_length=1)
    """Which signatures of its tokens are accepted."""
    email_verified_claim: _Text = "email_verified"
    """The claim of the ID token that says whether the e-mail address is verified."""
    verified_domains: tuple[_Domain, ...] = Field(default=(), max_length=100)
    """Mail domains whose addresses count as verified without that claim: those whose mailboxes the provider itself
    gives out."""
    allowed_domains: tuple[_Domain, ...] = Field(default=(), max_length=100)
    """Mail domains that may sign in; none means all."""
    audiences: tuple[_Text, ...] = Field(default=(), max_length=20)
    """Audiences of access tokens that are accepted as bearer tokens; none means that none is accepted."""
    audience_claim: Literal["aud", "client_id"] = "aud"
    """Where access tokens name their audience. Amazon Cognito's have none, only the client's id."""
    authorized_parties: tuple[_Text, ...] = Field(default=(), max_length=100)
    """Clients whose access tokens are accepted (`azp`, else `client_id`); `client_id` of this provider, if empty."""
    access_token_claims: dict[_Text, _Text] = Field(default_factory=dict, max_length=10)
    """Claims that an access token must have, with their value or one of their values."""
    allow_private: bool = False
    """The provider is in a private network: its addresses need not be public. With it, a provider on this machine
    (127.0.0.1, ::1, localhost) may have an issuer that begins with `http://`."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (fault := address_fault(self.issuer, loopback_http=self.allow_private)) or urlsplit(self.issuer).query:
            raise ValueError(f"issuer: {fault or 'has a query'}")
        if "openid" not in self.scopes:
            raise ValueError("scopes: openid is missing")
        told_by_client = self.audience_claim == "client_id" or self.client_id in self.audiences
        if self.audiences and told_by_client and not self.access_token_claims:
            raise ValueError(
                "access_token_claims: name a claim that only access tokens have, because ID tokens are for the same "
                "audience"
            )
        return self

    @property
    def parties(self) -> tuple[str, ...]:
        """The clients whose access tokens are accepted."""
        return self.authorized_parties or (self.client_id,)


def address_fault(address: str, *, loopback_http: bool) -> str | None:
    """What is wrong with an address of a provider, or None."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return "cannot be read"
    if not parts.hostname or not parts.hostname.isascii() or not address.isprintable() or " " in address or port == 0:
        return "has no host name in ASCII"
    if parts.username is not None or parts.password is not None or parts.fragment:
        return "has a user or a fragment"
    if parts.scheme == "https" or (parts.scheme == "http" and loopback_http and is_loopback(parts)):
        return None
    return "does not begin with https://"


def is_loopback(parts: SplitResult) -> bool:
    """Whether an address leads to the same machine."""
    if parts.hostname == "localhost":
        return True
    try:
        return ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


def read_list(value: Any) -> Any:
    """The list of the variable's text; pydantic validates what is in it.

    Raises:
        ValueError: The text is not a list in JSON. The message does not repeat it: it holds secrets.
    """
    if not isinstance(value, str):
        return value
    try:
        found = orjson.loads(value) if value.strip() else []
    except orjson.JSONDecodeError:
        raise ValueError("not JSON") from None
    if not isinstance(found, list):
        raise ValueError("not a list in JSON")  # noqa: TRY004 -- pydantic turns it into an error of the setting
    return found


def refuse_repeated(providers: Sequence[Provider]) -> None:
    """Raise `ValueError` if two providers have the same id or issuer: tokens are told apart by their issuer."""
    for name in ("id", "issuer"):
        if len({getattr(each, name) for each in providers}) < len(providers):
            raise ValueError(f"each {name} comes once")
