"""Options that commands share, and what they open."""

from __future__ import annotations

from typing import Annotated

import typer

from taskbell.terminal.addresses import checked
from taskbell.terminal.api import Api
from taskbell.terminal.memory import Memory
from taskbell.terminal.profiles import Profile, folder, from_environment

ProfileName = Annotated[
    str, typer.Option("--profile", envvar="TASKBELL_PROFILE", help="Which sign-in, if you have several.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Url = Annotated[
    str | None,
    typer.Argument(
        metavar="URL",
        envvar="TASKBELL_URL",
        help="Address of the installation; default: the platform that runs here.",
    ),
]
InsecureHttp = Annotated[
    bool, typer.Option("--insecure-http", help="Permit an address without https on another machine.")
]
Workspace = Annotated[
    str | None, typer.Option("--workspace", "-w", help="Name or id of a workspace; default: your personal one.")
]
TaskArgument = Annotated[str, typer.Argument(metavar="TASK", help="Its number in the last list, or its whole id.")]


def memory_of(profile: Profile) -> Memory:
    """What commands of a profile remember."""
    return Memory(folder("XDG_STATE_HOME", ".local/state") / f"{profile.name}.json")


def signed_in(profile: str) -> Api:
    """The installation of a program's environment, or else of a kept sign-in.

    Raises:
        Misused: The environment or the profile's name is malformed.
        NotSignedIn: Nobody has signed in.
    """
    given = from_environment()
    if given is not None:
        return Api(checked(given.url), token=given.token)
    kept = Profile(profile)
    found = kept.load()
    return Api(found.url, token=found.token, memory=memory_of(kept))
