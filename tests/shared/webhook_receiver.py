"""Fixtures: receivers of webhooks that misbehave on request, and certificates for them."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import hashlib
import hmac
import ssl
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

HANG: Any = object()
"""An answer that never comes."""


@dataclasses.dataclass
class Request:
    """What a receiver got."""

    path: str
    headers: dict[str, str]
    body: bytes
    status: Any
    at: float
    answered: bool = False

    @property
    def id(self) -> str:
        """The constant id of the delivery."""
        return self.headers["webhook-id"]

    @property
    def event(self) -> Any:
        """The event."""
        return orjson.loads(self.body)

    def verify(self, secret: str) -> bool:
        """Verify by Standard Webhooks; written from its text, not from our code. Any one signature must fit."""
        age = time.time() - int(self.headers["webhook-timestamp"])
        assert abs(age) < 300
        key = base64.b64decode(secret.split("_", 1)[1])
        content = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + self.body
        wanted = base64.b64encode(hmac.HMAC(key, content, hashlib.sha256).digest()).decode()
        return any(
            version == "v1" and hmac.compare_digest(found, wanted)
            for version, _, found in (entry.partition(",") for entry in self.headers["webhook-signature"].split(" "))
        )


class Receiver:
    """An HTTP server: for each event it gives the next answer of a script, then always 200."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.script: list[Any] = []
        self.answer_headers: dict[str, str] = {}
        self.body = b"thank you"
        self.delay = 0.0
        self.gate = asyncio.Event()
        self.gate.set()
        self._seen: dict[str, int] = {}
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.WriteTransport] = set()
        self.port = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/hook"

    async def start(self, host: str = "127.0.0.1", *, tls: ssl.SSLContext | None = None) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, host, self.port, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop, cutting what is open."""
        if self._server is not None:
            self._server.close()
        for transport in list(self._open):
            transport.abort()
        self._open.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer.transport)
        try:
            await self._answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            self._open.discard(writer.transport)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        event_id = headers["webhook-id"]
        turn = self._seen[event_id] = self._seen.get(event_id, 0) + 1
        status = self.script[turn - 1] if turn <= len(self.script) else 200
        request = Request(head[0].split(" ")[1], headers, body, status, time.monotonic())
        self.requests.append(request)
        await self.gate.wait()
        await asyncio.sleep(self.delay)
        if status is HANG:
            await reader.read()  # until the other side has had enough
            return
        lines = [f"HTTP/1.1 {status} So", f"Content-Length: {len(self.body)}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in self.answer_headers.items()]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + self.body)
        await writer.drain()
        request.answered = True

    def of(self, event_id: str) -> list[Request]:
        """The requests for one event, in order."""
        return [request for request in self.requests if request.id == event_id]

    def accepted(self) -> set[str]:
        """Ids of the events it said yes to."""
        return {request.id for request in self.requests if request.answered and request.status < 300}


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver that listens."""
    made = Receiver()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def make_certificate(tmp_path: Path) -> Callable[[Any], Path]:
    """Makes a file with a key and a certificate for a name or an address, which may be trusted as its own authority."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    def make(whom: Any) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
        now = datetime.now(UTC)
        alternative = x509.DNSName(whom) if isinstance(whom, str) else x509.IPAddress(whom)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        path = tmp_path / f"{whom}.pem"
        path.write_bytes(
            made.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return path

    return make


@pytest.fixture
def hang() -> Any:
    """An answer that never comes, for a receiver's script."""
    return HANG
