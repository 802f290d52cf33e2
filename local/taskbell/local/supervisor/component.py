"""What a supervisor keeps running, and what it knows of it."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Component:
    """One process: how it is started, when it is ready, how it is stopped."""

    name: str
    """Unique; also the name of its log."""
    command: tuple[str, ...]
    """Program and arguments; it must end with its parent by itself (`embedded.process.launched`)."""
    log: Path
    """Where its output is appended."""
    stage: int = 0
    """Stopping goes from the highest stage to the lowest."""
    env: Mapping[str, str] = field(default_factory=dict)
    """The whole environment of the process."""
    fds: tuple[int, ...] = ()
    """Open descriptors that it inherits, such as listening sockets."""
    port: int | None = None
    """The port it serves, for people."""
    prepare: Callable[[], None] | None = None
    """Blocking work before every start. May raise `ServerNotStarted`."""
    is_ready: Callable[[], Awaitable[bool]] | None = None
    """Tells whether it serves. Absent: a running process is ready. `ServerNotStarted`: it never will."""
    repair: Callable[[], str | None] | None = None
    """Blocking work, once, before the part is given up: what it remedied, in a line, or None. May raise `OSError`."""
    ready_within: float = 60.0
    """Seconds after which a process that is not ready is killed and counted as failed."""
    stop_signal: signal.Signals = signal.SIGTERM
    """Asks it to end."""
    stop_within: float = 20.0
    """Seconds after which it is killed instead."""


class Phase(StrEnum):
    """Where a component is in its life."""

    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(kw_only=True)
class State:
    """What is known of a component now."""

    component: Component
    phase: Phase = Phase.STARTING
    pid: int | None = None
    restarts: int = 0
    log_start: int = 0
    """Length (bytes) of its log when it was started."""
    reason: str = ""
    """Why it ended last, in a few words."""


class ComponentGaveUp(Exception):
    """A part could not be kept running. The message is one line that names it, the reason and its log."""
