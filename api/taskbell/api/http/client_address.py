"""The address of a client: the peer's own, or the one that trusted proxies report in `X-Forwarded-For`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.requests import Request

Network = IPv4Network | IPv6Network
_HOPS = 32
"""The most proxies that are skipped: reading the header takes bounded time."""


@dataclass(frozen=True, slots=True)
class ClientAddress:
    """Where a request comes from.

    Attributes:
        host: The address; empty if the connection has none.
        header_ignored: Whether the peer sent `X-Forwarded-For` and is not trusted: a client that lies, or a proxy that
            nobody listed.
    """

    host: str
    header_ignored: bool


class ClientAddresses:
    """Finds the address of a client.

    uvicorn's own reading of the header is off: it takes any text for an address, does not recognize an IPv4 proxy at an
    IPv6 socket, and costs time for each request.
    """

    def __init__(self, trusted: Sequence[Network]) -> None:
        """Take the networks of the proxies that are believed."""
        self._trusted = tuple(trusted)

    def of(self, request: Request) -> ClientAddress:
        """Find it.

        Each proxy appends the address that it sees, so the list is read from the right, and trusted proxies are
        skipped. Everything left of the first other address was written by the client, and is ignored. A header from a
        peer that is not trusted is ignored completely.
        """
        peer = request.client.host if request.client is not None else ""
        forwarded = request.headers.getlist("x-forwarded-for")
        last = _parsed(peer)
        if last is None or not self._is_trusted(last):
            return ClientAddress(host=peer if last is None else str(last), header_ignored=bool(forwarded))
        for hop in reversed(",".join(forwarded).rsplit(",", _HOPS)[-_HOPS:]):
            found = _parsed(_without_port(hop.strip()))
            if found is None:  # "unknown", or not an address: the proxy before it is the last that is known
                break
            last = found
            if not self._is_trusted(found):
                break
        return ClientAddress(host=str(last), header_ignored=False)

    def _is_trusted(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._trusted)


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    """Read an address; IPv4 within IPv6 is IPv4, and a zone is dropped."""
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def _without_port(text: str) -> str:
    """Some proxies append the port: `192.0.2.1:4711`, `[2001:db8::1]:4711`."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text
