"""The files in a run's folder by which its processes communicate."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from taskbell.capacity.plan import Plan
from taskbell.capacity.steps import Step


@dataclass(frozen=True, slots=True)
class Account:
    """A signed-in user, with the team's workspace and the other member of the team."""

    user_id: str
    token: str
    workspace_id: str
    teammate_id: str
    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Briefing:
    """What the generator and the listeners need to know.

    Attributes:
        folder: The folder that they write to.
        run: The prefix of the titles of all tasks of this run.
        api_url: Base of the API, without `/v1`.
        gateway_url: The WebSocket's address.
        load_until: Unix seconds at which the load must have ended.
        ca: File with the only certificates that are trusted; empty for the system's.
        is_outside: Whether the installation has other users, whose tasks and events do not count, and another clock.
        began: Unix seconds at which the run began.
    """

    folder: Path
    run: str
    api_url: str
    gateway_url: str
    load_until: float
    plan: Plan
    accounts: Sequence[Account]
    ca: str = ""
    is_outside: bool = False
    began: float = 0.0

    @property
    def path(self) -> Path:
        """Where the briefing itself is."""
        return self.folder / "briefing.json"

    @property
    def steps(self) -> Path:
        """One line for each finished step, by the generator."""
        return self.folder / "steps.jsonl"

    @property
    def journal(self) -> Path:
        """What the API accepted, by the generator as it happens."""
        return self.folder / "journal.jsonl"

    @property
    def heard_by_second(self) -> Path:
        """One line about twice a second, by the listeners."""
        return self.folder / "heard.jsonl"

    @property
    def heard(self) -> Path:
        """Everything received, by the listeners at their end."""
        return self.folder / "heard.json"

    @property
    def wanted_listeners(self) -> Path:
        """How many listeners to have besides one for each account, by the generator."""
        return self.folder / "listeners"

    def want_listeners(self, number: int) -> None:
        """Ask for this many listeners besides one for each account."""
        whole = self.wanted_listeners.with_suffix(".new")
        whole.write_text(str(number))
        whole.replace(self.wanted_listeners)

    @property
    def _end(self) -> Path:
        return self.folder / "end"

    @property
    def is_to_end(self) -> bool:
        """Whether the generator is to end the load."""
        return self._end.exists()

    def end_load(self) -> None:
        """Ask the generator to end the load. A signal would not let its workers hand over what they have noted."""
        self._end.touch()

    def write(self) -> None:
        """Write the briefing, readable by its owner alone: it holds tokens."""
        values = asdict(self) | {"folder": str(self.folder), "plan": self.plan.as_json()}
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(orjson.dumps(values))

    @classmethod
    def read(cls, path: Path) -> Briefing:
        """Read what `write` wrote."""
        values = orjson.loads(path.read_bytes())
        accounts = [Account(**account) for account in values["accounts"]]
        own = {"folder": Path(values["folder"]), "plan": Plan.from_json(values["plan"]), "accounts": accounts}
        return cls(**{**values, **own})


def read_latencies(path: Path, *, since: float, until: float, of: str = "latencies_ms") -> list[float]:
    """Return the latencies (ms) of events, or the `lateness_ms` of reminders, between two instants (Unix seconds)."""
    found: list[float] = []
    for line in whole_lines(path):
        about = orjson.loads(line)
        if since <= about["at"] <= until:
            found += about[of]
    return found


def read_steps(path: Path) -> list[Step]:
    """The steps that are finished so far."""
    return [Step.from_json(orjson.loads(line)) for line in whole_lines(path)]


def whole_lines(path: Path) -> list[bytes]:
    """Return the complete lines of a growing file; none if there is no file yet."""
    if not path.exists():
        return []
    return path.read_bytes().rpartition(b"\n")[0].splitlines()
