"""The command line of the attack."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from attack.hostile import KINDS


@dataclass(frozen=True, slots=True)
class Command:
    """The options of a run.

    Attributes:
        seconds: Time of the honest users' requests, with the calm part at the beginning; without start and count.
        kinds: The kinds of attack, from `hostile.KINDS`.
        output: The folder of the report.
    """

    seconds: float
    kinds: Sequence[str]
    output: Path


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 10 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 10 to 3600")
    return value


def parse(given: Sequence[str] | None = None) -> Command:
    """Read the command line; end the process with status 2 and a line if it is wrong."""
    options = argparse.ArgumentParser(
        prog="make attack ATTACK_ARGS=...",
        description="Attack a platform with hostile users of every known kind at once, next to two honest users. Starts"
        " its own platform, measures the honest users in peace and under attack, counts what arrived, and the memory"
        " of each process.",
        epilog="Kinds:\n"
        + "\n".join(f"  {name:18} {kind.__doc__}" for name, kind in KINDS.items())
        + "\n\nExit status: 0 the platform withstood; 1 it did not; 2 the run could not be made.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    options.add_argument(
        "--seconds", type=_seconds, default=300.0, help="time of the honest users' requests (default: 300)"
    )
    options.add_argument(
        "--kind", action="append", choices=sorted(KINDS), dest="kinds", help="only this kind (may be repeated)"
    )
    options.add_argument(
        "--output", type=Path, default=Path("build/attack"), help="folder of report.json (default: build/attack)"
    )
    found = options.parse_args(given)
    return Command(seconds=found.seconds, kinds=found.kinds or [*KINDS], output=found.output)
