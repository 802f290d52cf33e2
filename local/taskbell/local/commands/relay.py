"""`taskbell relay`: the relay by its short name."""

from __future__ import annotations

import runpy
import sys

import typer


def relay(context: typer.Context) -> None:
    """Run the relay from PostgreSQL to NATS, as `taskbell-relay` does; its options are passed on."""
    sys.argv = ["taskbell-relay", *context.args]
    runpy.run_module("taskbell.relay", run_name="__main__")
