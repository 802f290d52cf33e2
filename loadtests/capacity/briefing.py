"""What the processes of a run tell each other, as files in the run's folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from capacity.plan import Plan
from capacity.steps import Step


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who is signed in, with the team's workspace and the other member of the team."""

    user_id: str
    token: str
    workspace_id: str
    teammate_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Briefing:
    """Everything that the generator and the listeners have to know.

    Attributes:
        folder: Where they write.
        run: Begins the title of every task that this run creates.
        api_url: Base of the API, without `/v1`.
        gateway_url: The WebSocket's address.
        load_until: Unix seconds at which the load has to be over.
    """

    folder: Path
    run: str
    api_url: str
    gateway_url: str
    load_until: float
    plan: Plan
    accounts: Sequence[Account]

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
        """What the API said yes to, by the generator as it happens."""
        return self.folder / "journal.jsonl"

    @property
    def heard_by_second(self) -> Path:
        """One line about twice a second, by the listeners."""
        return self.folder / "heard.jsonl"

    @property
    def heard(self) -> Path:
        """Everything that was heard, by the listeners at their end."""
        return self.folder / "heard.json"

    @property
    def wanted_listeners(self) -> Path:
        """How many listeners there shall be beside one for each account, by the generator."""
        return self.folder / "listeners"

    def want_listeners(self, number: int) -> None:
        """Ask for so many listeners beside one for each account."""
        whole = self.wanted_listeners.with_suffix(".new")
        whole.write_text(str(number))
        whole.replace(self.wanted_listeners)

    def write(self) -> None:
        """Write the briefing for the owner's eyes alone: it holds tokens."""
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


def read_latencies(path: Path, *, since: float, until: float) -> list[float]:
    """The milliseconds that events took, of the lines about a time between two instants (Unix seconds)."""
    found: list[float] = []
    for line in whole_lines(path):
        about = orjson.loads(line)
        if since <= about["at"] <= until:
            found += about["latencies_ms"]
    return found


def read_steps(path: Path) -> list[Step]:
    """The steps that are finished so far."""
    return [Step.from_json(orjson.loads(line)) for line in whole_lines(path)]


def whole_lines(path: Path) -> list[bytes]:
    """The lines of a growing file, without one that is only half written; none where there is no file yet."""
    if not path.exists():
        return []
    return path.read_bytes().rpartition(b"\n")[0].splitlines()
