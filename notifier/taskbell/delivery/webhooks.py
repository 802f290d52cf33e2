"""The webhook channel: one signed POST to an address that was looked up and checked just before."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from functools import partial

import httpx

from taskbell.delivery import metrics
from taskbell.delivery.addresses import is_public
from taskbell.delivery.policy import Outcome
from taskbell.delivery.repository import Claim
from taskbell.delivery.signature import signed_headers

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Looks up the addresses of a host, whose name is ASCII. Raises `OSError`."""
_MOST_BYTES = 64 * 1024
_MOST_ADDRESSES = 3
_LONGEST_RETRY_AFTER = 86_400.0


class AddressRefused(Exception):
    """The receiver's name leads to an address that is not public."""


@contextmanager
def resolver(*, threads: int) -> Iterator[Resolve]:
    """Ask the system's resolver, so many times at once.

    Threads of its own: the loop's are few, and whoever has a name server that hangs would hold up every other name.
    """
    executor = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="look-up")

    async def look_up(host: str, port: int) -> list[str]:
        # Bytes: Python would encode a text by rules that know neither all names nor what to do with a long label.
        ask = partial(socket.getaddrinfo, host.encode("ascii"), port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(executor, ask)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    try:
        yield look_up
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


class WebhookChannel:
    """Posts events, each attempt by a client of its own: nothing of one is left to another.

    What a client keeps (connections, cookies) it finds again by the address, and two receivers behind one address must
    not share it. Nor would a pool get back the connection of every attempt that is cut off. No redirect is followed and
    no proxy asked.
    """

    def __init__(
        self,
        *,
        within: float,
        resolve: Resolve,
        trusted: ssl.SSLContext,
        allowed: Callable[[str], bool] = is_public,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take the seconds that a whole attempt has, and how receivers are found and known."""
        self._within = within
        self._resolve = resolve
        self._trusted = trusted
        self._allowed = allowed
        self._clock = clock

    async def send(self, claim: Claim) -> Outcome:
        """Attempt one delivery. Never raises for what a receiver or the network does."""
        if claim.url is None:
            return Outcome(delivered=False, error="the webhook was deleted or switched off", permanent=True)
        try:
            async with asyncio.timeout(self._within), self._client() as client:
                return await self._post(client, httpx.URL(claim.url), claim)
        except TimeoutError:
            return Outcome(delivered=False, error=f"no answer within {self._within:g} s")
        except AddressRefused as refused:
            metrics.REFUSED.inc()
            return Outcome(delivered=False, error=str(refused))
        except httpx.InvalidURL:
            return Outcome(delivered=False, error="the address cannot be read", permanent=True)
        except (httpx.HTTPError, OSError, ssl.SSLError) as failed:
            return Outcome(delivered=False, error=type(failed).__name__)

    def _client(self) -> httpx.AsyncClient:
        timeout = httpx.Timeout(self._within, connect=self._within / 3)
        return httpx.AsyncClient(follow_redirects=False, trust_env=False, verify=self._trusted, timeout=timeout)

    async def _post(self, client: httpx.AsyncClient, url: httpx.URL, claim: Claim) -> Outcome:
        body = claim.payload.encode()
        headers = {
            "Host": url.netloc.decode("ascii"),
            "Content-Type": "application/json",
            "User-Agent": "Taskbell-Webhooks/1",
            **signed_headers(
                message_id=str(claim.event_id), timestamp=int(self._clock()), body=body, secrets=claim.secrets
            ),
        }
        addresses = await self._checked(url)
        for number, address in enumerate(addresses, 1):
            request = client.build_request(
                "POST",
                url.copy_with(host=address, username=None, password=None),
                content=body,
                headers=headers,
                extensions={"sni_hostname": _name(url)},  # also the name that the certificate must be for
            )
            try:
                response = await client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if number == len(addresses):
                    raise
                continue
            try:
                await _read_some(response)
            finally:
                await response.aclose()
            return judge(response.status_code, response.headers.get("retry-after"), now=self._clock())
        raise httpx.ConnectError("no address")

    async def _checked(self, url: httpx.URL) -> list[str]:
        """The addresses to connect to. One that is refused among them refuses all: the name is not to be trusted."""
        port = url.port or (443 if url.scheme == "https" else 80)
        found = await self._resolve(_name(url), port)
        for address in found:
            if not self._allowed(address):
                raise AddressRefused("the name leads to an address that is not public")
        return found[:_MOST_ADDRESSES]


def _name(url: httpx.URL) -> str:
    """The host as it was written: `url.host` has Punycode decoded, which not everybody encodes as it was."""
    return url.raw_host.decode("ascii")


async def _read_some(response: httpx.Response) -> None:
    """Let the receiver finish a short answer; what is longer is not read."""
    read = 0
    async for piece in response.aiter_raw():
        read += len(piece)
        if read > _MOST_BYTES:
            return


def judge(status: int, retry_after: str | None, *, now: float) -> Outcome:
    """What a receiver's answer means: 2xx is a yes, 410 ends the webhook, everything else is tried again."""
    if 200 <= status < 300:
        return Outcome(delivered=True, status=status)
    if status == httpx.codes.GONE:
        return Outcome(delivered=False, status=status, error="the receiver is gone", gone=True)
    error = f"answered {status}"
    return Outcome(delivered=False, status=status, error=error, retry_after=_seconds(retry_after, now=now))


def _seconds(retry_after: str | None, *, now: float) -> float | None:
    """Read a `Retry-After` header (RFC 9110, section 10.2.3), a day at most; None when there is none to be read."""
    if not retry_after:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), _LONGEST_RETRY_AFTER)
    try:
        wanted = parsedate_to_datetime(text).timestamp() - now
    except (ValueError, OverflowError):
        return None
    return min(max(wanted, 0.0), _LONGEST_RETRY_AFTER)


@contextmanager
def open_webhooks(*, within: float, allow_private: bool, concurrency: int) -> Iterator[WebhookChannel]:
    """Make the channel for so many attempts at a time; `within` is in seconds, for each of them."""
    with resolver(threads=2 * concurrency) as resolve:  # those of attempts that have ended may still hang
        yield WebhookChannel(
            within=within,
            resolve=resolve,
            trusted=httpx.create_ssl_context(trust_env=False),
            allowed=(lambda _: True) if allow_private else is_public,
        )
