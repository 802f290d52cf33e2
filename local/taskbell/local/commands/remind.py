"""`taskbell remind`: one sweep, as the CronJobs run it."""

from __future__ import annotations

import os
import runpy
import sys

import typer

from taskbell.kit.settings import PREFIX, load
from taskbell.local import run_file
from taskbell.local.data_dir import DataDir
from taskbell.local.settings import LocalSettings


def remind(context: typer.Context) -> None:
    """Run one sweep, as the CronJobs do: `--kind due`, `overdue`, `stale`, `digest` or `maintenance`.

    Without TASKBELL_DATABASE_URL for the platform that runs in TASKBELL_DATA_DIR.
    """
    if f"{PREFIX}DATABASE_URL" not in os.environ:
        _name_the_platform_here()
    sys.argv = ["taskbell remind", *context.args]
    runpy.run_module("taskbell.sweeper", run_name="__main__")


def _name_the_platform_here() -> None:
    """Set the addresses of the platform that runs on this machine, if one does; else the sweep says what is missing."""
    running = run_file.read(DataDir(load(LocalSettings).data_dir).run)
    if running is not None:
        os.environ[f"{PREFIX}DATABASE_URL"] = running.owner_database_url
        os.environ.setdefault(f"{PREFIX}NATS_URL", running.nats_url)
