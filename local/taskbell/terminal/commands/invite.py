"""`taskbell invite`: somebody may join a workspace."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from taskbell.terminal import lookup
from taskbell.terminal.errors import reported
from taskbell.terminal.options import AsJson, ProfileName, signed_in
from taskbell.terminal.rendering import as_json
from taskbell.terminal.text import local, plain


class Role(StrEnum):
    """What a member may do."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"


@reported()
def invite(
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="Whom.")],
    *,
    workspace: Annotated[str, typer.Option("--workspace", "-w", help="Name or id of the workspace.")],
    role: Annotated[Role, typer.Option(help="What they may do in it.")] = Role.MEMBER,
    profile: ProfileName = "default",
    json_: AsJson = False,
) -> None:
    """Invite somebody to a workspace; nobody belongs to one without having agreed."""
    with signed_in(profile) as api:
        path = f"/v1/workspaces/{lookup.workspace(api, workspace)}/members"
        made = api.send("POST", path, {"email": email, "role": role.value})
    if json_:
        as_json(made)
    else:
        print(f"invited {plain(made['email'])} as {made['role']} until {local(made['expires_at'])}")
