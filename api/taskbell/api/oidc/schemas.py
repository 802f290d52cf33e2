"""Request and response bodies about sign-ins through providers."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from taskbell.api.http.body import NO_NUL, RequestBody

_Text = Annotated[str, StringConstraints(min_length=1, max_length=4096), NO_NUL]


class ProviderName(BaseModel):
    """A provider that people sign in through."""

    id: str = Field(description="Its name in addresses.", examples=["example"])
    name: str = Field(description="Its name for people.", examples=["Example"])


class ProviderNames(BaseModel):
    """All providers of this installation, in the order of its settings."""

    items: list[ProviderName]


class SignInStart(RequestBody):
    """Where the provider sends the person back to."""

    redirect_uri: Annotated[str, StringConstraints(min_length=1, max_length=2048), NO_NUL] = Field(
        examples=["https://app.example.com/signed-in"]
    )
    """One of the addresses that this installation lists. A loopback address of the client's own machine may have any
    port (RFC 8252)."""


class SignInStarted(BaseModel):
    """A sign-in that was begun."""

    authorization_url: str = Field(description="Open it in the person's browser.")
    state: str = Field(description="What the redirect will carry back as `state`.")
    sign_in_token: str = Field(
        description="Keep it where the redirect finds it, such as `sessionStorage`, and never in an address: who has "
        "it and the code can finish the sign-in."
    )
    expires_in: int = Field(description="Seconds until when it must be finished.", examples=[600])


class SignInFinish(RequestBody):
    """What the redirect brought, with the token of this sign-in."""

    code: _Text
    """`code` of the redirect."""
    state: _Text
    """`state` of the redirect."""
    sign_in_token: _Text
    """What `start` returned to this client."""
    iss: _Text | None = None
    """`iss` of the redirect, if it has one (RFC 9207)."""
