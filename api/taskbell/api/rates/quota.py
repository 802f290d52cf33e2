"""The quota of a user: a sliding window of a minute, counted in two fixed ones. Pure.

The requests of the minute before count by the part of it that the last 60 seconds still cover. Two numbers for each
user are enough for that, and it permits no burst of twice the quota at the border of two minutes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

WINDOW = 60
"""Seconds."""


class Counts:
    """What each user has used in this minute and in the one before. It forgets users after two minutes.

    Users are numbers (`UUID.int`), because the hash of a UUID costs more than all the rest.
    """

    def __init__(self, *, quota: int, clock: Callable[[], float] = time.time) -> None:
        """Start at zero. `clock` gives seconds since the epoch, so that all processes have the same windows."""
        self._quota = quota
        self._clock = clock
        self._now: dict[int, int] = {}
        self._before: dict[int, int] = {}
        self._ends = 0.0
        self._turn(clock())

    @property
    def window(self) -> int:
        """The number of the present window."""
        return int(self._ends) // WINDOW - 1

    def charge(self, user: int, weight: int) -> int:
        """Count a request, unless it is more than what is left; return what is left, negative if it was not counted."""
        now = self._clock()
        if now >= self._ends:
            self._turn(now)
        used = self._now.get(user, 0) + weight
        left = self._quota - used
        if user in self._before:
            left -= math.ceil(self._before[user] * (self._ends - now) / WINDOW)
        if left >= 0:
            self._now[user] = used
        return left

    def refund(self, user: int, weight: int) -> None:
        """Take back what was charged, unless its window is over."""
        if user in self._now:
            self._now[user] = max(0, self._now[user] - weight)

    def learn(self, user: int, *, window: int, used: int) -> int:
        """Take over what all processes have counted in a window; return what is left of the present one."""
        if window == self.window and used > self._now.get(user, 0):
            self._now[user] = used
        return self.charge(user, 0)

    def reset(self) -> int:
        """Seconds until the window ends."""
        return max(1, math.ceil(self._ends - self._clock()))

    def wait(self, user: int, weight: int) -> int:
        """Seconds until a request would be counted, if there is no other meanwhile. It weighs no more than the quota.

        In the present window only what the minute before weighs decreases; in the next one, what this one weighs.
        """
        room, left = self._quota - weight, self._ends - self._clock()
        used, before = self._now.get(user, 0), self._before.get(user, 0)
        wait = left - WINDOW * (room - used) / before if used <= room and before else left
        if used > room:
            wait += WINDOW * (1 - room / used)
        return max(1, math.ceil(wait))

    def _turn(self, now: float) -> None:
        window = int(now) // WINDOW
        self._before = self._now if window == self.window + 1 else {}
        self._now = {}
        self._ends = float((window + 1) * WINDOW)
