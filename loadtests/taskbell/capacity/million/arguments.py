"""The command line of `taskbell capacity million`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from taskbell.capacity.arguments import within


@dataclass(frozen=True, slots=True)
class Command:
    """The options of a run.

    Attributes:
        tasks: How many are created.
        teams: Workspaces of two people.
        connections: Requests under way at a time.
        output: Folder of the report; the run's own files are in `run` below it.
        fresh: Whether an unfinished run is given up.
    """

    tasks: int
    teams: int
    connections: int
    output: Path
    fresh: bool


def parse(given: Sequence[str]) -> Command:
    """Read the command line; end the process with status 2 and a line if it is wrong."""
    made = argparse.ArgumentParser(
        prog="taskbell capacity million",
        description="Create a million tasks through the public API of a platform of its own, kill a relay and a gateway"
        " meanwhile, let the reminders of a tenth of them fall due together, and count all of it everywhere.",
        epilog="Exit status: 0 every count is equal; 1 something was lost or doubled; 2 not finished: run it again"
        " with the same folder, and it goes on.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--tasks", type=within(int, 100, 100_000_000), default=1_000_000, help="how many tasks")
    made.add_argument("--teams", type=within(int, 1, 500), default=20, help="workspaces of two people, who both listen")
    made.add_argument("--connections", type=within(int, 1, 500), default=24, help="requests under way at a time")
    made.add_argument("--output", type=Path, default=Path("build/million"), help="folder of the report and of the run")
    made.add_argument("--fresh", action="store_true", help="give an unfinished run up, and begin")
    found = made.parse_args(given)
    return Command(found.tasks, found.teams, found.connections, found.output, found.fresh)
