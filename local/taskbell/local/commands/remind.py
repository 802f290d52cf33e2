"""`taskbell remind`: one sweep, as the CronJobs run it."""

from __future__ import annotations

import runpy
import sys

import typer


def remind(context: typer.Context) -> None:
    """Fire due reminders, or keep the database small (`--kind maintenance`), once, as the CronJobs do."""
    sys.argv = ["taskbell remind", *context.args]
    runpy.run_module("taskbell.api.reminders", run_name="__main__")
