"""`taskbell capacity`: how much an installation carries."""

from __future__ import annotations

import importlib.util
import runpy
import sys

import typer

_NEEDS = "jinja2", "locust", "matplotlib", "psutil", "websockets"


def capacity(context: typer.Context) -> None:
    """Grow the load until a limit breaks, and count what arrived; its options are passed on (`--help` lists them).

    Needs the extra `load`.
    """
    missing = [name for name in _NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        sys.stderr.write(
            f"taskbell: the capacity check needs {', '.join(missing)}: install taskbell with its extra `load`"
            " (pip install 'taskbell[load]')\n"
        )
        raise typer.Exit(2)
    sys.argv = ["taskbell capacity", *context.args]
    runpy.run_module("taskbell.capacity", run_name="__main__")
