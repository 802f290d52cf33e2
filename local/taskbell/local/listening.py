"""Following events for a person: signs in over HTTP, describes what comes."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx

from taskbell.client.connection import Connection, Frame
from taskbell.client.following import Ended, follow
from taskbell.contract.frames import Resume, ServerFrame

_RENEW_BEFORE = 30.0
_PREVIOUS = "/previous/"
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


def describe(event: dict[str, Any]) -> str:
    """Describe an event in one line."""
    data = event.get("data") or {}
    words = [str(event.get("time", ""))[:19].replace("T", " "), f"{event.get('type', '?'):<20}"]
    words.append(str(data.get("title") or event.get("subject", "")))
    if "previous" in data:
        changed = [f"{name}: {old!s} -> {data.get(name)!s}" for name, old in data["previous"].items()]
        long = [pointer.removeprefix(_PREVIOUS) for pointer in data.get("omitted", ()) if pointer.startswith(_PREVIOUS)]
        words.append(", ".join([*changed, *(f"{name}: changed" for name in long)]))
    return "  ".join(words)


def remark(found: Frame | Ended) -> str | None:
    """Tell a person what happened to the connection; None for frames that need no remark."""
    if isinstance(found, Ended):
        return f"{found.reason}; again in {found.pause:.1f} s"
    fields = found.fields
    match found.kind:
        case ServerFrame.WELCOME:
            gap = " -- GAP: events were missed, fetch the state again" if fields["resume"] == Resume.GAP else ""
            return f"listening from {fields['cursor']} to {', '.join(fields['channels'])}{gap}"
        case ServerFrame.GOAWAY:
            return "the gateway asks us to reconnect"
        case ServerFrame.ERROR:
            about = f" ({fields['channel']})" if "channel" in fields else ""
            return f"{fields['code']}{about}: {fields['message']}"
        case _:
            return None
