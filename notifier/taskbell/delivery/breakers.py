"""Decides which channels are left alone, because their provider is down or asked for a pause. Pure.

A channel is *closed* (it is used), *open* (nothing is sent by it until its pause ends), or *half-open* (after the pause
one attempt at a time tries it). An outcome that asks for a pause opens it; any other one closes it after the pause.
"""

from __future__ import annotations

from dataclasses import dataclass

from taskbell.delivery.policy import Outcome


@dataclass(slots=True)
class _Pause:
    until: float
    trying: bool = False


class Breakers:
    """What is known of the channels of a worker. Times are monotonic seconds."""

    def __init__(self) -> None:
        """Begin with all channels closed."""
        self._pauses: dict[str, _Pause] = {}

    def most(self, channel: str, *, now: float) -> int | None:
        """Return how many attempts may begin: 0 while the channel is open, 1 to try it, None for no limit."""
        pause = self._pauses.get(channel)
        if pause is None:
            return None
        return 0 if now < pause.until or pause.trying else 1

    def is_paused(self, channel: str) -> bool:
        """Whether the channel is open or half-open."""
        return channel in self._pauses

    def begin(self, channel: str, *, now: float) -> None:
        """An attempt begins. One that was taken just before the pause began, and begins within it, tries nothing."""
        if (pause := self._pauses.get(channel)) is not None and now >= pause.until:
            pause.trying = True

    def end(self, channel: str, outcome: Outcome | None, *, now: float) -> None:
        """An attempt ended; without an outcome it was broken off."""
        pause = self._pauses.get(channel)
        if outcome is not None and outcome.provider_pause:
            until = now + outcome.provider_pause
            self._pauses[channel] = _Pause(until if pause is None else max(until, pause.until))
        elif pause is not None and now >= pause.until:
            pause.trying = False
            if outcome is not None:
                del self._pauses[channel]
