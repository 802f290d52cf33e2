"""Attacks on the event path and the gateway."""

from __future__ import annotations

import asyncio

from websockets.exceptions import WebSocketException

from attack.hostile.villain import Villain
from taskbell.client.connection import Connection
from taskbell.contract.frames import ServerFrame

_RESUMES = 8
_SOCKETS = 200
_PAUSE_SECONDS = 3


async def fat_changes(villain: Villain) -> None:
    """Changes a description of 20,000 characters again and again, and replays all of it on eight connections."""
    await villain.join()
    task = await villain.insist("POST", "/v1/tasks", json={"title": "Fat"})
    page = await villain.insist("GET", "/v1/events?after=latest")
    first = page["meta"]["next_cursor"]

    async def change() -> None:
        number = 0
        while True:
            number += 1
            description = chr(0x1F600 + number % 50) * 20_000
            await villain.ask("PATCH", f"/v1/tasks/{task['id']}", json={"description": description})
            await asyncio.sleep(0.1)

    async def replay() -> None:
        while True:
            await _listen(villain, cursor=first, seconds=5)

    async with asyncio.TaskGroup() as group:
        group.create_task(change())
        for _ in range(_RESUMES):
            group.create_task(replay())


async def frame_floods(villain: Villain) -> None:
    """Floods the gateway with frames."""
    await villain.join()
    while True:
        try:
            async with await Connection.open(
                villain.target.gateway_url, bearer=villain.token, proxy=None
            ) as connection:
                await connection.hello()
                for _ in range(2000):
                    await connection.send({"t": "subscribe", "channel": "workspace:none", "id": 1})
            villain.outcomes["sent all"] += 1
        except (OSError, TimeoutError, WebSocketException) as ended:
            villain.outcomes[type(ended).__name__] += 1
        await asyncio.sleep(0.5)


async def idle_sockets(villain: Villain) -> None:
    """Opens 200 WebSockets with one account and reads nothing."""
    await villain.join()

    async def hold() -> None:
        while True:
            await _listen(villain, cursor=None, seconds=30)

    async with asyncio.TaskGroup() as group:
        for _ in range(_SOCKETS):
            group.create_task(hold())


async def _listen(villain: Villain, *, cursor: str | None, seconds: float) -> None:
    """Connect, count the welcomes for a while, and pause."""
    try:
        connection = await Connection.open(
            villain.target.gateway_url, bearer=villain.token, cursor=cursor, proxy=None, open_timeout=20
        )
        async with connection, asyncio.timeout(seconds):
            await connection.hello()
            async for frame in connection:
                if frame.kind == ServerFrame.WELCOME:
                    villain.outcomes[f"resume {frame.fields['resume']}"] += 1
        villain.outcomes[f"closed {connection.close_code}"] += 1
    except (OSError, TimeoutError, WebSocketException) as ended:
        villain.outcomes[type(ended).__name__] += 1
    await asyncio.sleep(_PAUSE_SECONDS)
