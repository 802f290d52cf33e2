"""Network addresses: looks names up, and decides which addresses belong to the public internet."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Looks up the addresses of a host name in ASCII. Raises `OSError`."""

_INTERNET = IPv6Network("2000::/3")
_REFUSED = (
    IPv4Network("192.0.0.0/24"),  # protocol assignments; Oracle's metadata service
    IPv4Network("168.63.129.16/32"),  # Azure's metadata service
    IPv6Network("3fff::/20"),  # documentation (RFC 9637)
)
"""Networks that are not public, although some or all releases of Python report them as public."""
_NAT64 = IPv6Network("64:ff9b::/96")
_COMPATIBLE = IPv6Network("::/96")


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


def is_public(text: str) -> bool:
    """Tell whether an IP address is public. An IPv6 address that contains an IPv4 one is judged by the latter.

    Loopback, private, shared (RFC 6598), link-local, multicast, reserved and documentation addresses are not public,
    nor is any text that is not an IP address. The metadata services of clouds are mostly link-local.
    """
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and (inner := _carried(address)) is not None:
        address = inner
    if any(address in network for network in _REFUSED) or (address.version == 6 and address not in _INTERNET):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _carried(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 one contains: mapped, 6to4, NAT64 (RFC 6052) or IPv4-compatible."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None
