"""Decides for how long a provider that does not work is left alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

_AFTER: Final = 5
_FIRST: Final = 2.0
_LONGEST: Final = 60.0


class Breaker:
    """Opens after five failures in a row: a failure is no answer, or a status of 500 or more.

    Each pause is twice as long as the one before, from two seconds to a minute. After a pause the next failure opens it
    again; the next success closes it. Failures of attempts that began before a pause do not lengthen it.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the clock."""
        self._clock = clock
        self._failures = 0
        self._pause = 0.0
        self._until = 0.0

    def worked(self) -> None:
        """The provider answered."""
        self._failures = 0
        self._pause = 0.0

    def failed(self) -> float | None:
        """Count a failure. Returns the seconds for which to leave the provider alone, or None."""
        self._failures += 1
        if self._failures < _AFTER:
            return None
        now = self._clock()
        if now >= self._until:
            self._pause = min(max(2 * self._pause, _FIRST), _LONGEST)
            self._until = now + self._pause
        return self._until - now
