"""`taskbell workspaces`: those you belong to."""

from __future__ import annotations

from typing import Annotated

import typer

from taskbell.terminal import rendering
from taskbell.terminal.errors import reported
from taskbell.terminal.options import AsJson, ProfileName, signed_in
from taskbell.terminal.text import plain


@reported()
def workspaces(
    *,
    new: Annotated[str | None, typer.Option(metavar="NAME", help="Make a workspace of this name first.")] = None,
    profile: ProfileName = "default",
    json_: AsJson = False,
) -> None:
    """List your workspaces, with your role in each; --new makes one that you own."""
    with signed_in(profile) as api:
        if new is not None:
            api.send("POST", "/v1/workspaces", {"name": new})
        found = list(api.pages("/v1/workspaces", limit=None))
    if json_:
        for each in found:
            rendering.as_json(each)
    else:
        rows = [(plain(each["name"]), each["role"], each["id"]) for each in found]
        rendering.table(("workspace", "role", "id"), rows)
