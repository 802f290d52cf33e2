"""The command line of the capacity check."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from taskbell.capacity.outside import Target
from taskbell.capacity.plan import EVERYDAY, PRECISION, SCENARIOS, Plan, limits

TOKENS = "CAPACITY_TOKEN"
"""The environment variable that may hold access tokens, with spaces between them."""
KEY = "CAPACITY_KEY"
"""The environment variable that holds the key which a run and its workers share."""
LOCUST_PORT = 5557
_SHORTEST_KEY = 16
TEAMS, TEAMS_ELSEWHERE = 40, 5
"""Elsewhere, 20 accounts may be registered from one address within a quarter of an hour."""
_HTTP, _WEBSOCKET = ("https", "http"), ("wss", "ws")
RESERVED_SECONDS = 100.0
"""Seconds of the whole time for the start, the count and the report."""


@dataclass(frozen=True, slots=True)
class Workers:
    """Other machines that make the load: how many, the first of two ports at which they come, and the key they know."""

    number: int
    port: int
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Command:
    """The options of a run; without a target it starts a platform of its own."""

    plan: Plan
    seconds: float
    output: Path
    target: Target | None = None
    workers: Workers | None = None
    stay_seconds: float = 0.0


def within(kind: Callable[[str], float], low: float, high: float) -> Callable[[str], float]:
    """Read a number between two bounds, or refuse it with a line."""

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
        " anything. Starts its own platform, or loads the one at --target; grows the load until a limit breaks,"
        " counts, and writes a report. `compare A B` compares two reports, `million` creates a million tasks;"
        " both have --help.",
        epilog="Exit status: 0 nothing was lost or doubled and the minimum held; 1 something was lost or doubled; 2 the"
        " check could not run or did not finish; 3 too few users held. Ctrl-C ends the load and counts.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    add = made.add_argument
    add("--first-users", type=within(int, 1, 100_000), default=50, help="users of the first step")
    add("--growth", type=within(float, 1.05, 10), default=1.5, help="factor from one step to the next")
    add(
        "--precision",
        type=within(float, 1.01, 10),
        default=PRECISION,
        help="factor between the users that held and those that broke at which the run ends; 10 does not narrow",
    )
    add("--most-users", type=within(int, 1, 100_000), default=20_000, help="the most users of a step")
    add(
        "--minimum-users",
        type=within(int, 0, 100_000),
        help="a step with at least this many users must hold, or the run fails (default: the first step's)",
    )
    add("--settle", type=within(float, 0.5, 60), default=4, help="seconds after growing that are not measured")
    add("--hold", type=within(float, 1, 300), default=10, help="seconds of each step that are measured")
    add("--minutes", type=within(float, 2, 60), default=7.5, help="the longest time of the whole run")
    add("--quiet", type=within(float, 1, 60), default=5, help="seconds without news after which all has arrived")
    add(
        "--teams",
        type=within(int, 1, 500),
        help="workspaces with two users, each with a listener (default: 40; 5 at a --target)",
    )
    add("--scenario", choices=SCENARIOS, default=EVERYDAY, help="who the users are")
    add("--listeners", type=within(float, 0, 0.9), help="share of users that listen (default: the scenario's)")
    add("--target", metavar="URL", help="base of the API of an installation, without /v1")
    add("--gateway", metavar="URL", help="WebSocket of the installation, ws(s)://.../ws (default: what its API says)")
    add(
        "--token",
        action="append",
        metavar="TOKEN",
        help=f"access token of a user there, repeatable; {TOKENS} may hold several, and hides them from other users of"
        " this machine (default: the run makes users of its own)",
    )
    add("--token-file", type=Path, metavar="FILE", help="access tokens, one a line")
    add("--workspace", metavar="ID", help="workspace of these users (default: the personal one of each)")
    add("--patience", type=within(float, 0, 3600), default=0, help="seconds to wait until the target answers")
    add("--ca", type=Path, metavar="FILE", help="the only certificates to trust, PEM (default: the system's)")
    add("--reads-ms", type=within(float, 1, 60_000), default=300, help="limit: p99 of get and list")
    add("--polls-ms", type=within(float, 1, 60_000), default=500, help="limit: p99 of integrations' polls")
    add("--writes-ms", type=within(float, 1, 60_000), default=500, help="limit: p99 of create, patch, move, delete")
    add("--events-ms", type=within(float, 1, 60_000), default=1000, help="limit: p99 from an event's row to its frame")
    add("--errors", type=within(float, 0, 1), default=0.001, help="limit: share of failed requests")
    add(
        "--workers",
        type=within(int, 1, 1000),
        help=f"machines that make the load: each runs `taskbell capacity worker`. {KEY} holds a key for both",
    )
    add("--workers-port", type=within(int, 1, 65534), default=LOCUST_PORT, help="where workers come; the next one, too")
    add("--stay", type=within(float, 0, 604_800), default=0, help="seconds to stay when the report is written")
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
    target = _target(options, found)
    plan = Plan(
        first_users=found.first_users,
        growth=found.growth,
        precision=found.precision,
        most_users=found.most_users,
        minimum_users=minimum,
        settle_seconds=found.settle,
        hold_seconds=found.hold,
        quiet_seconds=found.quiet,
        load_seconds=found.minutes * 60 - RESERVED_SECONDS,
        teams=found.teams or (TEAMS if target is None else TEAMS_ELSEWHERE),
        listener_share=SCENARIOS[found.scenario].listener_share if found.listeners is None else found.listeners,
        scenario=found.scenario,
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
    return Command(
        plan=plan,
        seconds=found.minutes * 60,
        output=found.output,
        target=target,
        workers=_workers(options, found),
        stay_seconds=found.stay,
    )


def _workers(options: argparse.ArgumentParser, found: argparse.Namespace) -> Workers | None:
    """The workers, if some are asked for."""
    if found.workers is None:
        return None
    key = os.environ.get(KEY, "")
    if len(key) < _SHORTEST_KEY:
        options.error(f"--workers needs a key of {_SHORTEST_KEY} characters or more in {KEY}")
    return Workers(found.workers, found.workers_port, key)


def _target(options: argparse.ArgumentParser, found: argparse.Namespace) -> Target | None:
    """The installation, if one is named; what is wrong about it ends the process."""
    if found.target is None:
        given = {"--gateway": found.gateway, "--token": found.token, "--token-file": found.token_file}
        for name, value in (given | {"--workspace": found.workspace, "--ca": found.ca}).items():
            if value is not None:
                options.error(f"{name} is for an installation: give --target, too")
        return None
    _check_addresses(options, found)
    if found.ca is not None and not found.ca.is_file():
        options.error(f"--ca {found.ca} is not a file")
    tokens = _tokens(options, found)
    if found.workspace is not None and not tokens:
        options.error("--workspace needs the tokens of its users")
    return Target(
        api_url=found.target.rstrip("/"),
        gateway_url=found.gateway,
        tokens=tuple(dict.fromkeys(tokens)),
        workspace=found.workspace,
        ca=found.ca,
        patience_seconds=found.patience,
    )


def _check_addresses(options: argparse.ArgumentParser, found: argparse.Namespace) -> None:
    for name, address, schemes in (("--target", found.target, _HTTP), ("--gateway", found.gateway, _WEBSOCKET)):
        if address is not None and (urlsplit(address).scheme not in schemes or not urlsplit(address).hostname):
            options.error(f"{name} {address} is not an address like {schemes[0]}://tasks.example.com")
    if urlsplit(found.target).username is not None:
        options.error("--target holds a password; give a token")


def _tokens(options: argparse.ArgumentParser, found: argparse.Namespace) -> list[str]:
    tokens = [*(found.token or ()), *os.environ.get(TOKENS, "").split()]
    if found.token_file is not None:
        try:
            tokens += found.token_file.read_text().split()
        except (OSError, UnicodeDecodeError) as unreadable:
            options.error(f"--token-file {found.token_file} cannot be read: {type(unreadable).__name__}")
    return tokens
