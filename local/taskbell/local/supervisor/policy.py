"""When to restart a component, and when to give up. Plain values, no I/O."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

from taskbell.local.supervisor.component import Component

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Life:
    """One run of a process, from its start to its end."""

    ready_for: float | None
    """Seconds between its becoming ready and its end; None if it never became ready."""
    status: int
    """Exit status; negative is the number of the signal that ended it."""

    @property
    def failed(self) -> bool:
        """Whether it never became ready, or ended within 3 s of that without a SIGKILL."""
        if self.ready_for is None:
            return True
        return self.ready_for < 3.0 and self.status != -signal.SIGKILL

    @property
    def short(self) -> bool:
        """Whether the next start should wait longer."""
        return self.ready_for is None or self.ready_for < 10.0


@dataclass(frozen=True, kw_only=True)
class RestartPolicy:
    """The first restart is immediate; after each short life the next one waits twice as long."""

    first_pause: float = 0.05
    """Seconds before the first restart."""
    longest_pause: float = 5.0
    """The longest pause, in seconds."""
    longest_pause_when_able: float = 1.0
    """The same for a component that becomes ready."""
    failures_allowed: int = 8
    """Failed lives in a row before the supervisor gives up."""

    def pause(self, lives: list[Life]) -> float | None:
        """Return the seconds to wait before the next start, or None to give up.

        `lives` begins with the oldest. Status 2 before readiness means that the settings are refused: a restart would
        not help.
        """
        if lives[-1].ready_for is None and lives[-1].status == 2:
            return None
        if _closing(life.failed for life in lives) >= self.failures_allowed:
            return None
        doublings = min(max(0, _closing(life.short for life in lives) - 1), 32)
        longest = self.longest_pause if lives[-1].ready_for is None else self.longest_pause_when_able
        return float(min(self.first_pause * 2**doublings, longest))


def _closing(flags: Iterable[bool]) -> int:
    """Count the true flags at the end."""
    count = 0
    for flag in flags:
        count = count + 1 if flag else 0
    return count


def stop_order(components: Iterable[Component]) -> list[list[Component]]:
    """Group components for stopping: the last stage first, those of one stage together."""
    ordered = sorted(components, key=lambda component: -component.stage)
    return [list(group) for _, group in groupby(ordered, key=lambda component: component.stage)]
