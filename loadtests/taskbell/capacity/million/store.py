"""What a run of a million keeps in its folder, so that it goes on where it ended."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from taskbell.capacity.briefing import Account
from taskbell.capacity.million.plan import Plan


@dataclass(slots=True, kw_only=True)
class State:
    """How far a run is.

    Attributes:
        plan: What it does.
        owners: The owners of the teams, in order.
        mates: The other members, in the same order.
        gateway_url: The WebSocket's address at the last start.
        done: The stages that are finished.
        seconds: How long each stage has taken so far, over all starts.
        storm: When the reminders fire (Unix seconds); None before that is decided.
        killed: What was killed on purpose.
        starts: How often the run was started.
        failures: Requests without a 201, by reason.
        cpu_seconds: Processor time of each part while tasks were created.
        cpu_creations: How many tasks were created in this time.
    """

    plan: Plan
    owners: Sequence[Account] = ()
    mates: Sequence[Account] = ()
    gateway_url: str = ""
    done: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    storm: float | None = None
    killed: list[str] = field(default_factory=list)
    starts: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    cpu_creations: int = 0


class Store:
    """A run's folder."""

    def __init__(self, folder: Path) -> None:
        """Take a folder; `write` makes it."""
        self.folder = folder
        self.ears = folder / "listeners.counts"
        """What the listeners heard (`Ears`)."""
        self.answers = folder / "creator.counts"
        """What the API answered."""
        self.read_counts = folder / "read.counts"
        """What lists, feeds and inboxes hold."""
        self.platform = folder / "platform"
        """Where the platform keeps its data."""

    @property
    def _state(self) -> Path:
        return self.folder / "state.json"

    def exists(self) -> bool:
        """Whether there is a run to go on with."""
        return self._state.exists()

    def write(self, state: State) -> None:
        """Write the state whole or not at all, readable by its owner alone: it holds tokens."""
        self.folder.mkdir(parents=True, exist_ok=True)
        whole = self._state.with_suffix(".new")
        descriptor = os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(orjson.dumps(asdict(state), option=orjson.OPT_INDENT_2))
        whole.replace(self._state)

    def read(self) -> State:
        """Read what `write` wrote."""
        values: dict[str, Any] = orjson.loads(self._state.read_bytes())
        values["plan"] = Plan(**values["plan"])
        for people in ("owners", "mates"):
            values[people] = [Account(**account) for account in values[people]]
        return State(**values)
