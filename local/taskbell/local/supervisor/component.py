"""What a supervisor runs, and what it knows about it."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Component:
    """How one process is started, when it is ready, how it is stopped."""

    name: str
    """Unique; also the name of its log."""
    command: tuple[str, ...]
    """Program and arguments; the process must end when its parent ends (`embedded.process.launched`)."""
    log: Path
    """Where its output is appended."""
    stage: int = 0
    """The highest stage stops first."""
    env: Mapping[str, str] = field(default_factory=dict)
    """The whole environment of the process."""
    fds: tuple[int, ...] = ()
    """Open descriptors that it inherits, such as listening sockets."""
    port: int | None = None
    """The port it serves, for people."""
    prepare: Callable[[], None] | None = None
    """Blocking work before every start. May raise `ServerNotStarted`."""
    is_ready: Callable[[], Awaitable[bool]] | None = None
    """Tells whether it serves; without it, a running process is ready. Raises `ServerNotStarted` if it never will."""
    repair: Callable[[], str | None] | None = None
    """Blocking work, done once before giving up; returns what it repaired, or None. May raise `OSError`."""
    ready_within: float = 60.0
    """Seconds after which a process that is not ready is killed and counts as failed."""
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
    """The present state of a component."""

    component: Component
    phase: Phase = Phase.STARTING
    pid: int | None = None
    restarts: int = 0
    log_start: int = 0
    """Length (bytes) of its log when it was started."""
    reason: str = ""
    """Why it last ended."""


class ComponentGaveUp(Exception):
    """A component keeps failing. The message is one line with its name, the reason and its log."""
