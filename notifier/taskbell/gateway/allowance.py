"""How many frames a client may send: a token bucket."""

from __future__ import annotations

FRAMES_PER_SECOND = 20.0
"""Client frames allowed per second on average."""
FRAMES_AT_ONCE = 100.0
"""Client frames allowed in a burst."""


class Allowance:
    """The frames that one client may still send."""

    __slots__ = ("_counted", "_left")

    def __init__(self, now: float) -> None:
        """Begin full."""
        self._left = FRAMES_AT_ONCE
        self._counted = now

    def admits(self, now: float) -> bool:
        """Count a frame; return False if it is one too many."""
        self._left = min(FRAMES_AT_ONCE, self._left + (now - self._counted) * FRAMES_PER_SECOND) - 1
        self._counted = now
        return self._left >= 0
