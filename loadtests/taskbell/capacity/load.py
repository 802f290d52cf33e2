"""The two processes that make the load: the listeners, and the generator."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from taskbell.capacity import ledger, service
from taskbell.capacity.arguments import Workers
from taskbell.capacity.briefing import Briefing, read_steps
from taskbell.capacity.interrupts import Interrupts
from taskbell.capacity.leash import leashed
from taskbell.capacity.processor import GENERATOR, LISTENERS, Sampler
from taskbell.capacity.report import INTERRUPTED, progress_line
from taskbell.capacity.steps import Step
from taskbell.capacity.workers import briefing_served

_STOP_SECONDS = 30.0
_STOP_SECONDS_OF_WORKERS = 90.0
"""Locust waits for a worker that has gone for 20 s, and for one that does not stop for 72 s."""


class LoadFailed(Exception):
    """The load could not begin."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The finished steps, and why the load ended early; an empty text if it did not."""

    steps: list[Step]
    ended_by: str = ""


class Load:
    """Starts, watches and ends both processes."""

    def __init__(
        self, briefing: Briefing, platform: service.UnderLoad, *, held: ExitStack, tell: Callable[[str], None]
    ) -> None:
        """Start the listeners."""
        self._briefing = briefing
        self._platform = platform
        self._held = held
        self._tell = tell
        self._listeners = self._start(LISTENERS, ["-m", "taskbell.capacity.listeners", str(briefing.path)])

    def _start(self, name: str, arguments: list[str]) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "CAPACITY_BRIEFING": str(self._briefing.path)}
        log = self._held.enter_context((self._briefing.folder / f"{name}.log").open("wb"))
        process = subprocess.Popen(
            leashed([sys.executable, *arguments]),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        self._held.callback(service.stop, process, within=_STOP_SECONDS)
        return process

    def await_listeners(self) -> None:
        """Wait until every account has a listener.

        Raises:
            LoadFailed: They do not start.
        """
        deadline = time.monotonic() + 60
        while (report := ledger.listening(self._briefing))["open"] < len(self._briefing.accounts):
            if self._listeners.poll() is not None or time.monotonic() > deadline:
                raise LoadFailed(f"{report['open']} listeners came up: {self._last_words(LISTENERS)}")
            time.sleep(0.1)

    def carry_out(self, interrupts: Interrupts, *, workers: Workers | None = None) -> Outcome:
        """Grow the load until the scenario ends it or something fails; workers, if there are some, make it."""
        scenario = str(Path(__file__).with_name("scenario.py"))
        options = ["--headless", "--only-summary", "--loglevel", "WARNING", "--stop-timeout", "12"]
        if workers is not None:
            serving = briefing_served(self._briefing, host="", port=workers.port + 1, key=workers.key)
            self._held.enter_context(serving)
            options += ["--master", "--master-bind-port", str(workers.port), "--expect-workers", str(workers.number)]
            options += ["--expect-workers-max-wait", "300"]
        generator = self._start(GENERATOR, ["-m", "locust", "-f", scenario, *options, "--exit-code-on-error", "0"])
        sampler = Sampler(
            lambda: {**self._platform.processes(), GENERATOR: generator.pid, LISTENERS: self._listeners.pid}
        )
        # At the end one step may still run, and requests may wait for their time-outs.
        deadline = self._briefing.load_until + self._briefing.plan.step_seconds + _STOP_SECONDS
        told = 0
        ended_by = ""
        with interrupts.ending_the_load():
            while not ended_by and generator.poll() is None:
                sampler.sample()
                steps = read_steps(self._briefing.steps)
                for step in steps[told:]:
                    self._tell(progress_line(step))
                told = len(steps)
                ended_by = self._trouble(interrupts, is_late=time.time() > deadline)
                time.sleep(0.5)
        if workers is not None and ended_by == INTERRUPTED:
            self._briefing.end_load()
            with suppress(subprocess.TimeoutExpired):
                generator.wait(_STOP_SECONDS_OF_WORKERS)
        status = service.stop(generator, within=_STOP_SECONDS)
        sampler.sample()
        if not ended_by and status != 0:
            ended_by = f"the load generator ended early, with status {status}: {self._last_words(GENERATOR)}"
        steps = read_steps(self._briefing.steps)
        for step in steps[told:]:
            self._tell(progress_line(step))
        sampled = [replace(step, processor=sampler.between(step.started, step.ended)) for step in steps]
        return Outcome(sampled, ended_by)

    def _trouble(self, interrupts: Interrupts, *, is_late: bool) -> str:
        if interrupts.is_asked:
            return INTERRUPTED
        if self._platform.has_ended():
            return f"the platform ended: {self._platform.last_words()}"
        if self._listeners.poll() is not None:
            return f"the listeners ended early: {self._last_words(LISTENERS)}"
        return "the load generator did not end in time" if is_late else ""

    def end(self) -> None:
        """Make the listeners write what they received."""
        service.stop(self._listeners, within=_STOP_SECONDS)

    def _last_words(self, name: str) -> str:
        lines = (self._briefing.folder / f"{name}.log").read_text(errors="replace").strip().splitlines()
        return " | ".join(lines[-3:]) or "it said nothing"
