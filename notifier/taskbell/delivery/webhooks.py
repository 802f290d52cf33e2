"""The webhook transport: sends one signed POST to an address that it has just looked up and checked."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from urllib.parse import SplitResult, quote, urlsplit

import httpx

from taskbell.delivery import metrics
from taskbell.delivery.claims import Claim
from taskbell.delivery.policy import Outcome
from taskbell.delivery.retry_after import seconds_of
from taskbell.delivery.signature import signed_headers
from taskbell.kit.addresses import Resolve, is_public, resolver
from taskbell.kit.exchange import NotConnected, Response, ResponseExcessive, ResponseMalformed, Target, exchange

_MOST_ADDRESSES = 3
_IN_A_PATH = "!#$%&'()*+,/:;=?@[]~"
NO_PUBLIC_ADDRESS = "the name leads to no public address"
"""Why an attempt was not made, whether the name is unknown or refused: users must not learn the names of this network
(CWE-204)."""


class AddressRefused(Exception):
    """The receiver's name has no address, or one that is not public."""


class WebhookTransport:
    """Posts events, each attempt on a connection of its own: two receivers at one address share nothing.

    It follows no redirect, keeps no cookie and uses no proxy.
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
            url = urlsplit(claim.url)
            port = url.port or (443 if url.scheme == "https" else 80)
        except ValueError:
            return Outcome(delivered=False, error="the address cannot be read", permanent=True)
        try:
            async with asyncio.timeout(self._within):
                response = await self._post(url, port, claim)
        except TimeoutError:
            return Outcome(delivered=False, error=f"no answer within {self._within:g} s")
        except (AddressRefused, NotConnected, ResponseExcessive, ResponseMalformed) as refused:
            return Outcome(delivered=False, error=str(refused))
        except OSError as failed:
            return Outcome(delivered=False, error=type(failed).__name__)
        return judge(response.status, response.retry_after, now=self._clock())

    async def _post(self, url: SplitResult, port: int, claim: Claim) -> Response:
        body = claim.payload.encode()
        signed = signed_headers(
            message_id=str(claim.event_id), timestamp=int(self._clock()), body=body, secrets=claim.secrets
        )
        headers = [
            ("Host", url.netloc),
            ("Content-Type", "application/json"),
            ("User-Agent", "Taskbell-Webhooks/1"),
            *signed.items(),
        ]
        path = quote((url.path or "/") + (f"?{url.query}" if url.query else ""), safe=_IN_A_PATH)
        name = url.hostname or ""
        addresses = await self._checked(name, port)
        for number, address in enumerate(addresses, 1):
            target = Target(
                address=address, port=port, name=name, trusted=self._trusted if url.scheme == "https" else None
            )
            try:
                return await exchange(
                    target, path=path, headers=headers, body=body, connect_within=self._within / _MOST_ADDRESSES
                )
            except NotConnected:
                if number == len(addresses):
                    raise
        raise AddressRefused(NO_PUBLIC_ADDRESS)

    async def _checked(self, name: str, port: int) -> list[str]:
        """Return the addresses to connect to. If one of them is refused, the name is not trusted and all are."""
        try:
            found = await self._resolve(name, port)
        except OSError as unknown:
            raise AddressRefused(NO_PUBLIC_ADDRESS) from unknown
        for address in found:
            if not self._allowed(address):
                metrics.REFUSED.inc()
                raise AddressRefused(NO_PUBLIC_ADDRESS)
        return found[:_MOST_ADDRESSES]


def judge(status: int, retry_after: str | None, *, now: float) -> Outcome:
    """Judge a response: 2xx means delivered, 410 disables the webhook, everything else is retried."""
    if 200 <= status < 300:
        return Outcome(delivered=True, status=status)
    if status == HTTPStatus.GONE:
        return Outcome(delivered=False, status=status, error="the receiver is gone", gone=True)
    error = f"answered {status}"
    return Outcome(delivered=False, status=status, error=error, retry_after=seconds_of(retry_after, now=now))


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
