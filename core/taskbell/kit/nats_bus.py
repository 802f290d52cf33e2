"""Connections to NATS that never give up, and pokes."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from urllib.parse import urlsplit

import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError
from prometheus_client import Counter

_log = structlog.get_logger(__name__)
_USER = re.compile("[A-Za-z0-9_-]+")
_REPEAT_AFTER = 30.0
"""Seconds until the same error is logged again."""
_APART = 0.01
"""Seconds between two pokes on one subject."""

SIGNALS_LOST = Counter(
    "taskbell_bus_pokes_lost_total",
    "Pokes that could not be sent because NATS was down. Harmless: the relay also polls.",
)


class BusUnavailable(Exception):
    """NATS does not answer."""


async def connect(
    url: str, *, name: str, on_reconnect: Callable[[], Awaitable[None]] | None = None, patience: float = 5.0
) -> Client:
    """Connect to NATS and stay connected.

    It reconnects forever (nats-py gives up after 60 tries by default) and pings every 20 s (default: 120 s). The
    server lists the connection under `name`.

    Raises:
        BusUnavailable: The first connection fails for `patience` seconds.
    """
    client = Client()
    try:
        async with asyncio.timeout(patience):
            await _open(client, url, name=name, on_reconnect=on_reconnect)
    except (OSError, NatsError, TimeoutError) as refused:
        raise BusUnavailable(f"no connection to NATS: {type(refused).__name__}") from refused
    return client


@contextmanager
def answering() -> Iterator[None]:
    """Raise `BusUnavailable` where JetStream does not answer or refuses."""
    try:
        yield
    except (NatsError, TimeoutError, OSError) as refused:
        told = "no answer in time" if isinstance(refused, TimeoutError) else str(refused) or type(refused).__name__
        raise BusUnavailable(f"JetStream: {told}") from refused


@asynccontextmanager
async def connecting(url: str, *, name: str) -> AsyncIterator[Client]:
    """Connect in the background, for callers that work without NATS too; close the connection at the end."""
    client = Client()
    attempt = asyncio.create_task(_open(client, url, name=name, on_reconnect=None), name=f"{name}-connects")
    try:
        yield client
    finally:
        attempt.cancel()
        with suppress(asyncio.CancelledError, NatsError, OSError):  # the errors are in the log
            await attempt
        await client.close()


def inbox_prefix(url: str) -> str:
    """Return how the inboxes of a URL's user begin: no user needs the right to read another one's answers.

    A URL without a user, or with a token in its place, gets the prefix that all share.
    """
    found = urlsplit(url.split(",", 1)[0].strip())
    named = found.password is not None and found.username and _USER.fullmatch(found.username)
    return f"_INBOX.{found.username}" if named else "_INBOX"


async def _open(client: Client, url: str, *, name: str, on_reconnect: Callable[[], Awaitable[None]] | None) -> None:
    told: dict[str, float] = {}

    async def log_error(error: Exception) -> None:
        # While NATS is away every attempt to reconnect fails alike, several times a second.
        now, text = time.monotonic(), repr(error)
        if now - told.get(text, -_REPEAT_AFTER) >= _REPEAT_AFTER:
            told.clear()
            told[text] = now
            _log.warning("bus_error", error=text)

    async def log_disconnect() -> None:
        _log.warning("bus_disconnected")

    async def log_reconnect() -> None:
        _log.info("bus_reconnected")
        if on_reconnect is not None:
            await on_reconnect()

    await client.connect(
        url,
        name=name,
        inbox_prefix=inbox_prefix(url),
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.25,  # type: ignore[arg-type]  # annotated int, but only slept for
        ping_interval=20,
        error_cb=log_error,
        disconnected_cb=log_disconnect,
        reconnected_cb=log_reconnect,
        allow_reconnect=True,
    )


class Pokes:
    """Empty core NATS messages, which may be lost without harm."""

    def __init__(self, client: Client) -> None:
        """Take a connection; the caller closes it."""
        self._client = client
        self._sent: dict[str, float] = {}
        self._due: dict[str, asyncio.Task[None]] = {}

    async def send(self, subject: str) -> None:
        """Send an empty message without waiting. While NATS is away, count it as lost; do not raise.

        Those that come within 10 ms of another become one, at the end of that time.
        """
        if subject in self._due:
            return
        now = asyncio.get_running_loop().time()
        wait = self._sent.get(subject, 0.0) + _APART - now
        if wait > 0:
            self._due[subject] = asyncio.create_task(self._send_later(subject, wait))
            return
        self._sent[subject] = now
        await self._publish(subject)

    async def settle(self) -> None:
        """Wait until what was asked for is sent; for the end of a program."""
        await asyncio.gather(*self._due.values())

    async def _send_later(self, subject: str, wait: float) -> None:
        await asyncio.sleep(wait)
        del self._due[subject]
        self._sent[subject] = asyncio.get_running_loop().time()
        await self._publish(subject)

    async def _publish(self, subject: str) -> None:
        if not self._client.is_connected:
            SIGNALS_LOST.inc()
            return
        try:
            await self._client.publish(subject, b"")
        except NatsError:
            SIGNALS_LOST.inc()

    async def listen(self, subject: str, heard: Callable[[], None]) -> None:
        """Call `heard` for every poke on a subject, while the connection is up. Others are lost."""

        async def on_message(_: object) -> None:
            heard()

        await self._client.subscribe(subject, cb=on_message)

    async def check(self) -> None:
        """Health check: a round trip to the server.

        Raises:
            BusUnavailable: There is no connection, or no answer in time.
        """
        if not self._client.is_connected:
            raise BusUnavailable("not connected")
        try:
            await self._client.flush(timeout=1)
        except (NatsError, TimeoutError) as refused:
            raise BusUnavailable("no answer") from refused
