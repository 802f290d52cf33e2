"""Everything at once: overlapping writers, two relays killed and frozen at random, NATS killed under them."""

import asyncio
import json
import random
import signal
import time
import uuid

import nats
import pytest
from nats.errors import Error as NatsError

from taskbell.contract.subjects import METADATA_EPOCH, STREAM
from taskbell.local.embedded.nats import NatsServer
from taskbell.testing.waiting import eventually

SECONDS = 6.0
TASKS = 5
WRITERS = 6


async def write(table, seed, done):
    """Change tasks in transactions of many lengths, some rolled back, until told to stop."""
    chance = random.Random(seed)
    async with table.session() as session:
        while not done.is_set():
            task = chance.randrange(TASKS)
            transaction = session.transaction()
            await transaction.start()
            for _ in range(chance.choice((1, 1, 1, 1, 30))):
                version = await session.fetchval(
                    "UPDATE counters SET version = version + 1 WHERE id = $1 RETURNING version", task
                )
                await table.write(session, subject=uuid.UUID(int=task), version=version)
            await asyncio.sleep(chance.choice((0, 0, 0.002, 0.05)))
            await (transaction.rollback() if chance.random() < 0.1 else transaction.commit())


async def read(server):
    """Epoch, ids, and the versions of each task, in the order of the stream."""
    client = await nats.connect(server.url("a"), allow_reconnect=False)
    try:
        context = client.jetstream()
        info = await context.stream_info(STREAM)
        ids, versions = [], {task: [] for task in range(TASKS)}
        for sequence in range(1, info.state.last_seq + 1):
            message = await context.get_msg(STREAM, seq=sequence)
            data = json.loads(message.data)["data"]
            ids.append(message.headers["Nats-Msg-Id"])
            versions[uuid.UUID(data["id"]).int].append(data["version"])
    finally:
        await client.close()  # one that is left reconnects forever once the server is gone
    return info.config.metadata[METADATA_EPOCH], ids, versions


@pytest.fixture
async def server(tmp_path):
    """A NATS server that `restart` kills and starts again with its data."""
    server = NatsServer(tmp_path / "nats", accounts={"a": "secret"})
    server.prepare()
    quiet = {"stdout": asyncio.subprocess.DEVNULL, "stderr": asyncio.subprocess.DEVNULL}
    running = await asyncio.create_subprocess_exec(*server.command(), **quiet)

    async def restart():
        nonlocal running
        running.kill()
        await running.wait()
        running = await asyncio.create_subprocess_exec(*server.command(), **quiet)

    server.restart = restart
    yield server
    running.kill()
    await running.wait()


@pytest.mark.parametrize("seed", [20261120])
async def test_no_disorder_loses_repeats_or_reorders(server, table, relay_process, seed):
    """Afterwards the stream holds each committed event once and each task's versions ascending, in one epoch."""
    chance = random.Random(seed)
    await table.connection.execute("CREATE TABLE counters (id int PRIMARY KEY, version int NOT NULL)")
    await table.connection.execute("INSERT INTO counters SELECT n, 0 FROM generate_series(0, $1::int) n", TASKS)
    options = {"NATS_URL": server.url("a"), "RELAY_BATCH_SIZE": "20", "LOG_LEVEL": "ERROR"}
    relays = [await relay_process(**options) for _ in range(2)]
    done = asyncio.Event()
    writers = [asyncio.create_task(write(table, number, done)) for number in range(WRITERS)]
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        await asyncio.sleep(chance.uniform(0.1, 1.0))
        one = chance.randrange(2)
        match chance.choice(("kill", "stop", "freeze", "nats")):
            case "nats":
                await server.restart()
            case "freeze":
                relays[one].send(signal.SIGSTOP)
                await asyncio.sleep(chance.uniform(0.2, 2.0))
                relays[one].send(signal.SIGCONT)
            case what:
                relays[one].send(signal.SIGKILL if what == "kill" else signal.SIGTERM)
                await relays[one].ended()
                relays[one] = await relay_process(**options)
    done.set()
    await asyncio.gather(*writers)
    committed = {row["id"] for row in await table.connection.fetch("SELECT id::text FROM events")}

    async def all_there():
        try:
            return len((await read(server))[1]) >= len(committed)
        except (OSError, NatsError):
            return False

    await eventually(server.accepts_connections)
    await eventually(all_there, within=60)
    epoch, ids, versions = await read(server)
    assert epoch == "1"
    assert len(ids) == len(committed)
    assert set(ids) == committed
    for task in range(TASKS):
        assert versions[task] == list(range(1, len(versions[task]) + 1))
