"""Asks a program whether it is ready."""

from __future__ import annotations

import asyncio


async def http_status(port: int, path: str = "/readyz", *, deadline: float = 3.0) -> int | None:
    """Return the status of a GET to 127.0.0.1, or None without an answer within `deadline` seconds."""
    try:
        async with asyncio.timeout(deadline):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
                words = (await reader.readline()).split()
            finally:
                writer.close()
    except OSError:  # a TimeoutError is one too
        return None
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else None


async def answers_ready(port: int) -> bool:
    """Tell whether `/readyz` on a port of 127.0.0.1 answers 200."""
    return await http_status(port) == 200
