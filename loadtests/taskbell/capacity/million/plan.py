"""What a run of a million does: which task belongs to whom, what its title says, when its reminders fire. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

REMINDED_SHARE: Final = 10
"""One task of so many has reminders."""
KILLS: Final[Mapping[str, float]] = {"relay": 1 / 3, "gateway": 2 / 3}
"""What is killed once, and at which share of the creations."""
LEAD_SECONDS: Final = 5
"""The only lead of the run's platform: each reminded task has a reminder so long before its due time, and one at it."""
_STORM_SLACK: Final = 1.3
_STORM_AHEAD: Final = LEAD_SECONDS + 5.0
_WAVE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run.

    Attributes:
        run: The prefix of the titles of all its tasks.
        tasks: How many there shall be; task number n has the title `<run>-<n>`.
        teams: Workspaces of two people; task n belongs to team n modulo `teams`: the owner creates it for the mate.
        connections: Requests under way at a time.
    """

    run: str
    tasks: int
    teams: int = 20
    connections: int = 24

    @property
    def first_reminded(self) -> int:
        """Tasks from this number on have reminders. They are made last, when the time that they take is known."""
        return self.tasks - self.tasks // REMINDED_SHARE

    @property
    def reminded(self) -> int:
        """How many tasks have reminders."""
        return self.tasks - self.first_reminded

    def team_of(self, number: int) -> int:
        """The team of a task."""
        return number % self.teams

    def title(self, number: int) -> str:
        """The title of a task."""
        return f"{self.run}-{number}"

    def number_of(self, title: str) -> int | None:
        """The task with a title; None for a title that is not of this run."""
        run, _, digits = title.rpartition("-")
        if run != self.run or not (digits.isascii() and digits.isdigit()) or str(int(digits)) != digits:
            return None
        number = int(digits)
        return number if number < self.tasks else None


def storm_at(now: float, *, left: int, per_second: float) -> float:
    """When all reminders fire together: after the last creation, at a full second (Unix time).

    The tasks with reminders are made last. All of them get one due time, which lies behind their own creation, so that
    the sweeps find all of them due at one moment and no request waits for it.
    """
    return math.ceil(now + _STORM_AHEAD + _STORM_SLACK * left / max(per_second, 1.0))


def due_at(now: float, *, storm: float) -> float:
    """The due time of a task with reminders that is made now: the storm, or one of the waves after it."""
    if now + _WAVE_SECONDS / 2 < storm:
        return storm
    return math.ceil((now + _WAVE_SECONDS / 2) / _WAVE_SECONDS) * _WAVE_SECONDS
