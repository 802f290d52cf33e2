"""One run: start the platform and the load, count what arrived, report."""

from __future__ import annotations

import asyncio
import platform as machine
import secrets
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil

from taskbell.capacity import journal, ledger, outside, service
from taskbell.capacity.arguments import Command
from taskbell.capacity.briefing import Account, Briefing
from taskbell.capacity.conservation import conserve
from taskbell.capacity.evidence import NotCounted
from taskbell.capacity.interrupts import Interrupts
from taskbell.capacity.ledger import Gathered
from taskbell.capacity.load import Load, Outcome
from taskbell.capacity.page import render
from taskbell.capacity.report import INTERRUPTED, Surroundings, document, exit_status

_SETTLE_SECONDS = 45.0
_SETTLE_SECONDS_ELSEWHERE = 300.0  # its limits make reading slow
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
        TargetRefused: The installation does not say where its gateway is.
        LoadFailed: The listeners did not start.
    """
    if command.target is not None:
        outside.await_answer(command.target)
    began = time.time()
    for name in _REPORTS:  # of an earlier run: this one may end without a report
        (command.output / name).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="taskbell-capacity-") as name, ExitStack() as held:
        folder = Path(name)
        run_name = secrets.token_hex(4)
        platform, client, accounts = _scene(command, folder, start, run=run_name, held=held)
        reserved = command.seconds - command.plan.load_seconds
        briefing = Briefing(
            folder=folder,
            run=run_name,
            api_url=platform.run["api_url"],
            gateway_url=platform.run["gateway_url"],
            load_until=min(time.time() + command.plan.load_seconds, began + command.seconds - reserved * 0.7),
            plan=command.plan,
            accounts=accounts,
            ca=str(command.target.ca or "") if command.target is not None else "",
            is_outside=command.target is not None,
            began=began,
        )
        briefing.write()
        feeds = ledger.Feeds(client, accounts, run=run_name if briefing.is_outside else None)
        load = Load(briefing, platform, held=held, tell=say)
        load.await_listeners()
        latest = datetime.fromtimestamp(briefing.load_until).astimezone().strftime("%H:%M:%S")
        say(f"everybody listens; growing the load until a limit breaks, until {latest} at most (Ctrl-C: count now)")
        outcome = load.carry_out(interrupts, workers=command.workers)
        say(f"the load has ended{_because(outcome)}; waiting until everything has arrived")
        gathered, not_counted = _count(briefing, feeds, load, platform, client=client)
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
        failures=[] if gathered is None else gathered.failures,
        target=None if command.target is None else command.target.api_url,
    )
    write(found, command.output, million=newest_million(command.output))
    say(str(found["summary"]))
    say(f"{found['verdict']} after {surroundings.seconds:.0f} s; see {command.output / 'report.html'}")
    if command.stay_seconds:
        say(f"staying for {command.stay_seconds:,.0f} s, so that the report can be taken")
        interrupts.wait(command.stay_seconds)
    return exit_status(str(found["verdict"]))


def _because(outcome: Outcome) -> str:
    if not outcome.ended_by:
        return ""
    return " as you asked" if outcome.ended_by == INTERRUPTED else f": {outcome.ended_by}"


def _scene(
    command: Command, folder: Path, start: Start, *, run: str, held: ExitStack
) -> tuple[service.UnderLoad, httpx.Client, list[Account]]:
    """The platform or the installation, a client of its API, and the accounts of the run."""
    target = command.target
    if target is None:
        say("starting the platform")
        platform = held.enter_context(start(folder))
        say(f"the platform is up; making {command.plan.teams} teams of two")
        own = httpx.Client(base_url=platform.run["api_url"], timeout=30, trust_env=False)
        client = held.enter_context(own)
        accounts = service.make_teams(platform.run["api_url"], run=run, teams=command.plan.teams)
        found = {**platform.run, "gateway_url": f"{platform.run['gateway_url']}/ws"}
        return replace(platform, run=found), client, accounts
    client = held.enter_context(target.client())
    say(f"measuring {target.api_url} from outside")
    accounts = outside.people(target, client, run=run, teams=command.plan.teams)
    gateway = target.gateway_url or outside.gateway_address(client, accounts[0])
    return outside.Installation({"api_url": target.api_url, "gateway_url": gateway}), client, accounts


def _count(
    briefing: Briefing, feeds: ledger.Feeds, load: Load, platform: service.UnderLoad, *, client: httpx.Client
) -> tuple[Gathered | None, str]:
    """Count; return None and a reason if that is not possible."""
    database_url = platform.run.get("owner_database_url")
    if platform.has_ended():
        return None, "the platform ended"
    try:
        if (storm := journal.last_due(briefing.journal) - time.time()) > 0:
            say(f"the last reminders fall due in {storm:.0f} s")
            time.sleep(storm)
        within = _SETTLE_SECONDS if database_url is not None else _SETTLE_SECONDS_ELSEWHERE
        asyncio.run(ledger.wait_until_settled(briefing, feeds, database_url=database_url, within=within))
        load.end()
        return asyncio.run(ledger.gather(briefing, feeds, database_url=database_url, client=client)), ""
    except NotCounted as reason:
        return None, str(reason)


def write(found: dict[str, Any], output: Path, *, million: dict[str, Any] | None = None) -> None:
    """Write the document and its page into a folder; the page also shows the newest million, if there is one."""
    output.mkdir(parents=True, exist_ok=True)
    values, page = (output / name for name in _REPORTS)
    values.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")
    page.write_text(render(found, million=million))


def newest_million(output: Path) -> dict[str, Any] | None:
    """The report of a million in the folder `million` next to this one; None if there is none."""
    with suppress(OSError, ValueError):
        found: dict[str, Any] = orjson.loads((output.parent / "million" / "report.json").read_bytes())
        return found
    return None
