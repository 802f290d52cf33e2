"""Settings of the `taskbell` command line, and the check that every `TASKBELL_` variable is known to some part."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from taskbell.kit.settings import PREFIX, Settings

SETTINGS_MODULES: Final = (
    "taskbell.api.settings",
    "taskbell.store.partitions",
    "taskbell.relay.settings",
    "taskbell.sweeper.settings",
    "taskbell.gateway.settings",
    "taskbell.delivery.settings",
)
"""Modules that define the settings of the services."""


class LocalSettings(Settings):
    """Environment variables of `taskbell up`, prefix `TASKBELL_`."""

    # An empty TASKBELL_DATA_DIR, as scripts leave one, would be the working directory.
    model_config = SettingsConfigDict(env_ignore_empty=True)

    data_dir: Path = Path(".taskbell")
    """Folder for all data, logs and secrets of the platform on this machine; created if it does not exist."""
    api_port: int = Field(default=8000, ge=0, le=65535)
    """Port of the API on 127.0.0.1; 0 takes any free port."""
    gateway_port: int = Field(default=8001, ge=0, le=65535)
    """Port of the WebSocket gateway on 127.0.0.1; 0 takes any free port."""
    api_workers: int = Field(default=2, ge=1, le=16)
    """Number of API processes; about one per CPU core."""
    gateway_workers: int = Field(default=1, ge=1, le=16)
    """Number of gateway processes, all on one port."""
    delivery_workers: int = Field(default=1, ge=1, le=16)
    """Number of delivery workers."""
    push_simulator: bool = True
    """Also run a simulator of push providers. Alerts to Android, iOS and browsers go there, except by a provider whose
    settings are given."""
    push_simulator_keeps: int = Field(default=10_000, ge=1, le=10_000_000)
    """How many alerts, and how many refused ones, the simulator remembers for `/control`; about 1 KiB each."""


def known_names() -> set[str]:
    """Return the names of all variables that `up`, a service it starts, or a client command understands."""
    for module in SETTINGS_MODULES:
        importlib.import_module(module)
    variables = importlib.import_module("taskbell.terminal.profiles").VARIABLES
    return {*variables} | {PREFIX + name.upper() for kind in _descendants(Settings) for name in kind.model_fields}


def unknown_variables(environment: Mapping[str, str], *, known: Iterable[str]) -> list[str]:
    """Return one line for each variable with our prefix that nobody knows, with the nearest name that is known."""
    names = {name.removeprefix(PREFIX) for name in known}
    lines = []
    for name in sorted(environment):
        own = name.removeprefix(PREFIX)
        if name.startswith(PREFIX) and own not in names:
            nearest = difflib.get_close_matches(own, sorted(names), n=1, cutoff=0.7)
            hint = f"; did you mean {PREFIX}{nearest[0]}?" if nearest else ""
            lines.append(f"{name} is not a setting of Taskbell{hint}")
    return lines


def _descendants(kind: type[Settings]) -> list[type[Settings]]:
    children = kind.__subclasses__()
    return [*children, *(deeper for child in children for deeper in _descendants(child))]
