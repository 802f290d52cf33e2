"""Wait for what sends no notice: ask again and again, up to a deadline that only a failure reaches."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

DEADLINE = 60.0
"""Seconds; far more than any wait needs, so that a slow machine fails no test."""

_PAUSE = 0.02


class NotInTime(AssertionError):
    """What a test waited for did not happen before its deadline."""


async def eventually(
    condition: Callable[[], T | Awaitable[T]],
    what: str = "the condition",
    *,
    within: float = DEADLINE,
    wanted: Callable[[T], object] = bool,
) -> T:
    """Ask until the answer is wanted; return it. `condition` is a function or a coroutine function.

    Raises:
        NotInTime: No answer is wanted within this many seconds.
    """
    deadline = time.monotonic() + within
    while True:
        answer = condition()
        found: T = await answer if inspect.isawaitable(answer) else answer
        if wanted(found):
            return found
        _check(deadline, what, within, found)
        await asyncio.sleep(_PAUSE)


def until(
    condition: Callable[[], T],
    what: str = "the condition",
    *,
    within: float = DEADLINE,
    wanted: Callable[[T], object] = bool,
) -> T:
    """Do the same as `eventually`, without an event loop.

    Raises:
        NotInTime: No answer is wanted within this many seconds.
    """
    deadline = time.monotonic() + within
    while not wanted(found := condition()):
        _check(deadline, what, within, found)
        time.sleep(_PAUSE)
    return found


def _check(deadline: float, what: str, within: float, answer: object) -> None:
    if time.monotonic() > deadline:
        raise NotInTime(f"{what}: not within {within:g} s, the last answer was {answer!r}")
