"""Following events with an account or a token that is given each time: signs in over HTTP, comes back by cursor."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

import httpx

from taskbell.client.connection import Connection, Frame
from taskbell.client.following import Ended, follow

_RENEW_BEFORE = 30.0
_NOT_ACCEPTED = frozenset({"sign_in_refused", "token_expired"})
"""Codes of `error` frames after which the same token would be refused again."""


class SignInRefused(Exception):
    """The API refuses the e-mail address and password, or the gateway refuses the token."""


@dataclass(slots=True)
class SignIn:
    """How to get an access token: given, or by e-mail address and password at the API."""

    api_url: str
    email: str
    password: str = field(repr=False)
    given: str | None = field(default=None, repr=False)
    _token: str = field(default="", repr=False)
    _until: float = 0.0

    async def token(self, client: httpx.AsyncClient) -> str:
        """Return a token that is valid for a while.

        Raises:
            SignInRefused: The API refuses the sign-in.
            ConnectionError: The API does not answer.
        """
        if self.given is not None:
            return self.given
        if time.monotonic() > self._until:
            credentials = {"email": self.email, "password": self.password}
            try:
                answer = await client.post(f"{self.api_url.rstrip('/')}/v1/auth/login", json=credentials)
                if 400 <= answer.status_code < 500 and answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
                    raise SignInRefused(f"sign-in refused by the API ({answer.status_code})")
                document = answer.raise_for_status().json()
            except httpx.HTTPError as away:
                raise ConnectionError(f"no sign-in: {type(away).__name__}") from away
            self._token = document["access_token"]
            self._until = time.monotonic() + float(document["expires_in"]) - _RENEW_BEFORE
        return self._token

    def forget(self) -> None:
        """Sign in again next time.

        Raises:
            SignInRefused: The token was given, so there is nothing else to try.
        """
        if self.given is not None:
            raise SignInRefused("the token is not accepted, or no longer")
        self._until = 0.0


def websocket_address(url: str) -> str:
    """Complete the base address of a gateway to its WebSocket address."""
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    return urlunsplit(parts._replace(scheme=scheme, path="/ws" if parts.path in {"", "/"} else parts.path))


async def following(
    address: str, sign_in: SignIn, *, client: httpx.AsyncClient, channels: Sequence[str] = (), cursor: str | None = None
) -> AsyncGenerator[Frame | Ended, None]:
    """Yield frames without end, over any number of connections.

    Raises:
        SignInRefused: Trying again would not help.
    """

    async def connect(at: str | None) -> Connection:
        token = await sign_in.token(client)
        connection = await Connection.open(address, cursor=at)
        await connection.hello(token=token, channels=channels, coalesce=False)
        return connection

    async with aclosing(follow(connect, cursor=cursor)) as found:
        async for one in found:
            yield one
            if isinstance(one, Frame) and one.fields.get("code") in _NOT_ACCEPTED:
                sign_in.forget()
