"""Clients of a front door: by TLS and HTTP/2, from an address that a load balancer in front reports."""

import asyncio
import socket
import ssl
from typing import Any

import httpcore
import httpx

from front_door.proxies import Proxy


def announcement(address: str) -> bytes:
    """The line of the PROXY protocol (version 1) for a client of this address."""
    family, here = ("TCP6", "::1") if ":" in address else ("TCP4", "127.0.0.1")
    return f"PROXY {family} {address} {here} 40000 443\r\n".encode()


class _Balanced(httpcore.AsyncNetworkBackend):
    """Connects through a load balancer, which names the client's address first."""

    def __init__(self, address: str, port: int) -> None:
        self.inner = httpcore.AnyIOBackend()
        self.address = address
        self.port = port

    async def connect_tcp(self, host: str, port: int, **options: Any) -> httpcore.AsyncNetworkStream:
        stream = await self.inner.connect_tcp("127.0.0.1", self.port, **options)
        await stream.write(announcement(self.address))
        return stream

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Visitor:
    """Makes clients of one address that come to a host by a proxy, and trust its certificate."""

    def __init__(self, proxy: Proxy, host: str, address: str) -> None:
        self.proxy = proxy
        self.host = host
        self.address = address

    def http(self, *, http2: bool = True, **options: Any) -> httpx.AsyncClient:
        """A client of HTTP/2, or of HTTP/1.1."""
        transport = httpx.AsyncHTTPTransport(verify=False)
        transport._pool = httpcore.AsyncConnectionPool(
            ssl_context=self.trust(), http2=http2, network_backend=_Balanced(self.address, self.proxy.balancer_port)
        )
        return httpx.AsyncClient(base_url=f"https://{self.host}", transport=transport, **options)

    def socket(self) -> socket.socket:
        """A connection on which TLS may begin, for clients that take one."""
        made = socket.create_connection(("127.0.0.1", self.proxy.balancer_port))
        made.sendall(announcement(self.address))
        made.setblocking(False)
        return made

    async def raw(self, *, alpn: str = "http/1.1") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A stream by TLS for tests that write bytes of their own."""
        return await asyncio.open_connection(sock=self.socket(), ssl=self.trust(alpn), server_hostname=self.host)

    def trust(self, *alpn: str) -> ssl.SSLContext:
        """A context that trusts the proxy's certificate alone, and offers these protocols, or none."""
        made = ssl.create_default_context(cafile=str(self.proxy.certificate))
        if alpn:
            made.set_alpn_protocols(alpn)
        return made
