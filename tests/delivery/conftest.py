"""A delivery worker on real PostgreSQL and NATS. The receivers are in tests/shared/webhook_receiver.py."""

import asyncio
import base64
import contextlib
import dataclasses
import os
import secrets
import signal
import socket
import sys
from datetime import UTC
from uuid import UUID

import asyncpg
import orjson
import pytest

from taskbell.contract.events import EventRecord, envelope
from taskbell.contract.subjects import HEADER_AUDIENCE, event_subject
from taskbell.delivery.app import delivery
from taskbell.delivery.settings import DeliverySettings
from taskbell.kit.ids import new_id
from taskbell.kit.nats_message import MESSAGE_ID
from taskbell.testing.waiting import DEADLINE


@dataclasses.dataclass
class Platform:
    """Writes endpoints and events as the API and the relay do, and reads the ledger."""

    connection: asyncpg.Connection
    stream: object

    async def person(self, *, email=None, confirmed=True, wants_email=False, kinds=("*",)):
        """An account with its workspace, and an address that is confirmed or not; returns both ids."""
        user, workspace = new_id(), new_id()
        await self.connection.execute(
            "INSERT INTO users (id, email, name, personal_workspace_id, email_confirmed_at)"
            " VALUES ($1, $2, 'u', $3, CASE WHEN $4 THEN now() END)",
            user,
            email or f"{user}@example.com",
            workspace,
            confirmed,
        )
        await self.connection.execute(
            "INSERT INTO workspaces (id, name, created_by) VALUES ($1, 'w', $2)", workspace, user
        )
        if wants_email:
            await self.connection.execute(
                "INSERT INTO email_channels (user_id, enabled, kinds) VALUES ($1, true, $2)", user, list(kinds)
            )
        return user, workspace

    async def endpoint(self, user, kind, *, address=None, **fields):
        """A device or chat of a user; returns its id."""
        found = new_id()
        where = address or f"https://push.example/{found}"
        columns = {"id": found, "user_id": user, "kind": kind, "address": where, **fields}
        values = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
        await self.connection.execute(
            f"INSERT INTO alert_endpoints ({', '.join(columns)}, address_hash)"
            f" VALUES ({values}, sha256(convert_to($4, 'UTF8')))",
            *columns.values(),
        )
        return found

    async def notification(self, user, workspace, *, kind="assigned", urgent=False):
        """A notification in the inbox; returns its id."""
        return await self.connection.fetchval(
            "INSERT INTO notifications (user_id, kind, workspace_id, title, body, urgent)"
            " VALUES ($1, $2, $3, 'Water the plants', 'Ann assigned you', $4) RETURNING id",
            user,
            kind,
            workspace,
            urgent,
        )

    async def read(self, *notices):
        """Mark notifications as read."""
        await self.connection.execute("UPDATE notifications SET read_at = now() WHERE id = ANY ($1::uuid[])", notices)

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

    async def kept_event(self, workspace, *, data=None):
        """Write an event as the API does and publish it as the relay does; returns its id and document."""
        row = await self.connection.fetchrow(
            "INSERT INTO events (workspace_id, type, subject_id, actor_id, audience, data)"
            " VALUES ($1, 'task.created', $1, $1, '{}', $2) RETURNING *",
            workspace,
            orjson.dumps(data or {"title": "Water the plants"}).decode(),
        )
        names = [field.name for field in dataclasses.fields(EventRecord)]
        document = envelope(EventRecord(**{name: row[name] for name in names}))
        await self.raw(workspace, "task.created", document, event_id=row["id"])
        return str(row["id"]), document

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
