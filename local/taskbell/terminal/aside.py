"""Work that blocks, in a thread next to an event loop, for a command that Ctrl-C ends at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import TypeVar

_Found = TypeVar("_Found")


async def aside(work: Callable[[], _Found]) -> _Found:
    """Run work in a thread and return what it returns, or raise what it raises.

    Unlike with `asyncio.to_thread`, neither the loop nor the process waits for the thread when it is no longer wanted.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_Found] = loop.create_future()

    def settle(found: _Found | None, error: Exception | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(found)  # type: ignore[arg-type]  # without an error it is what work returned

    def run() -> None:
        found, error = None, None
        try:
            found = work()
        except Exception as raised:  # noqa: BLE001 -- who awaits it gets it
            error = raised
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle, found, error)

    Thread(target=run, daemon=True).start()
    return await done
