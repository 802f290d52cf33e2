"""A delivery worker on real PostgreSQL and NATS, and receivers that misbehave on request."""

import asyncio
import base64
import contextlib
import dataclasses
import hashlib
import hmac
import os
import secrets
import signal
import socket
import sys
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import orjson
import pytest

from taskbell.contract.subjects import HEADER_AUDIENCE, event_subject
from taskbell.delivery.app import delivery
from taskbell.delivery.settings import DeliverySettings
from taskbell.kit.ids import new_id
from taskbell.kit.nats_message import MESSAGE_ID
from taskbell.testing.waiting import DEADLINE

HANG = object()
"""An answer that never comes."""


@dataclasses.dataclass
class Request:
    """What a receiver got."""

    path: str
    headers: dict
    body: bytes
    status: object
    at: float
    answered: bool = False

    @property
    def id(self):
        """The constant id of the delivery."""
        return self.headers["webhook-id"]

    @property
    def event(self):
        """The event."""
        return orjson.loads(self.body)

    def verify(self, secret):
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

    def __init__(self):
        self.requests = []
        self.script = []
        self.answer_headers = {}
        self.body = b"thank you"
        self.delay = 0.0
        self.gate = asyncio.Event()
        self.gate.set()
        self._seen = {}
        self._server = None
        self._open = set()
        self.port = 0

    @property
    def url(self):
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/hook"

    async def start(self, host="127.0.0.1", *, tls=None):
        """Listen."""
        self._server = await asyncio.start_server(self._serve, host, self.port, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self):
        """Stop, cutting what is open."""
        self._server.close()
        for transport in list(self._open):
            transport.abort()
        self._open.clear()

    async def _serve(self, reader, writer):
        self._open.add(writer.transport)
        try:
            await self._answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            self._open.discard(writer.transport)
            writer.close()

    async def _answer(self, reader, writer):
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

    def of(self, event_id):
        """The requests for one event, in order."""
        return [request for request in self.requests if request.id == event_id]

    def accepted(self):
        """Ids of the events it said yes to."""
        return {request.id for request in self.requests if request.answered and request.status < 300}


@pytest.fixture
async def receiver():
    """A receiver that listens."""
    made = Receiver()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def make_certificate(tmp_path):
    """Makes a file with a key and a certificate for a name or an address, which may be trusted as its own authority."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    def make(whom):
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


@dataclasses.dataclass
class Platform:
    """Writes endpoints and events as the API and the relay do, and reads the ledger."""

    connection: asyncpg.Connection
    stream: object

    async def person(self, *, email=None):
        """An account with its workspace; returns both ids."""
        user, workspace = new_id(), new_id()
        await self.connection.execute(
            "INSERT INTO users (id, email, name, personal_workspace_id) VALUES ($1, $2, 'u', $3)",
            user,
            email or f"{user}@example.com",
            workspace,
        )
        await self.connection.execute(
            "INSERT INTO workspaces (id, name, created_by) VALUES ($1, 'w', $2)", workspace, user
        )
        return user, workspace

    async def webhook(self, workspace, url, *, event_types=("*",), enabled=True):
        """A webhook; returns its id and secret."""
        found = new_id()
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        await self.connection.execute(
            "INSERT INTO webhooks (id, workspace_id, url, event_types, enabled, secret)"
            " VALUES ($1, $2, $3, $4, $5, $6)",
            found,
            workspace,
            url,
            list(event_types),
            enabled,
            secret,
        )
        return found, secret

    async def event(self, workspace, *, event_type="task.created", audience=(), data=None, at=None):
        """Publish an event as the relay does; returns its id."""
        event_id = new_id()
        time_of = at or await self.connection.fetchval("SELECT clock_timestamp()")
        document = {
            "specversion": "1.0",
            "id": str(event_id),
            "source": f"/workspaces/{workspace}",
            "type": event_type,
            "subject": str(new_id()),
            "time": time_of.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "datacontenttype": "application/json",
            "workspaceid": str(workspace),
            "data": data or {"id": str(new_id()), "title": "Water the plants"},
        }
        await self.raw(workspace, event_type, orjson.dumps(document), event_id=event_id, audience=audience)
        return str(event_id)

    async def raw(self, workspace, event_type, body, *, event_id=None, audience=()):
        """Publish whatever bytes."""
        headers = {MESSAGE_ID: str(event_id or new_id())}
        if audience:
            headers[HEADER_AUDIENCE] = ",".join(map(str, audience))
        await self.stream.jetstream.publish(
            event_subject(workspace_id=workspace, event_type=event_type), body, headers=headers
        )

    async def deliveries(self, event_id=None):
        """Rows of the ledger."""
        rows = await self.connection.fetch("SELECT * FROM deliveries ORDER BY id")
        return [dict(row) for row in rows if event_id is None or row["event_id"] == UUID(event_id)]

    async def states(self):
        """The state of each row of the ledger, in order."""
        return [row["state"] for row in await self.deliveries()]


@pytest.fixture
async def platform(database, stream):
    """Endpoints, events and the ledger of this test."""
    connection = await asyncpg.connect(database.superuser_url)
    yield Platform(connection, stream)
    await connection.close()


# Short pauses, so that tests are quick; the limits stay long: a slow machine must not look like a receiver that hangs.
_QUICK = {
    "delivery_retry_first": "PT0.05S",
    "delivery_retry_longest": "PT0.2S",
    "delivery_poll": "PT0.05S",
    "delivery_drain_timeout": "PT2S",
    "webhook_allow_private": True,
}


@pytest.fixture
def settings(database, nats_url):
    """Make settings of a worker with short pauses; keyword arguments override."""

    def make(**overrides):
        return DeliverySettings(**({"database_url": database.delivery_url, "nats_url": nats_url, **_QUICK} | overrides))

    return make


@pytest.fixture
def run_worker(settings):
    """Run a worker for the length of a block."""

    @contextlib.asynccontextmanager
    async def run(**overrides):
        async with delivery(settings(**overrides)) as sender:
            yield sender

    return run


@dataclasses.dataclass
class WorkerProcess:
    """A worker in a process of its own."""

    process: asyncio.subprocess.Process
    port: int
    log: object

    async def ended(self):
        """Wait for its end and return the exit status."""
        return await asyncio.wait_for(self.process.wait(), DEADLINE)


@pytest.fixture
async def worker_process(database, nats_url, tmp_path):
    """Starts workers in processes of their own; whatever is left of them is killed after the test."""
    started = []

    async def start(**extra):
        log = tmp_path / f"worker-{len(started)}.log"
        environment = {
            **os.environ,
            "TASKBELL_DATABASE_URL": database.delivery_url,
            "TASKBELL_NATS_URL": nats_url,
            **{f"TASKBELL_{name.upper()}": str(value) for name, value in _QUICK.items()},
            **{f"TASKBELL_{name}": str(value) for name, value in extra.items()},
        }
        with log.open("wb") as output, socket.create_server(("127.0.0.1", 0)) as listening:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "taskbell.delivery", "--fd", str(listening.fileno())),
                env=environment,
                pass_fds=[listening.fileno()],
                stderr=output,
            )
            started.append(process)
            return WorkerProcess(process, listening.getsockname()[1], log)

    yield start
    for process in started:
        if process.returncode is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
            await process.wait()


@pytest.fixture
def hang():
    """An answer that never comes, for a receiver's script."""
    return HANG
