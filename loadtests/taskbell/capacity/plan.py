"""What a run does and which limits must hold: pure values."""

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
LIMITED: Final = "limited"
"""The name of requests that the installation put off with 429: neither an answer nor an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Who the users are.

    Attributes:
        meaning: In a few words.
        mix: Percentages of HTTP users by what they do. Integrations send about one request a second, people one every
            two seconds, importers one after another.
        listener_share: Share of all users that listen by WebSocket.
        think_seconds: The longest time for which a listener reads nothing after a frame.
    """

    meaning: str
    mix: Mapping[str, int]
    listener_share: float
    think_seconds: float = 0.0


def _mix(
    *, integrations: int = 0, readers: int = 0, writers: int = 0, importers: int = 0, remind: int = 0
) -> dict[str, int]:
    """Percentages by what users do."""
    return {
        "integrations": integrations,
        "readers": readers,
        "writers": writers,
        "importers": importers,
        "reminded": remind,
    }


SCENARIOS: Final[Mapping[str, Scenario]] = {
    "everyday": Scenario(
        meaning="integrations that poll, and people who read, write and listen",
        mix=_mix(integrations=65, readers=15, writers=20),
        listener_share=0.15,
    ),
    "interactive": Scenario(
        meaning="people alone: half of them read, half of them write, many listen",
        mix=_mix(readers=50, writers=50),
        listener_share=0.3,
    ),
    "pollers": Scenario(
        meaning="integrations that poll the change feed and lists; a few people write",
        mix=_mix(integrations=95, writers=5),
        listener_share=0.0,
    ),
    "listeners": Scenario(
        meaning="most users listen, and think for a while after what they hear; the others write",
        mix=_mix(readers=20, writers=80),
        listener_share=0.8,
        think_seconds=2.0,
    ),
    "importers": Scenario(
        meaning="programs that create tasks without a pause; a few people read",
        mix=_mix(readers=20, importers=80),
        listener_share=0.1,
    ),
    "reminders": Scenario(
        meaning="people whose tasks all fall due at the same few moments: each storm of reminders comes at once",
        mix=_mix(readers=20, remind=80),
        listener_share=0.15,
    ),
}
"""The mixes of users that a run can have."""
EVERYDAY: Final = "everyday"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The service level objectives. A step that exceeds one of them is broken.

    Attributes:
        p99_ms: The longest p99 of each kind of request, in milliseconds.
        event_p99_ms: The longest p99 from the row of an event to its frame, in milliseconds.
        error_share: The largest share of failed requests, 0 to 1.
    """

    p99_ms: Mapping[str, float]
    event_p99_ms: float = 1000.0
    error_share: float = 0.001


PRECISION = 1.08
"""Two runs on a quiet machine differ by more than a few per cent anyway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run.

    Attributes:
        first_users: Users of the first step, listeners included.
        growth: Factor from the users of one step to the next, until a step breaks.
        precision: Factor from the most users that held to the fewest that broke at which the result is narrow enough.
        most_users: The most users of a step.
        minimum_users: A step with at least this many users must hold, or the run fails.
        settle_seconds: Time after growing that is not measured.
        hold_seconds: Time that is measured.
        quiet_seconds: Time without a change after which everything counts as arrived.
        load_seconds: The longest time of all steps together.
        teams: Workspaces of two accounts; each account has a listener from the start.
        listener_share: Share of users that listen by WebSocket.
        limits: The limits that must hold.
        scenario: One of `SCENARIOS`.
    """

    first_users: int
    growth: float
    most_users: int
    minimum_users: int
    settle_seconds: float
    hold_seconds: float
    quiet_seconds: float
    load_seconds: float
    teams: int
    listener_share: float
    limits: Limits
    scenario: str = EVERYDAY
    precision: float = PRECISION

    @property
    def mix(self) -> Mapping[str, int]:
        """Percentages of HTTP users by what they do."""
        return SCENARIOS[self.scenario].mix

    @property
    def think_seconds(self) -> float:
        """The longest time for which a listener reads nothing after a frame."""
        return SCENARIOS[self.scenario].think_seconds

    @property
    def step_seconds(self) -> float:
        """How long a step takes, with the time to grow and the generator's tick."""
        return self.settle_seconds + self.hold_seconds + 5.0

    @property
    def people(self) -> int:
        """Accounts; each has a listener from the start."""
        return 2 * self.teams

    def listeners(self, users: int) -> int:
        """Further WebSocket listeners at this many users."""
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
