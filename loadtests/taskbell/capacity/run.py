"""One run: start the platform and the load, count what arrived, report."""

from __future__ import annotations

import asyncio
import platform as machine
import secrets
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil

from taskbell.capacity import ledger, service
from taskbell.capacity.arguments import Command
from taskbell.capacity.briefing import Briefing
from taskbell.capacity.conservation import conserve
from taskbell.capacity.interrupts import Interrupts
from taskbell.capacity.ledger import Gathered
from taskbell.capacity.load import Load, Outcome
from taskbell.capacity.page import render
from taskbell.capacity.report import INTERRUPTED, Surroundings, document, exit_status
from taskbell.capacity.repository import NotCounted

_SETTLE_SECONDS = 45.0
_REPORTS = ("report.json", "report.html")


def say(line: str) -> None:
    """Report the progress."""
    sys.stderr.write(f"capacity: {line}\n")
    sys.stderr.flush()


Start = Callable[[Path], AbstractContextManager[service.PlatformUnderLoad]]
"""Starts a platform in a folder, for the length of a block."""


def run(command: Command, interrupts: Interrupts, *, start: Start = service.running_unlimited) -> int:
    """Run the whole check on the platform that `start` yields, write both reports, return the exit status.

    Raises:
        PlatformNotStarted: The platform did not start.
        PlatformNotPrepared: The API refused an account.
        LoadFailed: The listeners did not start.
    """
    began = time.time()
    for name in _REPORTS:  # of an earlier run: this one may end without a report
        (command.output / name).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="taskbell-capacity-") as name, ExitStack() as held:
        folder = Path(name)
        say("starting the platform")
        platform = held.enter_context(start(folder))
        run_name = secrets.token_hex(4)
        say(f"the platform is up after {time.time() - began:.0f} s; making {command.plan.teams} teams of two")
        accounts = service.make_teams(platform.run["api_url"], run=run_name, teams=command.plan.teams)
        reserved = command.seconds - command.plan.load_seconds
        briefing = Briefing(
            folder=folder,
            run=run_name,
            api_url=platform.run["api_url"],
            gateway_url=f"{platform.run['gateway_url']}/ws",
            load_until=min(time.time() + command.plan.load_seconds, began + command.seconds - reserved * 0.7),
            plan=command.plan,
            accounts=accounts,
        )
        briefing.write()
        client = held.enter_context(httpx.Client(base_url=platform.run["api_url"], timeout=30, trust_env=False))
        feeds = ledger.Feeds(client, accounts)
        load = Load(briefing, platform, held=held, tell=say)
        load.await_listeners()
        latest = datetime.fromtimestamp(briefing.load_until).astimezone().strftime("%H:%M:%S")
        say(f"everybody listens; growing the load until a limit breaks twice, or until {latest} (Ctrl-C: count now)")
        outcome = load.carry_out(interrupts)
        say(f"the load has ended{_because(outcome)}; waiting until everything has arrived")
        gathered, not_counted = _count(briefing, feeds, load, platform)
    surroundings = Surroundings(
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=f"{machine.system()} {machine.machine()}, {psutil.cpu_count()} cores,"
        f" {psutil.virtual_memory().total / 2**30:.0f} GiB",
        python=machine.python_version(),
        seconds=round(time.time() - began, 1),
        **({} if gathered is None else gathered.connections),
    )
    found = document(
        command.plan,
        outcome.steps,
        None if gathered is None else conserve(gathered.evidence),
        surroundings,
        ended_by=outcome.ended_by or not_counted,
        failures={} if gathered is None else gathered.failures,
    )
    write(found, command.output)
    say(str(found["summary"]))
    say(f"{found['verdict']} after {surroundings.seconds:.0f} s; see {command.output / 'report.html'}")
    return exit_status(str(found["verdict"]))


def _because(outcome: Outcome) -> str:
    if not outcome.ended_by:
        return ""
    return " as you asked" if outcome.ended_by == INTERRUPTED else f": {outcome.ended_by}"


def _count(
    briefing: Briefing, feeds: ledger.Feeds, load: Load, platform: service.PlatformUnderLoad
) -> tuple[Gathered | None, str]:
    """Count; return None and a reason if that is not possible."""
    database_url = platform.run["owner_database_url"]
    if platform.has_ended():
        return None, "the platform ended"
    try:
        asyncio.run(ledger.wait_until_settled(briefing, feeds, database_url=database_url, within=_SETTLE_SECONDS))
        load.end()
        return asyncio.run(ledger.gather(briefing, feeds, database_url=database_url)), ""
    except NotCounted as reason:
        return None, str(reason)


def write(found: dict[str, Any], output: Path) -> None:
    """Write the document and its page into a folder."""
    output.mkdir(parents=True, exist_ok=True)
    values, page = (output / name for name in _REPORTS)
    values.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")
    page.write_text(render(found))
