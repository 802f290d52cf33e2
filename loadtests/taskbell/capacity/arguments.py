"""The command line of the capacity check."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from taskbell.capacity.plan import Plan, limits

RESERVED_SECONDS = 100.0
"""Seconds of the whole time for the start, the count and the report."""


@dataclass(frozen=True, slots=True)
class Command:
    """The options of a run."""

    plan: Plan
    seconds: float
    output: Path


def _within(kind: Callable[[str], float], low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            word = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{text!r} is not {word} from {low:g} to {high:g}")
        return value

    return read


def parser() -> argparse.ArgumentParser:
    """The options, with their defaults and bounds."""
    made = argparse.ArgumentParser(
        prog="taskbell capacity",
        description="Find out how many users the platform serves on this machine, and whether it loses or doubles"
        " anything. Starts its own platform, grows the load until a limit breaks, counts, and writes a report.",
        epilog="Exit status: 0 nothing was lost or doubled and the minimum held; 1 otherwise; 2 the check could not run"
        " or did not finish. Ctrl-C ends the load and counts.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    add = made.add_argument
    add("--first-users", type=_within(int, 1, 100_000), default=50, help="users of the first step")
    add("--growth", type=_within(float, 1.05, 10), default=1.5, help="factor from one step to the next")
    add("--most-users", type=_within(int, 1, 100_000), default=20_000, help="the most users of a step")
    add(
        "--minimum-users",
        type=_within(int, 0, 100_000),
        help="a step with at least this many users must hold, or the run fails (default: the first step's)",
    )
    add("--settle", type=_within(float, 0.5, 60), default=4, help="seconds after growing that are not measured")
    add("--hold", type=_within(float, 1, 300), default=10, help="seconds of each step that are measured")
    add("--minutes", type=_within(float, 2, 60), default=7.5, help="the longest time of the whole run")
    add("--quiet", type=_within(float, 1, 60), default=5, help="seconds without news after which all has arrived")
    add("--teams", type=_within(int, 1, 500), default=40, help="workspaces with two users, each with a listener")
    add("--listeners", type=_within(float, 0, 0.9), default=0.15, help="share of users that listen by WebSocket")
    add("--reads-ms", type=_within(float, 1, 60_000), default=300, help="limit: p99 of get and list")
    add("--polls-ms", type=_within(float, 1, 60_000), default=500, help="limit: p99 of integrations' polls")
    add("--writes-ms", type=_within(float, 1, 60_000), default=500, help="limit: p99 of create, patch, move, delete")
    add("--events-ms", type=_within(float, 1, 60_000), default=1000, help="limit: p99 from an event's row to its frame")
    add("--errors", type=_within(float, 0, 1), default=0.001, help="limit: share of failed requests")
    add("--output", type=Path, default=Path("build/capacity"), help="folder of report.json and report.html")
    return made


def parse(given: Sequence[str] | None = None) -> Command:
    """Read the command line; end the process with status 2 and a line if it is wrong."""
    options = parser()
    found = options.parse_args(given)
    minimum = found.first_users if found.minimum_users is None else found.minimum_users
    if found.first_users > found.most_users:
        options.error(f"--first-users {found.first_users} is more than --most-users {found.most_users}")
    if minimum > found.most_users:
        options.error(f"--minimum-users {minimum} is more than --most-users {found.most_users}")
    plan = Plan(
        first_users=found.first_users,
        growth=found.growth,
        most_users=found.most_users,
        minimum_users=minimum,
        settle_seconds=found.settle,
        hold_seconds=found.hold,
        quiet_seconds=found.quiet,
        load_seconds=found.minutes * 60 - RESERVED_SECONDS,
        teams=found.teams,
        listener_share=found.listeners,
        limits=limits(
            reads_ms=found.reads_ms,
            polls_ms=found.polls_ms,
            writes_ms=found.writes_ms,
            events_ms=found.events_ms,
            error_share=found.errors,
        ),
    )
    if plan.step_seconds > plan.load_seconds:
        options.error(
            f"a step of {plan.step_seconds:g} s does not fit: of --minutes {found.minutes:g},"
            f" {RESERVED_SECONDS:g} s are for the start and the count"
        )
    if found.output.exists() and not found.output.is_dir():
        options.error(f"--output {found.output} is not a folder")
    there = next(path for path in (found.output.absolute(), *found.output.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        options.error(f"--output {found.output} cannot be made: {there} is not a writable folder")
    return Command(plan=plan, seconds=found.minutes * 60, output=found.output)
