"""The `taskbell` command line."""

from __future__ import annotations

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


def build() -> typer.Typer:
    """Return the application with every command registered."""
    app = typer.Typer(
        name="taskbell",
        help="Taskbell: tasks and reminders, the whole platform and the tools around it.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_show_locals=False,  # they hold passwords
    )
    app.command()(up)
    app.command()(doctor)
    app.command()(migrate)
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(relay)
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(remind)
    app.command()(listen)
    app.command()(openapi)
    app.command()(replay)
    app.add_typer(deadletters.group())
    app.add_typer(keys.group())
    return app


def main() -> None:
    """Run the command line."""
    build()()


if __name__ == "__main__":
    main()
