"""The API's memory stays below the chart's limit, whatever its clients ask for, send and leave unread."""

import asyncio
import contextlib
import os
import sys

import asyncpg
import httpx
import pytest

from taskbell.kit.entry import listen
from taskbell.kit.ids import new_id
from taskbell.testing.waiting import eventually

pytestmark = pytest.mark.timeout(600)

_USERS = 20
_UNREAD = 200
_UNFINISHED = 200
_HEADS = 1_000
_PAGES = 10


@pytest.fixture
async def process(settings, tmp_path):
    """An API in a process of its own, with its address."""
    with listen(host="127.0.0.1", port=0) as listening:
        environment = {
            "TASKBELL_DATABASE_URL": settings.database_url.get_secret_value(),
            "TASKBELL_NATS_URL": settings.nats_url.get_secret_value(),
            "TASKBELL_SIGNING_KEYS": settings.signing_keys.get_secret_value(),
            "TASKBELL_LOG_LEVEL": "ERROR",
            "TASKBELL_RATE_LIMIT_PER_MINUTE": "1000000",
            "TASKBELL_REGISTRATIONS_ALLOWED": "1000",
            # A busy machine sends slowly: what is held is held until the end.
            "TASKBELL_REQUEST_HEAD_TIMEOUT": "PT10M",
            "TASKBELL_REQUEST_TIMEOUT": "PT10M",
            "TASKBELL_RESPONSE_TIMEOUT": "PT10M",
            "TASKBELL_DATABASE_ACQUIRE_TIMEOUT": "PT10M",
        }
        started = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "taskbell.api", "--fd", str(listening.fileno())),
            env={**os.environ, **environment},
            pass_fds=[listening.fileno()],
        )
        port = listening.getsockname()[1]
    yield started, port
    if started.returncode is None:
        started.kill()
    await started.wait()


async def _users(client):
    """Users that are signed in: the headers of each, and the first one's workspace."""
    found, workspace = [], None
    for number in range(_USERS):
        person = {"email": f"u{number}@example.com", "password": "correct horse battery", "name": "U"}
        made = (await client.post("/v1/auth/register", json=person)).raise_for_status().json()
        workspace = workspace or made["user"]["personal_workspace_id"]
        found.append((made["user"]["id"], {"Authorization": f"Bearer {made['access_token']}"}))
    return found, workspace


async def _fill(database, users, workspace):
    """1,000 tasks of 20,000 control characters, 120 kB each as JSON, in a workspace that all are members of."""
    connection = await asyncpg.connect(database.superuser_url)
    try:
        await connection.executemany(
            "INSERT INTO memberships (workspace_id, user_id, role) VALUES ($1, $2, 'member') ON CONFLICT DO NOTHING",
            [(workspace, user) for user, _ in users],
        )
        await connection.execute(
            "INSERT INTO tasks (workspace_id, created_by, title, description)"
            " SELECT $1, $2, 'Fat', repeat(chr(1), 20000) FROM generate_series(1, 1000)",
            workspace,
            users[0][0],
        )
    finally:
        await connection.close()


async def _half(port, data, held):
    """Send what begins a request, and hold the connection without reading; a refused one is not held."""
    with contextlib.suppress(OSError):
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=4096)
        held.append(writer)
        writer.transport.pause_reading()
        writer.write(data)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(writer.drain(), 0.2)


async def test_the_worst_that_clients_may_ask_for_fits_its_memory(process, database, stream, memory_of):
    """20 readers at once of 120 MB, 1,400 connections that hold heads, bodies and answers, and a full change feed."""
    started, port = process
    memory = memory_of("api")
    memory.limit(started.pid)
    held = []
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=300) as client:

        async def ready():
            with contextlib.suppress(httpx.TransportError):
                return (await client.get("/livez")).status_code == httpx.codes.OK

        await eventually(ready, "the API serves")
        users, workspace = await _users(client)
        await _fill(database, users, workspace)
        for number in range(130):  # more than it keeps for the change feed
            await stream.publish(new_id(), number=number, pad="x" * 150_000)
        path = f"/v1/tasks?workspace_id={workspace}&limit=1000"

        def head(number, line, more=""):
            token = users[number % _USERS][1]["Authorization"]
            return f"{line} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n{more}".encode()

        async def read(headers):
            cursor = ""
            for _ in range(_PAGES):
                answer = await client.get(path + cursor, headers=headers)
                assert answer.status_code == httpx.codes.OK, answer.text
                cursor = f"&cursor={answer.json()['meta']['next_cursor']}"

        try:
            for number in range(_HEADS):
                await _half(port, head(number, f"GET {path}", "X: " + "x" * 60_000), held)
            for number in range(_UNFINISHED):
                length = "Content-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
                await _half(port, head(number, "POST /v1/tasks", length) + b"x" * 999_000, held)
            for number in range(_UNREAD):
                await _half(port, head(number, f"GET {path}", "\r\n"), held)
            await asyncio.gather(*[read(headers) for _, headers in users])
            made = await client.post("/v1/tasks", json={"title": "Mine"}, headers=users[0][1])
            assert made.status_code == httpx.codes.CREATED, made.text
        finally:
            for writer in held:
                writer.transport.abort()
    assert started.returncode is None
    assert memory.peak(started.pid) < memory.bytes
