"""`taskbell join`: accepts an invitation."""

from __future__ import annotations

from typing import Annotated

import typer

from taskbell.terminal import lookup
from taskbell.terminal.errors import reported
from taskbell.terminal.options import AsJson, ProfileName, signed_in
from taskbell.terminal.rendering import as_json
from taskbell.terminal.text import plain


@reported()
def join(
    workspace: Annotated[str, typer.Argument(metavar="WORKSPACE", help="Its name, or the id of the invitation.")],
    *,
    profile: ProfileName = "default",
    json_: AsJson = False,
) -> None:
    """Accept an invitation to a workspace; `taskbell inbox` tells of invitations."""
    with signed_in(profile) as api:
        invitation_id = lookup.invitation(api, workspace)
        joined = api.send("POST", f"/v1/invitations/{invitation_id}/accept")
    if json_:
        as_json(joined)
    else:
        print(f"joined {plain(joined['name'])} as {joined['role']}")
