"""A relay in this process or in its own, event rows as a transaction writes them, and what the stream then holds."""

import asyncio
import contextlib
import dataclasses
import json
import os
import signal
import socket
import sys
import uuid

import asyncpg
import nats
import pytest
from nats.js.errors import NotFoundError

from taskbell.contract.events import EventType
from taskbell.contract.subjects import METADATA_EPOCH, STREAM
from taskbell.kit.trace import Tracing
from taskbell.local import db
from taskbell.relay.settings import RelaySettings
from taskbell.relay.supervision import Supervision
from taskbell.testing.waiting import DEADLINE, eventually


@dataclasses.dataclass
class EventTable:
    """Writes event rows, on its own session or another one."""

    connection: asyncpg.Connection
    url: str

    async def write(self, connection=None, *, subject=None, kind=EventType.TASK_CREATED, traceparent=None, **data):
        """Write one event row; returns its id as text."""
        subject = subject or uuid.uuid4()
        return await (connection or self.connection).fetchval(
            "INSERT INTO events (workspace_id, type, subject_id, actor_id, audience, traceparent, data)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id::text",
            uuid.UUID(int=7),
            str(kind),
            subject,
            uuid.UUID(int=8),
            [uuid.UUID(int=8), uuid.UUID(int=9)],
            traceparent,
            json.dumps({"id": str(subject), **data}),
        )

    async def holder(self):
        """Who holds the lease, or None."""
        return await self.connection.fetchval(
            "SELECT lease_holder FROM relay_state WHERE lease_expires_at > clock_timestamp()"
        )

    async def expire_lease(self):
        """End the lease now, as its time would have done. So no test depends on how long a busy machine takes."""
        await self.connection.execute("UPDATE relay_state SET lease_expires_at = clock_timestamp()")

    async def write_many(self, count):
        """Write many event rows in one transaction; returns their ids in order."""
        rows = await self.connection.fetch(
            "INSERT INTO events (workspace_id, type, subject_id, audience, data)"
            " SELECT gen_random_uuid(), 'task.created', gen_random_uuid(), '{}', '{}' FROM generate_series(1, $1)"
            " RETURNING id::text",
            count,
        )
        return sorted(row["id"] for row in rows)

    def session(self):
        """Another session, for the length of a block."""
        return db.connected(self.url)


@dataclasses.dataclass
class StreamReader:
    """Looks into the stream."""

    client: nats.NATS

    async def info(self):
        """What JetStream says of the stream, or None."""
        try:
            return await self.client.jetstream().stream_info(STREAM)
        except NotFoundError:
            return None

    async def epoch(self):
        """The stream's epoch, or None."""
        return int(info.config.metadata[METADATA_EPOCH]) if (info := await self.info()) else None

    async def length(self):
        """How many messages it holds."""
        return info.state.messages if (info := await self.info()) else 0

    async def messages(self):
        """All messages, in order."""
        info = await self.info()
        context = self.client.jetstream()
        sequences = range(info.state.first_seq, info.state.last_seq + 1) if info else ()
        return [await context.get_msg(STREAM, seq=sequence) for sequence in sequences]

    async def ids(self):
        """The ids of all events, in order."""
        return [message.headers["Nats-Msg-Id"] for message in await self.messages()]

    async def holds(self, count, *, epoch=None):
        """Wait until it holds so many messages, of an epoch if that matters, and return their ids."""

        async def enough():
            return (epoch is None or await self.epoch() == epoch) and await self.length() >= count

        await eventually(enough, f"{count} messages")
        return await self.ids()


@pytest.fixture
async def stream(nats_url):
    """The stream as a reader sees it."""
    client = await nats.connect(nats_url)
    yield StreamReader(client)
    await client.close()


@pytest.fixture
async def table(database):
    """The event table as a writer sees it."""
    connection = await asyncpg.connect(database.owner_url)
    yield EventTable(connection, database.owner_url)
    await connection.close()


@pytest.fixture
def settings(database, nats_url):
    """Settings of a relay, for a database and a stream of this test alone."""
    return RelaySettings(database_url=database.relay_url, nats_url=nats_url)


@pytest.fixture
def relay(settings):
    """A relay in this process, which runs for the length of a block."""

    @contextlib.asynccontextmanager
    async def run(**overrides):
        changed = RelaySettings(**{**settings.model_dump(), **overrides})
        supervision = Supervision(changed, holder=f"test:{uuid.uuid4()}", tracing=Tracing(service="test"))
        task = asyncio.create_task(supervision.run())
        try:
            yield supervision
        finally:
            supervision.stop()
            await asyncio.wait_for(task, DEADLINE)  # not cancelled: the end must be its own

    return run


@dataclasses.dataclass
class RelayProcess:
    """A relay in a process of its own."""

    process: asyncio.subprocess.Process
    port: int

    def send(self, number):
        """Send a signal."""
        self.process.send_signal(number)

    async def ended(self):
        """Wait for its end and return the exit status."""
        return await asyncio.wait_for(self.process.wait(), DEADLINE)


@pytest.fixture
async def relay_process(settings):
    """Starts relays in processes of their own; whatever is left of them is killed after the test."""
    started = []

    async def start(**extra):
        environment = {
            **os.environ,
            "TASKBELL_DATABASE_URL": settings.database_url.get_secret_value(),
            "TASKBELL_NATS_URL": settings.nats_url.get_secret_value(),
            **{f"TASKBELL_{name}": value for name, value in extra.items()},
        }
        with socket.create_server(("127.0.0.1", 0)) as listening:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "taskbell.relay", "--fd", str(listening.fileno())),
                env=environment,
                pass_fds=[listening.fileno()],
            )
            started.append(process)
            return RelayProcess(process, listening.getsockname()[1])

    yield start
    for process in started:
        if process.returncode is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
            await process.wait()
