"""Whether a live CronJob is as declared, and how soon a change by somebody else is corrected again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from taskbell.operator.specs.cron_job import DECLARED

Json = dict[str, Any]
_FORGIVEN = 600.0
"""Seconds without a correction after which earlier corrections no longer count."""
_MOST_DOUBLINGS = 6
"""Limits the pause between corrections to 64 s."""


@dataclass(slots=True)
class Corrections:
    """What is remembered of a schedule's CronJob between passes.

    Attributes:
        settled: Fingerprint of the last declaration that was applied, and the generation that the API server gave it.
        count: How many corrections followed each other without a long pause.
        last: When the last one was, in seconds of the monotonic clock.
    """

    settled: tuple[str, int] | None = None
    count: int = 0
    last: float = float("-inf")

    def pause(self, now: float) -> float:
        """Seconds until the next correction is allowed: none at first, then longer each time.

        So two programs that declare different things do not overwrite each other without end.
        """
        if now - self.last > _FORGIVEN:
            self.count = 0
        pause = 2.0 ** min(self.count, _MOST_DOUBLINGS) if self.count > 1 else 0.0
        return max(0.0, self.last + pause - now)

    def was_applied(self, declared: Json, live: Json | None) -> bool:
        """Whether this declaration was applied before, so that a difference is somebody else's change."""
        applied = {_fingerprint(live), self.settled[0] if self.settled else ""} if live else set()
        return _fingerprint(declared) in applied

    def has_drifted(self, declared: Json, live: Json) -> bool:
        """Whether the live CronJob differs, other than by what the API server made of the declaration itself."""
        if not differs(declared, live):
            return False
        settled = (_fingerprint(declared), live["metadata"]["generation"])
        return differs({"metadata": declared["metadata"]}, live) or self.settled != settled

    def applied(self, declared: Json, generation: int) -> None:
        """Remember a declaration that was applied."""
        self.settled = (_fingerprint(declared), generation)


def differs(declared: Any, live: Any) -> bool:
    """Whether a declared value is not contained in the live one.

    Fields that are not declared may have any value: the API server fills in defaults, and others may own them. Lists
    must have the same length and match element by element.
    """
    if isinstance(declared, dict):
        if not isinstance(live, dict):
            return bool(declared) or live is not None
        return any(differs(value, live.get(name)) for name, value in declared.items())
    if isinstance(declared, list):
        if not isinstance(live, list):
            return bool(declared) or live is not None
        return len(declared) != len(live) or any(map(differs, declared, live))
    return bool(declared != live)


def _fingerprint(body: Json) -> str:
    return str(body["metadata"].get("annotations", {}).get(DECLARED, ""))
