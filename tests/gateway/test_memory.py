"""A gateway's memory is bounded, whatever its users resume from and however little they read."""

import asyncio
import os
import resource
import sys

from taskbell.gateway.settings import GatewaySettings
from taskbell.kit.entry import listen
from taskbell.kit.ids import new_id
from taskbell.testing.listener import Listener
from taskbell.testing.waiting import eventually

_BOUND = 192 * 2**20
"""Bytes. The chart's limit is 1 GiB, of which 12,000 connections take about 600 MiB."""


async def test_resumes_of_large_events_fit_its_memory(people, stream, settings, tmp_path, memory_of):
    """One user's 20 resumes of 45 MB, none of which is read, leave another's live events alone."""
    workspace = new_id()
    user, other = await people.user(workspaces=[workspace]), await people.user()
    for number in range(300):
        await stream.publish(workspace, number=number, pad="x" * 150_000)
    wanted: GatewaySettings = settings()
    with listen(host="127.0.0.1", port=0) as listening:
        environment = {
            "TASKBELL_DATABASE_URL": wanted.database_url.get_secret_value(),
            "TASKBELL_NATS_URL": wanted.nats_url.get_secret_value(),
            "TASKBELL_JWKS_URL": str(wanted.jwks_url),
            "TASKBELL_LOG_LEVEL": "ERROR",
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "taskbell.gateway", "--fd", str(listening.fileno())),
            env={**os.environ, **environment},
            pass_fds=[listening.fileno()],
        )
        url = f"ws://127.0.0.1:{listening.getsockname()[1]}/ws"
    memory = memory_of("gateway")
    resource.prlimit(process.pid, resource.RLIMIT_DATA, (2 * _BOUND, 2 * _BOUND))
    honest = Listener(url, token=people.token(other))
    greedy = [
        Listener(url, token=people.token(user), channels=[f"workspace:{workspace}"], cursor="1-0") for _ in range(20)
    ]
    try:

        async def reached():
            try:
                return await honest.connect()
            except (OSError, AssertionError):
                return None

        await eventually(reached)
        for one in greedy:
            one.stop_reading()
            await one.open()
            await one.send({"t": "hello", "resume": "1-0", "channels": one.channels})
        for number in range(50):
            await stream.publish(new_id(), number=number, audience=[other])
            await honest.until_events(number + 1)
        assert process.returncode is None
        assert memory.peak(process.pid) < _BOUND
    finally:
        for one in [honest, *greedy]:
            await one.kill()
        process.kill()
        await process.wait()
