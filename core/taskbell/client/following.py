"""Following events over any number of connections."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass

from websockets.exceptions import WebSocketException

from taskbell.client.connection import Connection, Frame
from taskbell.contract.frames import ServerFrame

_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 10.0


@dataclass(frozen=True, slots=True)
class Ended:
    """A connection has ended, or could not be made.

    Attributes:
        reason: Why, in a few words.
        code: The close code; None if there was no connection.
        pause: Seconds until the next attempt.
    """

    reason: str
    code: int | None
    pause: float


async def follow(
    connect: Callable[[str | None], Awaitable[Connection]],
    *,
    cursor: str | None = None,
    longest_pause: float = _LONGEST_PAUSE,
) -> AsyncGenerator[Frame | Ended, None]:
    """Yield the frames of one connection after another, and an `Ended` between two; never returns.

    Pauses double up to `longest_pause` seconds with full jitter. A `welcome` makes them short again, and a `goaway`
    sets the next one.

    Args:
        connect: Opens a connection at a cursor and says hello. An `OSError`, a `TimeoutError` or an error of
            `websockets` means "try again"; any other error ends the loop.
        cursor: Where to begin; None for now.
        longest_pause: The upper limit of a pause.
    """
    limit = _FIRST_PAUSE
    while True:
        code, pause = None, 0.0
        try:
            async with await connect(cursor) as connection:
                async for frame in connection:
                    if frame.kind == ServerFrame.WELCOME:
                        limit = _FIRST_PAUSE
                    elif frame.kind == ServerFrame.GOAWAY:
                        pause = frame.fields["retry_after_ms"] / 1000
                    yield frame
                cursor = connection.cursor
            code = connection.close_code
            reason = f"closed ({code}) {connection.close_reason}".rstrip()
        except (OSError, TimeoutError, WebSocketException) as away:
            reason = f"not reached: {type(away).__name__}"
        limit = min(limit, longest_pause)
        pause = pause or random.uniform(0, limit)  # noqa: S311 -- jitter, not a secret
        limit *= 2
        yield Ended(reason, code, pause)
        await asyncio.sleep(pause)
