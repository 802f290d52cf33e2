"""Requests to servers of others: bounded in time and bytes, and only to addresses that were looked up and checked."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import SplitResult, quote, urlsplit

from taskbell.kit.addresses import Resolve, is_public, resolver
from taskbell.kit.exchange import NotConnected, Response, ResponseExcessive, ResponseMalformed, Target, exchange

_MOST_ADDRESSES = 3
_IN_A_PATH = "!#$%&'()*+,/:;=?@[]~"
Header = tuple[str, str]


class NoAnswer(Exception):
    """There is no whole answer within the bounds. The text names no address: it may be one of this network."""


class Outgoing:
    """Sends requests, each on a connection of its own. It follows no redirect, keeps no cookie and uses no proxy."""

    def __init__(
        self, *, within: float, resolve: Resolve, trusted: ssl.SSLContext, allowed: Callable[[str], bool] = is_public
    ) -> None:
        """Take the seconds for a request, the resolver, the trusted certificates, and which addresses are allowed.

        If one address of a name is refused, all are.
        """
        self._within = within
        self._resolve = resolve
        self._trusted = trusted
        self._allowed = allowed

    async def request(
        self, url: str, *, method: str = "GET", headers: Sequence[Header] = (), body: bytes = b""
    ) -> Response:
        """Send a request and return the answer, whatever its status.

        Raises:
            NoAnswer: There is none in time, it has more than `MOST_BODY_BYTES`, or the address is refused.
        """
        try:
            async with asyncio.timeout(self._within):
                answer = await self._request(urlsplit(url), method, headers, body)
        except TimeoutError:
            raise NoAnswer(f"no answer within {self._within:g} s") from None
        except (NotConnected, ResponseExcessive, ResponseMalformed) as failed:
            raise NoAnswer(str(failed)) from failed
        except OSError as failed:
            raise NoAnswer(f"the connection was lost: {type(failed).__name__}") from failed
        if not answer.whole:
            raise NoAnswer("the answer is too long, or ended too early")
        return answer

    async def _request(self, url: SplitResult, method: str, headers: Sequence[Header], body: bytes) -> Response:
        name = url.hostname or ""
        port = url.port or (443 if url.scheme == "https" else 80)
        path = quote((url.path or "/") + (f"?{url.query}" if url.query else ""), safe=_IN_A_PATH)
        addresses = await self._checked(name, port)
        for number, address in enumerate(addresses, 1):
            target = Target(
                address=address, port=port, name=name, trusted=self._trusted if url.scheme == "https" else None
            )
            try:
                return await exchange(
                    target,
                    path=path,
                    headers=[("Host", url.netloc), ("User-Agent", "Taskbell/1"), *headers],
                    body=body,
                    connect_within=self._within / _MOST_ADDRESSES,
                    method=method,
                )
            except NotConnected:
                if number == len(addresses):
                    raise
        raise NoAnswer("the name leads to no allowed address")

    async def _checked(self, name: str, port: int) -> list[str]:
        try:
            found = await self._resolve(name, port)
        except OSError as unknown:
            raise NoAnswer("the name leads to no allowed address") from unknown
        if not all(map(self._allowed, found)):
            raise NoAnswer("the name leads to no allowed address")
        return found[:_MOST_ADDRESSES]


@contextmanager
def open_outgoing(*, within: float, allow_private: bool, threads: int) -> Iterator[Outgoing]:
    """Open what sends requests, with so many threads that look names up."""
    import httpx  # noqa: PLC0415 -- it would slow down every start of a program that sends none

    with resolver(threads=threads) as resolve:
        yield Outgoing(
            within=within,
            resolve=resolve,
            trusted=httpx.create_ssl_context(trust_env=False),
            allowed=(lambda _: True) if allow_private else is_public,
        )
