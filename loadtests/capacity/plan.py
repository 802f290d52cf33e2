"""What a run shall do, and what it shall hold: pure values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

KINDS: Final[dict[str, str]] = {
    "poll events": "GET /v1/events?after=: an integration asks for what is new",
    "poll tasks": "GET /v1/tasks?updated_since=: an integration that knows no cursors",
    "list": "GET /v1/tasks, /v1/me/tasks, /v1/notifications: pages of 20",
    "get": "GET /v1/tasks/{id}",
    "create": "POST /v1/tasks, assigned to the other one of the team",
    "patch": "PATCH /v1/tasks/{id} (status, fields, assignees), /v1/notifications/{id}",
    "move": "POST /v1/tasks/{id}/move",
    "delete": "DELETE /v1/tasks/{id}",
}
"""Every kind of request, with its meaning."""

MIX: Final[dict[str, int]] = {"integrations": 65, "readers": 15, "writers": 20}
"""Of a hundred users that speak HTTP. Integrations ask about once a second, people every two seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The service level objectives. A step that exceeds one is broken.

    Attributes:
        p99_ms: For each kind of request, milliseconds that 99 of 100 answers may take.
        event_p99_ms: Milliseconds from the row of an event to its frame at a listener.
        error_share: Failed requests among all, 0 to 1.
    """

    p99_ms: Mapping[str, float]
    event_p99_ms: float = 1000.0
    error_share: float = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run.

    Attributes:
        first_users: Users of the first step, listeners included.
        growth: Each step has so many times the users of the one before.
        most_users: No step has more.
        minimum_users: A step with at least so many has to hold, or the run fails.
        settle_seconds: After growing, before measuring.
        hold_seconds: Measured.
        load_seconds: All steps together end within this time.
        teams: Workspaces, each with two accounts that have a listener each from the beginning.
        listener_share: Of the users, how many are WebSocket listeners.
        limits: What has to hold.
    """

    first_users: int
    growth: float
    most_users: int
    minimum_users: int
    settle_seconds: float
    hold_seconds: float
    load_seconds: float
    teams: int
    listener_share: float
    limits: Limits

    @property
    def step_seconds(self) -> float:
        """How long a step takes, with the seconds that growing and the generator's tick cost."""
        return self.settle_seconds + self.hold_seconds + 5.0

    @property
    def people(self) -> int:
        """Accounts, each with a listener from the beginning."""
        return 2 * self.teams

    def listeners(self, users: int) -> int:
        """WebSocket listeners at so many users, beside those of the beginning."""
        return round(users * self.listener_share)

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Plan:
        """Read what `as_json` gave."""
        return cls(**{**values, "limits": Limits(**values["limits"])})


def limits(
    *,
    reads_ms: float = 300.0,
    polls_ms: float = 500.0,
    writes_ms: float = 500.0,
    events_ms: float = 1000.0,
    error_share: float = 0.001,
) -> Limits:
    """Limits by the sort of request."""
    by_sort = {"poll events": polls_ms, "poll tasks": polls_ms, "list": reads_ms, "get": reads_ms}
    p99_ms = {kind: by_sort.get(kind, writes_ms) for kind in KINDS}
    return Limits(p99_ms=p99_ms, event_p99_ms=events_ms, error_share=error_share)
