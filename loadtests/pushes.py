"""Measures how many pushes a second one delivery worker sends, next to a bare HTTP/2 client: `pushes` of `make bench`.

The push simulator is a process of its own, and checks each request as Firebase would. The floor sends such messages
to it by httpx with as many in flight, and does nothing else.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import orjson

from figures import Figure
from push_simulator import Simulated, push_simulator
from queries import query

_DEVICES = 1_000
_CONCURRENCY = 200
"""In flight on both sides: the default of TASKBELL_PUSH_CONCURRENCY."""
_WARM = 1_000
_WITHIN = 300.0


@contextmanager
def _halted(pid: int) -> Iterator[None]:
    """Halt the platform's own worker, which would take some of the deliveries."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def _worker(sim: Simulated, run: dict[str, Any]) -> Iterator[None]:
    """Run a delivery worker with the providers of the simulator."""
    environment = {
        **os.environ,
        **sim.settings,
        "TASKBELL_DATABASE_URL": run["owner_database_url"],
        "TASKBELL_NATS_URL": run["nats_url"],
        "TASKBELL_PUSH_CONCURRENCY": str(_CONCURRENCY),
        "TASKBELL_LOG_LEVEL": "WARNING",
    }
    process = subprocess.Popen([sys.executable, "-m", "taskbell.delivery", "--port", "0"], env=environment)
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


async def measure_pushes(*, run: dict[str, Any], me: dict[str, Any], folder: Path, count: int, rounds: int) -> Figure:
    """Measure the worker and the floor in turns; the ratio is that of the best turn of each."""
    ours: list[float] = []
    floors: list[float] = []
    with push_simulator(folder / "pushsim") as sim:
        async with sim.client() as client, _ledger(run) as ledger:
            devices = (await client.post("/control/devices", json={"provider": "fcm", "count": _DEVICES})).json()
            addresses = [device["address"] for device in devices["devices"]]
            with _halted(run["components"]["delivery"]["pid"]), _worker(sim, run):
                for turn in range(rounds + 1):
                    size = count if turn else _WARM  # the first turn warms both up
                    await ledger.execute(query("forget_devices"))
                    await ledger.execute(
                        query("fill_pushes"), UUID(me["id"]), UUID(me["personal_workspace_id"]), addresses, size
                    )
                    pace = await _let_go(client, ledger, size)
                    floor = await _floor(client, sim, addresses, size)
                    if turn:
                        ours.append(pace)
                        floors.append(floor)
    return Figure(
        name="pushes",
        ours=round(max(ours)),
        floor=round(max(floors)),
        ratio=round(max(mine / theirs for mine, theirs in zip(ours, floors, strict=True)), 2),
        unit="1/s",
    )


@asynccontextmanager
async def _ledger(run: dict[str, Any]) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(run["owner_database_url"])
    try:
        yield connection
    finally:
        await connection.close()


async def _let_go(client: httpx.AsyncClient, ledger: asyncpg.Connection, count: int) -> float:
    """Let deliveries be due; return how many a second were recorded as delivered, once each."""
    accepted = await _accepted(client)
    before = await ledger.fetchval(query("count_pushes"))
    await ledger.execute(query("let_pushes_go"))
    started = time.perf_counter()
    async with asyncio.timeout(_WITHIN):
        while await _accepted(client) < accepted + count:  # noqa: ASYNC110 -- it asks
            await asyncio.sleep(0.05)
        while await ledger.fetchval(query("count_pushes")) < before + count:  # noqa: ASYNC110 -- the same
            await asyncio.sleep(0.02)
    took = time.perf_counter() - started
    if await _accepted(client) != accepted + count:
        raise SystemExit("bench: a push was sent twice")
    return count / took


async def _accepted(client: httpx.AsyncClient) -> int:
    return int((await client.get("/control")).json()["accepted"].get("fcm", 0))


async def _floor(client: httpx.AsyncClient, sim: Simulated, addresses: list[str], count: int) -> float:
    """Send messages with nothing else around; return how many a second were accepted."""
    headers = {"authorization": await sim.bearer(client), "content-type": "application/json"}
    bodies = [orjson.dumps(_message(address)) for address in addresses]
    numbers = iter(range(count))

    async def send() -> None:
        for number in numbers:
            answer = await client.post(sim.path, content=bodies[number % len(bodies)], headers=headers)
            if answer.status_code != httpx.codes.OK:
                raise SystemExit(f"bench: the simulator answered {answer.status_code}: {answer.text[:300]}")

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(_CONCURRENCY):
            group.create_task(send())
    return count / (time.perf_counter() - started)


def _message(address: str) -> dict[str, Any]:
    """A message like those of the worker."""
    key = str(uuid4())
    title, body = "Ann assigned you: Water the plants", "Due tomorrow"
    return {
        "message": {
            "token": address,
            "data": {"type": "notification.created", "notification_id": key, "kind": "assigned", "urgent": "false"},
            "notification": {"title": title, "body": body},
            "android": {"collapse_key": key, "priority": "HIGH", "ttl": "86400s", "notification": {"tag": key}},
        }
    }
