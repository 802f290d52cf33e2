"""One run: start the platform, the listeners and the generator; watch them; count; report."""

from __future__ import annotations

import asyncio
import os
import platform as machine
import secrets
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil

from capacity import ledger, service
from capacity.arguments import Command
from capacity.briefing import Briefing, read_steps
from capacity.conservation import conserve
from capacity.page import render
from capacity.processor import GENERATOR, LISTENERS, UP, Sampler
from capacity.report import Surroundings, document, exit_status, progress_line
from capacity.steps import Step

_ROOT = Path(__file__).resolve().parents[1]
_STOP_SECONDS = 30.0
_SETTLE_SECONDS = 45.0


class GeneratorFailed(Exception):
    """The load generator or the listeners ended early, or finished no step."""


def say(line: str) -> None:
    """Tell whoever waits how far it is."""
    sys.stderr.write(f"capacity: {line}\n")
    sys.stderr.flush()


def run(command: Command) -> int:
    """Run the whole check, write both reports, return the exit status.

    Raises:
        PlatformNotStarted: The platform did not come up.
        PlatformNotPrepared: Accounts could not be made.
        GeneratorFailed: There is nothing to judge.
    """
    began = time.time()
    with tempfile.TemporaryDirectory(prefix="taskbell-capacity-") as name, ExitStack() as held:
        folder = Path(name)
        say("starting the platform")
        platform = held.enter_context(service.running(folder))
        run_name = secrets.token_hex(4)
        say(f"the platform is up after {time.time() - began:.0f} s; making {command.plan.teams} teams of two")
        accounts = service.make_teams(platform.api_url, run=run_name, teams=command.plan.teams)
        reserved = command.seconds - command.plan.load_seconds
        load_until = min(time.time() + command.plan.load_seconds, began + command.seconds - reserved * 0.7)
        briefing = Briefing(
            folder=folder,
            run=run_name,
            api_url=platform.api_url,
            gateway_url=platform.gateway_url,
            assigns=service.can_assign(platform.api_url),
            load_until=load_until,
            plan=command.plan,
            accounts=accounts,
        )
        briefing.write()
        client = held.enter_context(httpx.Client(base_url=platform.api_url, timeout=30, trust_env=False))
        feeds = ledger.Feeds(client, accounts[: command.plan.teams])
        load = _Load(briefing, held)
        steps = load.carry_out(platform)
        say("the load has ended; waiting until everything has arrived")
        url = platform.owner_database_url
        asyncio.run(ledger.wait_until_settled(briefing, feeds, database_url=url, within=_SETTLE_SECONDS))
        service.stop(load.listeners, within=_STOP_SECONDS)
        evidence, connections, failures = asyncio.run(ledger.gather(briefing, feeds, database_url=url))
    conservation = conserve(evidence)
    surroundings = Surroundings(
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=f"{machine.system()} {machine.machine()}, {psutil.cpu_count()} cores,"
        f" {psutil.virtual_memory().total / 2**30:.0f} GiB",
        python=machine.python_version(),
        seconds=round(time.time() - began, 1),
        **connections,
    )
    found = document(command.plan, steps, conservation, surroundings, failures=failures)
    write(found, command.output)
    say(str(found["summary"]))
    say(f"{found['verdict']} after {surroundings.seconds:.0f} s; see {command.output / 'report.html'}")
    return exit_status(str(found["verdict"]))


def write(found: dict[str, Any], output: Path) -> None:
    """Write the document and its page into a folder."""
    output.mkdir(parents=True, exist_ok=True)
    (output / "report.json").write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")
    (output / "report.html").write_text(render(found))


class _Load:
    """The two processes that make the load."""

    def __init__(self, briefing: Briefing, held: ExitStack) -> None:
        self._briefing = briefing
        self._held = held
        self.listeners = self._start("listeners", ["-m", "capacity.listeners", str(briefing.path)])

    def _start(self, name: str, arguments: list[str]) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "CAPACITY_BRIEFING": str(self._briefing.path), "PYTHONPATH": str(_ROOT)}
        log = self._held.enter_context((self._briefing.folder / f"{name}.log").open("wb"))
        process = subprocess.Popen(
            [sys.executable, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        self._held.callback(service.stop, process, within=_STOP_SECONDS)
        return process

    def carry_out(self, platform: service.Platform) -> list[Step]:
        """Let the first listeners connect, then grow the load until the scenario ends it; returns its steps.

        Raises:
            GeneratorFailed: A process ended early, or no step was finished.
        """
        self._await_listeners()
        say("the listeners are there; growing the load")
        # One step may still be under way at the end, requests may wait for their time-outs.
        deadline = self._briefing.load_until + self._briefing.plan.step_seconds + _STOP_SECONDS
        scenario = str(Path(__file__).with_name("scenario.py"))
        options = ["--headless", "--only-summary", "--loglevel", "WARNING", "--stop-timeout", "12"]
        generator = self._start("generator", ["-m", "locust", "-f", scenario, *options, "--exit-code-on-error", "0"])
        roots = {**platform.processes, UP: platform.pid, GENERATOR: generator.pid, LISTENERS: self.listeners.pid}
        sampler = Sampler(roots)
        told = 0
        while generator.poll() is None:
            sampler.sample()
            for step in read_steps(self._briefing.steps)[told:]:
                say(progress_line(step))
                told += 1
            if self.listeners.poll() is not None:
                raise GeneratorFailed(f"the listeners ended early: {self._last_words('listeners')}")
            if time.time() > deadline:
                raise GeneratorFailed("the load generator did not end in time")
            time.sleep(0.5)
        steps = read_steps(self._briefing.steps)
        for step in steps[told:]:
            say(progress_line(step))
        if not steps or not self._briefing.written.exists():
            raise GeneratorFailed(f"the load generator finished no step: {self._last_words('generator')}")
        return [replace(step, processor=sampler.between(step.started, step.ended)) for step in steps]

    def _await_listeners(self) -> None:
        deadline = time.monotonic() + 60
        while (report := ledger.listening(self._briefing))["open"] < self._briefing.plan.teams:
            if self.listeners.poll() is not None or time.monotonic() > deadline:
                raise GeneratorFailed(f"{report['open']} listeners came up: {self._last_words('listeners')}")
            time.sleep(0.1)

    def _last_words(self, name: str) -> str:
        lines = (self._briefing.folder / f"{name}.log").read_text(errors="replace").strip().splitlines()
        return " | ".join(lines[-3:]) or "it said nothing"
