"""A client for requests to providers: HTTP/2 over TLS 1.2 or later, to addresses that it has looked up and checked.

It follows no redirect, keeps no cookie, reads no environment variable and uses no proxy. A lost connection, GOAWAY and
a reset stream are errors of their requests: the ledger tries again, and nothing is sent twice in secret.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import httpx

from taskbell.delivery import metrics
from taskbell.delivery.providers.connection import Answer, Connection, Header, NoAnswer, NotHttp2
from taskbell.delivery.webhooks import NO_PUBLIC_ADDRESS
from taskbell.kit.addresses import Resolve, is_public
from taskbell.kit.exchange import NotConnected, ResponseExcessive, ResponseMalformed, Target, exchange

MOST_ORIGINS: Final = 256
"""Most origins whose connections a client keeps; the least recently used is closed first."""
_MOST_ADDRESSES: Final = 3
_MOST_OPENED: Final = 20
"""Connections that a request waits for, since others take the places of each; more mean that the server ends them."""
_CLOSE_SECONDS: Final = 1.0
_IN_A_PATH: Final = "!#$%&'()*+,/:;=?@[]~"


class AddressMalformed(ValueError):
    """The address is not one that requests may go to. The text never contains it: such addresses are secrets."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme `https`, host and port (RFC 6454)."""

    host: str
    port: int

    @property
    def text(self) -> str:
        """As in a URL; an IPv6 address is in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}" if self.port == 443 else f"https://{host}:{self.port}"

    @property
    def authority(self) -> bytes:
        """The pseudo-field `:authority`."""
        return self.text.removeprefix("https://").encode("ascii")


def read_address(url: str, *, any_port: bool) -> tuple[Origin, bytes]:
    """Read an address: its origin, and its path with the query.

    Args:
        url: Must begin with `https://`, have a host in ASCII, no user and no fragment.
        any_port: Also allow ports other than 443; for user input that would reach services which nobody published.

    Raises:
        AddressMalformed: It is another address.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or 443
        host = (parts.hostname or "").encode("ascii").decode("ascii")
    except ValueError:  # `UnicodeError` too
        raise AddressMalformed("the address cannot be read") from None
    if parts.scheme != "https" or not host or not host.isprintable() or " " in host:
        raise AddressMalformed("the address is not https:// with a host")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise AddressMalformed("the address has a user or a fragment")
    if port != 443 and not any_port:
        raise AddressMalformed("the address has a port")
    path = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=_IN_A_PATH)
    return Origin(host, port), path.encode("ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What a client may reach, and how.

    Attributes:
        resolve: Looks up names.
        trusted: The trusted certificates, without ALPN.
        trusted_http2: The same with ALPN for HTTP/2, and for HTTP/1.1 where `fallback` is set.
        allowed: Which IP addresses it may connect to. If one address of a name is refused, all are.
        fallback: Use HTTP/1.1 with a server that does not speak HTTP/2, on a connection for each request.
    """

    resolve: Resolve
    trusted: ssl.SSLContext
    trusted_http2: ssl.SSLContext
    allowed: Callable[[str], bool]
    fallback: bool


def reach(resolve: Resolve, *, ca_file: Path | None, allowed: Callable[[str], bool], fallback: bool) -> Reach:
    """Make a `Reach` that trusts the usual authorities, and those of a file.

    Raises:
        OSError: The file cannot be read, or has no certificate (`ssl.SSLError`).
    """
    contexts = [httpx.create_ssl_context(trust_env=False) for _ in range(2)]
    for context in contexts:
        if ca_file is not None:
            context.load_verify_locations(cafile=ca_file)
    contexts[1].set_alpn_protocols(["h2", "http/1.1"] if fallback else ["h2"])
    return Reach(resolve=resolve, trusted=contexts[0], trusted_http2=contexts[1], allowed=allowed, fallback=fallback)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of a client.

    Attributes:
        within: Seconds for a request, from looking up the name to the end of the answer.
        connections: Most connections to one origin; a further one is opened when the streams of the others are taken.
        idle: Seconds after which an unused connection is closed.
    """

    within: float
    connections: int
    idle: float


class Client:
    """Sends requests, and keeps the connections to each origin."""

    def __init__(self, reachable: Reach, limits: Limits) -> None:
        """Take what it may reach and its bounds. Nothing connects yet."""
        self._reach = reachable
        self._limits = limits
        self._origins: OrderedDict[Origin, _Connections] = OrderedDict()

    async def post(self, origin: Origin, path: bytes, fields: Sequence[Header], body: bytes) -> Answer:
        """Send one POST and return the answer, whatever its status.

        Args:
            origin: Where to.
            path: Path and query.
            fields: In lower case, without pseudo-fields and length.
            body: The content.

        Raises:
            NoAnswer: There is none within the time.
        """
        try:
            async with asyncio.timeout(self._limits.within):
                return await self._post(origin, path, fields, body)
        except TimeoutError:
            raise NoAnswer(f"no answer within {self._limits.within:g} s") from None

    async def _post(self, origin: Origin, path: bytes, fields: Sequence[Header], body: bytes) -> Answer:
        known = self._known(origin)
        if not known.is_http1:
            try:
                connection = await known.acquire()
            except NotHttp2:
                if not self._reach.fallback:
                    raise
                known.is_http1 = True
            else:
                return await connection.post([*known.pseudo, (b":path", path), *fields], body)
        return await self._post_http1(origin, path, fields, body)

    async def _post_http1(self, origin: Origin, path: bytes, fields: Sequence[Header], body: bytes) -> Answer:
        addresses = await checked(origin, self._reach)
        named = [("Host", origin.authority.decode()), *((name.decode(), value.decode()) for name, value in fields)]
        within = self._limits.within / _MOST_ADDRESSES
        for number, address in enumerate(addresses, 1):
            target = Target(address=address, port=origin.port, name=origin.host, trusted=self._reach.trusted)
            try:
                found = await exchange(target, path=path.decode(), headers=named, body=body, connect_within=within)
            except NotConnected as failed:
                if number == len(addresses):
                    raise NoAnswer(str(failed)) from failed
            except (ResponseExcessive, ResponseMalformed) as failed:
                raise NoAnswer(str(failed)) from failed
            except OSError as failed:
                raise NoAnswer(f"the connection was lost: {type(failed).__name__}") from failed
            else:
                return Answer(found.status, found.retry_after, found.body)
        raise NoAnswer(NO_PUBLIC_ADDRESS)

    def _known(self, origin: Origin) -> _Connections:
        known = self._origins.get(origin)
        if known is None:
            known = self._origins[origin] = _Connections(origin, self._reach, self._limits)
            for old, connections in list(self._origins.items())[: max(0, len(self._origins) - MOST_ORIGINS)]:
                if connections.is_free:
                    del self._origins[old]
                    connections.leave()
        else:
            self._origins.move_to_end(origin)
        return known

    async def close(self) -> None:
        """Close all connections; requests in flight fail."""
        await asyncio.gather(*(connections.close() for connections in self._origins.values()))
        self._origins.clear()


@asynccontextmanager
async def open_client(reachable: Reach, limits: Limits) -> AsyncIterator[Client]:
    """Open a client for the length of the block."""
    client = Client(reachable, limits)
    try:
        yield client
    finally:
        await client.close()


async def checked(origin: Origin, reachable: Reach) -> list[str]:
    """Look up an origin's addresses and check them.

    Raises:
        NoAnswer: There is none, or one is refused; the text is the same, so that nobody learns the names of this
            network (CWE-204).
    """
    try:
        found = await reachable.resolve(origin.host, origin.port)
    except OSError as unknown:
        raise NoAnswer(NO_PUBLIC_ADDRESS) from unknown
    if not all(map(reachable.allowed, found)):
        metrics.REFUSED.inc()
        raise NoAnswer(NO_PUBLIC_ADDRESS)
    if not found:
        raise NoAnswer(NO_PUBLIC_ADDRESS)
    return found[:_MOST_ADDRESSES]


class _Connections:
    """The connections to one origin. Requests wait for a free stream when all connections are full."""

    def __init__(self, origin: Origin, reachable: Reach, limits: Limits) -> None:
        self._origin = origin
        self._reach = reachable
        self._limits = limits
        self._open: list[Connection] = []
        self._opening: asyncio.Task[NoAnswer | None] | None = None
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.is_http1 = False
        self.pseudo: list[Header] = [
            (b":method", b"POST"),
            (b":scheme", b"https"),
            (b":authority", origin.authority),
        ]

    @property
    def is_free(self) -> bool:
        return self._opening is None and not self._waiting and all(connection.is_free for connection in self._open)

    async def acquire(self) -> Connection:
        """Return a connection that takes a request now. Raises `NoAnswer`."""
        opened = 0
        while True:
            for connection in self._open:
                if connection.has_room:
                    self._freed()  # there may be room for the next one, too
                    return connection
            self._open = [connection for connection in self._open if connection.is_open]
            if self._opening is None and len(self._open) < self._limits.connections:
                self._opening = asyncio.create_task(self._connect(), name="connect-to-provider")
            if opened == _MOST_OPENED:
                raise NoAnswer("the server closes each connection")
            if self._opening is not None:  # one attempt for all that wait
                opened += 1
                failed = await asyncio.shield(self._opening)
                if failed is not None:
                    raise type(failed)(str(failed))
            else:
                await self._room()

    async def _room(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._freed()  # the next one takes this turn
            raise

    def _freed(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    async def _connect(self) -> NoAnswer | None:
        """Open one more connection. Returns why there is none: all that wait are told the same."""
        try:
            addresses = await checked(self._origin, self._reach)
            for address in addresses:
                try:
                    self._open.append(await self._connect_to(address))
                except NoAnswer as failed:
                    if isinstance(failed, NotHttp2) or address == addresses[-1]:
                        return failed
                else:
                    return None
        except NoAnswer as refused:
            return refused
        finally:
            self._opening = None
            self._freed()
        return None

    async def _connect_to(self, address: str) -> Connection:
        loop = asyncio.get_running_loop()
        made: Connection | None = None
        try:
            async with asyncio.timeout(self._limits.within / _MOST_ADDRESSES):
                _, made = await loop.create_connection(
                    lambda: Connection(freed=self._freed, idle=self._limits.idle),
                    address,
                    self._origin.port,
                    ssl=self._reach.trusted_http2,
                    server_hostname=self._origin.host,
                )
                await asyncio.shield(made.ready)
        except OSError as failed:  # `TimeoutError` too
            if made is not None:
                made.end()
            raise NoAnswer(f"no connection: {type(failed).__name__}") from failed
        if made.ended is not None:
            raise NoAnswer(str(made.ended))
        return made

    def leave(self) -> None:
        """Begin to close it; nothing is in flight."""
        for connection in self._open:
            connection.end()
        self._open = []

    async def close(self) -> None:
        """Close all; nothing may wait."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        await asyncio.gather(*(connection.close(within=_CLOSE_SECONDS) for connection in self._open))


def public_only(*, allow_private: bool) -> Callable[[str], bool]:
    """Return which IP addresses user input may lead to."""
    return (lambda _: True) if allow_private else is_public
