"""A client of the gateway: signs in over HTTP, follows events, comes back with its cursor."""

from __future__ import annotations

import random
import time
from asyncio import sleep
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from taskbell.contract.frames import SUBPROTOCOL, CloseCode, Resume, ServerFrame

_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 10.0
_RENEW_BEFORE = 30.0


class SignInRefused(Exception):
    """The API or the gateway does not accept who we say we are."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `line` is for people, `text` is JSON."""

    text: str
    line: str


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection was made and signed in."""

    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something a person who watches wants to know."""

    text: str


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
            SignInRefused: The API says no.
            httpx.HTTPError: The API is away.
        """
        if self.given is not None:
            return self.given
        if time.monotonic() > self._until:
            credentials = {"email": self.email, "password": self.password}
            answer = await client.post(f"{self.api_url.rstrip('/')}/v1/auth/login", json=credentials)
            if 400 <= answer.status_code < 500 and answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
                raise SignInRefused(f"sign-in refused by the API ({answer.status_code})")
            answer.raise_for_status()
            document = answer.json()
            self._token = document["access_token"]
            self._until = time.monotonic() + float(document["expires_in"]) - _RENEW_BEFORE
        return self._token

    def forget(self) -> None:
        """Sign in anew next time.

        Raises:
            SignInRefused: The token was given, so there is nothing else to try.
        """
        if self.given is not None:
            raise SignInRefused("the token is not accepted, or no longer")
        self._until = 0.0


def websocket_address(url: str) -> str:
    """The WebSocket address of a gateway's base address."""
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    return urlunsplit(parts._replace(scheme=scheme, path="/ws" if parts.path in {"", "/"} else parts.path))


def describe(event: dict[str, Any]) -> str:
    """One line on an event."""
    data = event.get("data") or {}
    words = [str(event.get("time", ""))[:19].replace("T", " "), f"{event.get('type', '?'):<20}"]
    words.append(str(data.get("title") or event.get("subject", "")))
    if previous := data.get("previous"):
        words.append(", ".join(f"{name}: {old!s} -> {data.get(name)!s}" for name, old in previous.items()))
    return "  ".join(words)


async def events(
    address: str, sign_in: SignIn, *, client: httpx.AsyncClient, channels: Sequence[str] = (), cursor: str | None = None
) -> AsyncGenerator[Event | Connected | Note, None]:
    """Yield events without end, over as many connections as it takes; pauses between them double, with full jitter.

    Raises:
        SignInRefused: There is no use in trying on.
    """
    following = _Following(cursor)
    pause = _FIRST_PAUSE
    while True:
        try:
            token = await sign_in.token(client)
            async with connect(
                address,
                additional_headers={"Authorization": f"Bearer {token}"},
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                compression=None,
                max_size=2**24,
            ) as connection:
                async for found in following.read(connection, channels):
                    pause = _FIRST_PAUSE
                    yield found
                reason = f"closed ({connection.close_code}) {connection.close_reason or ''}".rstrip()
                if connection.close_code == CloseCode.SIGN_IN:
                    sign_in.forget()
        except (OSError, TimeoutError, InvalidHandshake, httpx.HTTPError) as away:
            reason = f"not reached: {type(away).__name__}"
        wait = following.retry_after or random.uniform(0, pause)  # noqa: S311 -- jitter, not a secret
        pause = min(2 * pause, _LONGEST_PAUSE)
        yield Note(f"{reason}; again in {wait:.1f} s")
        await sleep(wait)


class _Following:
    """Where a client stands, over its connections."""

    def __init__(self, cursor: str | None) -> None:
        self.cursor = cursor
        self.retry_after = 0.0

    def hello(self, channels: Sequence[str]) -> dict[str, Any]:
        """The first frame of the next connection."""
        hello: dict[str, Any] = {"t": "hello", "channels": list(channels)}
        return hello if self.cursor is None else hello | {"resume": self.cursor}

    async def read(
        self, connection: ClientConnection, channels: Sequence[str]
    ) -> AsyncIterator[Event | Connected | Note]:
        """Say hello and yield what comes, until the connection ends: a gateway that is starting may end it at once."""
        self.retry_after = 0.0
        try:
            await connection.send(orjson.dumps(self.hello(channels)).decode())
            while True:
                text = await connection.recv(decode=True)
                frame = orjson.loads(text)
                if frame["t"] == ServerFrame.PING:
                    await connection.send('{"t":"pong"}')
                self.cursor = frame.get("cursor", self.cursor)
                if (found := self._found(frame)) is not None:
                    yield found
        except ConnectionClosed:
            return

    def _found(self, frame: dict[str, Any]) -> Event | Connected | Note | None:
        match frame["t"]:
            case ServerFrame.EVENT:
                kept = {"cursor": frame["cursor"], "event": frame["event"]}
                return Event(orjson.dumps(kept).decode(), describe(frame["event"]))
            case ServerFrame.WELCOME:
                gap = " -- GAP: events were missed, fetch the state anew" if frame["resume"] == Resume.GAP else ""
                return Connected(f"listening from {frame['cursor']} to {', '.join(frame['channels'])}{gap}")
            case ServerFrame.GOAWAY:
                self.retry_after = frame["retry_after_ms"] / 1000
                return Note("the gateway asks us to reconnect")
            case ServerFrame.ERROR:
                about = f" ({frame['channel']})" if "channel" in frame else ""
                return Note(f"{frame['code']}{about}: {frame['message']}")
            case _:
                return None
