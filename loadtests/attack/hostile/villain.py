"""One hostile user: an address of its own, an account, and a count of what the platform answered."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

_PASSWORD = secrets.token_hex(12)
_addresses = itertools.count(1)
_RETRY_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The platform, and its honest users.

    Attributes:
        api_url: Base of the API, without `/v1`.
        gateway_url: The WebSocket's address.
        victims: The honest users' e-mail addresses.
    """

    api_url: str
    gateway_url: str
    victims: tuple[str, ...]

    @property
    def api(self) -> tuple[str, int]:
        """Host and port of the API."""
        parts = urlsplit(self.api_url)
        return str(parts.hostname), int(parts.port or 80)


class Villain:
    """A hostile user. `join` gives it an account; everything else works without.

    Attributes:
        outcomes: How often each status or error came.
    """

    def __init__(self, target: Target, outcomes: Counter[str]) -> None:
        """Take the next free address of the loopback network."""
        self.target = target
        self.outcomes = outcomes
        self.address = f"127.0.7.{next(_addresses)}"
        self.workspace = ""
        self.token = ""
        self._client = httpx.AsyncClient(
            base_url=target.api_url,
            transport=httpx.AsyncHTTPTransport(local_address=self.address, limits=httpx.Limits(max_connections=100)),
            timeout=30,
        )

    async def join(self) -> None:
        """Register, and repeat until the platform agrees."""
        body = {"email": f"{secrets.token_hex(8)}@example.net", "password": _PASSWORD}
        made = await self.insist("POST", "/v1/auth/register", json=body)
        self.token = made["access_token"]
        self.workspace = (await self.insist("GET", "/v1/workspaces"))["items"][0]["id"]

    async def insist(self, method: str, path: str, **options: Any) -> Any:
        """Send a request until it succeeds; return the document."""
        while True:
            answer = await self.ask(method, path, **options)
            if answer is not None and answer.is_success:
                return answer.json()
            await asyncio.sleep(_RETRY_SECONDS)

    async def ask(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> httpx.Response | None:
        """Send a request and count its outcome; None if there was no answer."""
        signed = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            answer = await self._client.request(method, path, headers={**signed, **(headers or {})}, **options)
        except httpx.TransportError as failed:
            self.outcomes[type(failed).__name__] += 1
            return None
        self.outcomes[str(answer.status_code)] += 1
        return answer

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """Open a plain connection to the API; None if it is refused."""
        try:
            return await asyncio.open_connection(*self.target.api, local_addr=(self.address, 0))
        except OSError as refused:
            self.outcomes[type(refused).__name__] += 1
            return None
