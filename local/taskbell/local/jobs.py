"""Programs that run and end: migrations at the start, sweeps all the time, maintenance every hour."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from taskbell.local.embedded.process import last_words, launched


class JobFailed(Exception):
    """A program ended with a status other than 0. The message is one line with its last output and its log."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A Python module to run to its end."""

    name: str
    """Also the name of its log."""
    module: tuple[str, ...]
    """What follows `python -m`."""
    env: Mapping[str, str]
    """The whole environment of the process."""
    logs: Path
    """Folder of the log."""

    async def run(self) -> None:
        """Run to the end; when cancelled, the process is killed.

        Raises:
            JobFailed: It ended with a status other than 0.
        """
        log = self.logs / f"{self.name}.log"
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *launched([sys.executable, "-m", *self.module]),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(self.env),
                start_new_session=True,
            )
        try:
            status = await process.wait()
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        if status:
            raise JobFailed(f"{self.name} failed: exit status {status}, last words: {last_words(log)} (log: {log})")


async def always(job: Job, *, pause: float, tell: Callable[[str], None]) -> None:
    """Run a job again as soon as it ends; after a failure, report it and wait `pause` seconds."""
    while True:
        try:
            await job.run()
        except JobFailed as failed:
            tell(str(failed))
            await asyncio.sleep(pause)


async def every(seconds: float, job: Job, *, tell: Callable[[str], None]) -> None:
    """Run a job every `seconds`, counted from the end of the last run; report failures."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await job.run()
        except JobFailed as failed:
            tell(str(failed))
