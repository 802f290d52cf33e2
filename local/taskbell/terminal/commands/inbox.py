"""`taskbell inbox`: notifications."""

from __future__ import annotations

from typing import Annotated

import typer

from taskbell.terminal import rendering
from taskbell.terminal.errors import reported, tell
from taskbell.terminal.options import AsJson, ProfileName, signed_in
from taskbell.terminal.text import local, plain

_SCREEN = 50
_AT_ONCE = 1000
"""As many as one request marks."""


@reported()
def inbox(
    *,
    read: Annotated[bool, typer.Option("--read", help="Mark those that are shown as read.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Also those that you have read.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=_AT_ONCE, help="At most so many.")] = _SCREEN,
    profile: ProfileName = "default",
    json_: AsJson = False,
) -> None:
    """Show your notifications, the newest first, and unread ones only unless you want --all.

    With --json one notification a line.
    """
    with signed_in(profile) as api:
        unread = None if everything else "true"
        found = list(api.pages("/v1/notifications", limit=limit, unread=unread))
        if json_:
            for one in found:
                rendering.as_json(one)
        else:
            rows = [(local(one["created_at"]), plain(one["title"]), plain(one["body"])) for one in found]
            styles = ["dim" if one["read_at"] else "" for one in found]
            rendering.table(("when", "title", "what"), rows, styles=styles)
        if read and (ids := [one["id"] for one in found if one["read_at"] is None]):
            api.send("POST", "/v1/notifications/read", {"ids": ids})
    if not found and not json_:
        tell("nothing new" if not everything else "no notifications")
