"""The webhook transport: sends one signed POST to an address that it has just looked up and checked."""

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
"""Looks up the addresses of a host name in ASCII. Raises `OSError`."""
_MOST_BYTES = 64 * 1024
_MOST_ADDRESSES = 3
_LONGEST_RETRY_AFTER = 86_400.0


class AddressRefused(Exception):
    """The receiver's name resolves to an address that is not public."""


@contextmanager
def resolver(*, threads: int) -> Iterator[Resolve]:
    """Use the system's resolver, in this number of threads.

    It has its own threads: the event loop has few, and one name server that hangs would delay all other names.
    """
    executor = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="look-up")

    async def look_up(host: str, port: int) -> list[str]:
        # As bytes: for a text Python's codec refuses some valid names and fails on long labels.
        ask = partial(socket.getaddrinfo, host.encode("ascii"), port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(executor, ask)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    try:
        yield look_up
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


class WebhookTransport:
    """Posts events, with a new HTTP client for each attempt.

    A client keeps connections and cookies by address, and two receivers at one address must not share them. A pool
    would also lose the connection of each attempt that times out. It follows no redirect and uses no proxy.
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
        """Take the seconds for an attempt, the resolver, the trusted certificates, and which addresses are allowed."""
        self._within = within
        self._resolve = resolve
        self._trusted = trusted
        self._allowed = allowed
        self._clock = clock

    async def send(self, claim: Claim) -> Outcome:
        """Attempt one delivery. Errors of the receiver or the network are an outcome; none is raised."""
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
                extensions={"sni_hostname": _name(url)},  # the certificate must be for this name too
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
        """Return the addresses to connect to. If one of them is refused, the name is not trusted and all are."""
        port = url.port or (443 if url.scheme == "https" else 80)
        found = await self._resolve(_name(url), port)
        for address in found:
            if not self._allowed(address):
                raise AddressRefused("the name resolves to an address that is not public")
        return found[:_MOST_ADDRESSES]


def _name(url: httpx.URL) -> str:
    """Return the host as it was written. `url.host` decodes Punycode, and encoding it again may give another name."""
    return url.raw_host.decode("ascii")


async def _read_some(response: httpx.Response) -> None:
    """Read a short response to its end, and a long one in part."""
    read = 0
    async for piece in response.aiter_raw():
        read += len(piece)
        if read > _MOST_BYTES:
            return


def judge(status: int, retry_after: str | None, *, now: float) -> Outcome:
    """Judge a response: 2xx means delivered, 410 disables the webhook, everything else is retried."""
    if 200 <= status < 300:
        return Outcome(delivered=True, status=status)
    if status == httpx.codes.GONE:
        return Outcome(delivered=False, status=status, error="the receiver is gone", gone=True)
    error = f"answered {status}"
    return Outcome(delivered=False, status=status, error=error, retry_after=_seconds(retry_after, now=now))


def _seconds(retry_after: str | None, *, now: float) -> float | None:
    """Return the seconds of a `Retry-After` header (RFC 9110, section 10.2.3), at most a day; None if malformed."""
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
def open_webhooks(*, within: float, allow_private: bool, concurrency: int) -> Iterator[WebhookTransport]:
    """Open the transport for `concurrency` attempts at a time; each has `within` seconds."""
    with resolver(threads=2 * concurrency) as resolve:  # look-ups of attempts that have ended may still hang
        yield WebhookTransport(
            within=within,
            resolve=resolve,
            trusted=httpx.create_ssl_context(trust_env=False),
            allowed=(lambda _: True) if allow_private else is_public,
        )
