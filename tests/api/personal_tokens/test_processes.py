"""Several API processes: what one of them ends, all refuse within a second."""

import asyncio
import contextlib
import os
import sys
import time

import httpx
import pytest

from joining import join
from taskbell.api.personal_tokens.verifier import REMEMBERED_SECONDS
from taskbell.kit.entry import listen
from taskbell.testing.waiting import eventually

pytestmark = pytest.mark.timeout(300)


@contextlib.asynccontextmanager
async def _process(settings):
    """An API in a process of its own; yields a client of it that is answered."""
    environment = {
        "TASKBELL_DATABASE_URL": settings.database_url.get_secret_value(),
        "TASKBELL_NATS_URL": settings.nats_url.get_secret_value(),
        "TASKBELL_SIGNING_KEYS": settings.signing_keys.get_secret_value(),
        "TASKBELL_LOG_LEVEL": "ERROR",
        "TASKBELL_RATE_LIMIT_PER_MINUTE": "1000000",
    }
    with listen(host="127.0.0.1", port=0) as listening:
        started = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "taskbell.api", "--fd", str(listening.fileno())),
            env={**os.environ, **environment},
            pass_fds=[listening.fileno()],
        )
        port = listening.getsockname()[1]
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:

            async def alive():
                with contextlib.suppress(httpx.TransportError):
                    return (await client.get("/livez")).status_code == 200

            await eventually(alive, "the API")
            yield client
    finally:
        started.terminate()
        await started.wait()


@pytest.fixture
async def processes(settings):
    """Two API processes on one database."""
    async with _process(settings) as first, _process(settings) as second:
        yield first, second


async def _last_accepted(client, path, headers, *, refusal):
    """Ask without a pause until the refusal comes, and for two seconds more; return when the last accepted was sent."""
    accepted, over = 0.0, None
    while over is None or time.monotonic() < over:
        sent = time.monotonic()
        answer = await client.get(path, headers=headers)
        if answer.status_code == 200:
            accepted = sent
        else:
            assert answer.status_code == refusal, answer.text
            over = over or time.monotonic() + 2 * REMEMBERED_SECONDS
    return accepted


async def _signed_up(client, email):
    body = {"email": email, "password": "correct horse battery staple", "name": "Somebody"}
    return (await client.post("/v1/auth/register", json=body)).raise_for_status().json()


@pytest.mark.feature("P26")
async def test_a_deleted_token_is_refused_by_every_process_within_a_second(processes):
    """Both processes have just accepted the token when one deletes it; a second later neither does, nor ever again."""
    first, _ = processes
    ann = await _signed_up(first, "ann@example.com")
    session = {"Authorization": f"Bearer {ann['access_token']}"}
    body = {"name": "Program", "scopes": ["tasks:read"]}
    token = (await first.post("/v1/tokens", json=body, headers=session)).raise_for_status().json()
    headers = {"Authorization": f"Bearer {token['token']}"}
    for process in processes:
        assert (await process.get("/v1/tasks", headers=headers)).status_code == 200
    asking = [asyncio.create_task(_last_accepted(process, "/v1/tasks", headers, refusal=401)) for process in processes]
    (await first.delete(f"/v1/tokens/{token['id']}", headers=session)).raise_for_status()
    deleted = time.monotonic()
    for accepted in await asyncio.gather(*asking):
        assert accepted < deleted + REMEMBERED_SECONDS


class _Person:
    """Somebody who joins, as `join` wants them."""

    def __init__(self, email, found):
        self.email = email
        self.headers = {"Authorization": f"Bearer {found['access_token']}"}


@pytest.mark.feature("P26", "F5")
async def test_a_removed_member_is_refused_by_every_process_within_a_second(processes):
    """Neither a session nor a token of who was removed from a workspace reads it at any process a second later."""
    first, second = processes
    found = await _signed_up(first, "ann@example.com")
    workspace = found["user"]["personal_workspace_id"]
    guest = await _signed_up(second, "bob@example.com")
    ann, bob = _Person("ann@example.com", found), _Person("bob@example.com", guest)
    await join(first, ann, bob, workspace_id=workspace)
    body = {"name": "Program", "scopes": ["tasks:read"]}
    token = (await second.post("/v1/tokens", json=body, headers=bob.headers)).raise_for_status().json()
    ways = [bob.headers, {"Authorization": f"Bearer {token['token']}"}]
    path = f"/v1/tasks?workspace_id={workspace}"
    asking = [
        asyncio.create_task(_last_accepted(process, path, headers, refusal=404))
        for process in processes
        for headers in ways
    ]
    await asyncio.sleep(0)
    removed = await first.delete(f"/v1/workspaces/{workspace}/members/{guest['user']['id']}", headers=ann.headers)
    removed.raise_for_status()
    ended = time.monotonic()
    for accepted in await asyncio.gather(*asking):
        assert accepted < ended + REMEMBERED_SECONDS


async def test_a_head_of_ten_megabytes_is_refused(processes):
    """A process does not hold such a token: it answers 431, and goes on serving."""
    first, _ = processes
    port = first.base_url.port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /v1/tasks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer tbp_")
    with contextlib.suppress(ConnectionError):
        for _ in range(160):
            writer.write(b"0" * 65_536)
            await writer.drain()
        writer.write(b"\r\n\r\n")
        await writer.drain()
    with contextlib.suppress(ConnectionError):
        assert (await reader.readline()).split()[1] == b"431"
    writer.close()
    assert (await first.get("/livez")).status_code == 200
