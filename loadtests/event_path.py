"""Measures the path of an event from commit to frame: latency, the relay's pace, the gateway's cost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import nats
import psutil

from figures import Figure
from http_client import paced, request
from queries import query
from taskbell.client.connection import Connection
from taskbell.contract.frames import ServerFrame
from taskbell.contract.subjects import STREAM

_LISTENERS = 20
_STEADY = 250
"""Events a second while costs are measured; few enough that none waits."""
_REST = 120.0
_RESTING = 0.02
"""A process that uses less than this much processor time (s) in half a second is idle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPath:
    """A running platform: `run` is its `run.json`, `ours` the address of its API, `token` a user's access token."""

    run: dict[str, Any]
    ours: tuple[str, int]
    token: str

    async def settle(self) -> None:
        """Wait until the relay has published every committed event."""
        connection = await asyncpg.connect(self.run["owner_database_url"])
        async with asyncio.timeout(_REST):
            while await connection.fetchval(query("relay_is_behind")):  # noqa: ASYNC110 -- it asks
                await asyncio.sleep(0.2)
        await connection.close()

    async def latency(self, *, rate: int, seconds: float) -> Figure:
        """Measure the time from the row to the frame at a steady rate of creations."""
        total, late = int(rate * seconds), list[float]()

        def note(frame: dict[str, Any]) -> None:
            late.append(time.time() - datetime.fromisoformat(frame["event"]["time"]).timestamp())

        async with asyncio.timeout(seconds * 4 + 30), self._listening(1, until=total, note=note):
            await self._create(rate=rate, total=total)
        p50, p99 = (round(sorted(late)[int(total * share)] * 1000, 2) for share in (0.5, 0.99))
        return Figure(name=f"event at {rate}/s", ours=p99, unit="ms p99", p50_ms=p50, p99_ms=p99)

    async def backlog(self, *, seconds: float) -> list[Figure]:
        """Measure the relay's pace when one transaction commits many events, and the cost of each for the gateway.

        No client of the gateway wants these events.
        """
        count = int(10_000 * seconds)
        connection = await asyncpg.connect(self.run["owner_database_url"])
        client = await nats.connect(self.run["nats_url"])
        stream, idle = client.jetstream(), await self._gateway_time()
        before = (await stream.stream_info(STREAM)).state.last_seq
        inserted = await connection.execute(query("backlog"), count)
        count = int(inserted.rpartition(" ")[2])  # at most one for each task
        started = time.perf_counter()
        async with asyncio.timeout(_REST):
            while (await stream.stream_info(STREAM)).state.last_seq < before + count:  # noqa: ASYNC110 -- it asks
                await asyncio.sleep(0.05)
        took = time.perf_counter() - started
        await connection.close()
        await client.close()
        busy = await self._gateway_time() - idle
        return [
            Figure(name="relay: backlog", ours=round(count / took), unit="1/s"),
            Figure(name="gateway: event", ours=round(busy / count * 1e6, 1), unit="µs CPU"),
        ]

    async def frame_cost(self, *, seconds: float) -> Figure:
        """Measure the gateway's processor time for a frame: the extra cost when many clients want the same events."""
        total, spent = int(_STEADY * seconds), list[float]()
        for listeners in (0, _LISTENERS):
            before = await self._gateway_time()
            async with self._listening(listeners, until=total):
                await self._create(rate=_STEADY, total=total)
            await self.settle()
            spent.append(await self._gateway_time() - before)
        frames = total * _LISTENERS
        return Figure(name="gateway: frame", ours=round((spent[1] - spent[0]) / frames * 1e6, 1), unit="µs CPU")

    async def _gateway_time(self) -> float:
        """Return the gateway's processor time in seconds, once it is idle."""
        gateway, known = psutil.Process(self.run["components"]["gateway"]["pid"]), -1.0
        while True:
            times = gateway.cpu_times()
            now = float(times.user + times.system)
            if now - known < _RESTING:
                return now
            known = now
            await asyncio.sleep(0.5)

    @asynccontextmanager
    async def _listening(
        self, listeners: int, *, until: int, note: Callable[[dict[str, Any]], None] = lambda _: None
    ) -> AsyncIterator[None]:
        """Listen until each listener has received `until` events; `note` sees each event frame."""
        connections = [await self._welcomed() for _ in range(listeners)]

        async def follow(connection: Connection) -> None:
            left = until
            async for frame in connection:
                if frame.kind == ServerFrame.EVENT:
                    note(frame.fields)
                    left -= 1
                    if not left:
                        break
            await connection.close()

        async with asyncio.TaskGroup() as group:
            for connection in connections:
                group.create_task(follow(connection))
            yield

    async def _welcomed(self) -> Connection:
        connection = await Connection.open(f"{self.run['gateway_url']}/ws", max_queue=None, proxy=None)
        await connection.hello(token=self.token, coalesce=False)
        await anext(aiter(connection))
        return connection

    async def _create(self, *, rate: int, total: int) -> None:
        """Create `total` tasks, `rate` a second, over eight connections."""
        raw = request("POST", "/v1/tasks", token=self.token, body=b'{"title":"Latency","priority":5}')
        host, port = self.ours
        await paced(
            host=host,
            port=port,
            make=lambda _: raw,
            rate=rate,
            seconds=total / rate,
            connections=8,
            status=201,
        )
