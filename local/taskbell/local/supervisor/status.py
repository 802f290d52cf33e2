"""Shows a person the components: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from taskbell.local.supervisor.component import Phase, State

_COLOURS = {Phase.READY: "green", Phase.STARTING: "yellow", Phase.RESTARTING: "red", Phase.FAILED: "bold red"}


class Display(Protocol):
    """Shows states and prints lines."""

    def show(self, states: Mapping[str, State], changed: State) -> None:
        """Show a change."""

    def say(self, line: str) -> None:
        """Print a line that stays."""


class LiveTable:
    """A table that is redrawn in place, below the lines that stay."""

    def __init__(self, live: Live) -> None:
        """Take the running live display."""
        self._live = live

    def show(self, states: Mapping[str, State], changed: State) -> None:
        """Redraw the table; a restart is also a line, for its reason."""
        if changed.phase is Phase.RESTARTING:
            self.say(line(changed))
        self._live.update(table(states), refresh=True)

    def say(self, line: str) -> None:
        """Print above the table."""
        self._live.console.print(line, highlight=False, soft_wrap=True, markup=False)


class PlainLines:
    """A line for each change of phase."""

    def __init__(self, console: Console) -> None:
        """Take where to print."""
        self._console = console
        self._shown: dict[str, Phase] = {}

    def show(self, states: Mapping[str, State], changed: State) -> None:
        """Print the change unless the last line of the component was the same."""
        _ = states
        name = changed.component.name
        if self._shown.get(name) != changed.phase:
            self._shown[name] = changed.phase
            self.say(line(changed))

    def say(self, line: str) -> None:
        """Print at once."""
        self._console.print(line, highlight=False, soft_wrap=True, markup=False)


def line(state: State) -> str:
    """Describe a state in one line."""
    words = f"{state.component.name:<18}{state.phase:<11}"
    if state.pid is not None:
        words += f" pid {state.pid}"
    if state.phase in {Phase.RESTARTING, Phase.FAILED} and state.reason:
        words += f" {state.reason}"
    return words.rstrip()


def table(states: Mapping[str, State]) -> Table:
    """Draw all states."""
    drawn = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("component", "state", "port", "pid", "restarts", "log"):
        drawn.add_column(title, justify="right" if title in {"port", "pid", "restarts"} else "left", overflow="fold")
    for name, state in states.items():
        colour = _COLOURS.get(state.phase, "dim")
        port, pid = (str(number or "") for number in (state.component.port, state.pid))
        shown = Text(state.phase, style=colour)  # no markup: a line printed above the table would drop it
        drawn.add_row(name, shown, port, pid, str(state.restarts or ""), f"logs/{state.component.log.name}")
    return drawn


@contextlib.contextmanager
def display(console: Console) -> Iterator[Display]:
    """Yield the display for a console."""
    if not console.is_terminal:
        yield PlainLines(console)
        return
    with Live(console=console, auto_refresh=False, transient=False) as live:
        yield LiveTable(live)
