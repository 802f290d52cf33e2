"""The `taskbell` command line."""

from __future__ import annotations

from importlib import metadata
from typing import Annotated

import typer

from taskbell.local.commands import deadletters, keys
from taskbell.local.commands.doctor import doctor
from taskbell.local.commands.listen import listen
from taskbell.local.commands.migrate import migrate
from taskbell.local.commands.openapi import openapi
from taskbell.local.commands.relay import relay
from taskbell.local.commands.remind import remind
from taskbell.local.commands.replay import replay
from taskbell.local.commands.up import up

_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


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
    app.command()(up)
    app.command()(doctor)
    app.command()(migrate)
    app.command(add_help_option=False, context_settings=_PASSED_ON)(relay)
    app.command(add_help_option=False, context_settings=_PASSED_ON)(remind)
    app.command()(listen)
    app.command()(openapi)
    app.command()(replay)
    app.add_typer(deadletters.group())
    app.add_typer(keys.group())
    return app


def main() -> None:
    """Run the command line."""
    build()()
