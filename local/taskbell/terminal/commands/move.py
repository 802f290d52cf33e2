"""`taskbell move`: a task gets another place in the order of its workspace."""

from __future__ import annotations

from typing import Annotated

import typer

from taskbell.terminal import lookup
from taskbell.terminal.api import Api
from taskbell.terminal.errors import Misused, reported
from taskbell.terminal.options import AsJson, ProfileName, TaskArgument, signed_in
from taskbell.terminal.rendering import as_json
from taskbell.terminal.text import plain


@reported()
def move(
    task: TaskArgument,
    *,
    before: Annotated[str | None, typer.Option(metavar="TASK", help="Directly before this one.")] = None,
    after: Annotated[str | None, typer.Option(metavar="TASK", help="Directly after this one.")] = None,
    top: Annotated[bool, typer.Option("--top", help="Before all others.")] = False,
    bottom: Annotated[bool, typer.Option("--bottom", help="After all others.")] = False,
    profile: ProfileName = "default",
    json_: AsJson = False,
) -> None:
    """Move a task to another place; only this task changes."""
    if [before is not None, after is not None, top, bottom].count(True) != 1:
        raise Misused("say where to: one of --before, --after, --top and --bottom")
    with signed_in(profile) as api:
        moved = lookup.task(task, api.memory).id
        if before is not None or after is not None:
            side, anchor = ("before", before) if before is not None else ("after", after)
            place = {side: lookup.task(anchor or "", api.memory).id}
        else:
            place = _end(api, moved, bottom=bottom)
        found = api.send("POST", f"/v1/tasks/{moved}/move", place) if place else api.get(f"/v1/tasks/{moved}")
        with api.memory.changed() as remembered:
            remembered.note(found)
        if json_:
            as_json(found)
        else:
            print(f"moved: {plain(found['title'])}")


def _end(api: Api, moved: str, *, bottom: bool) -> dict[str, str]:
    """The place at an end of the list; empty if the task is the only one."""
    workspace_id = api.get(f"/v1/tasks/{moved}")["workspace_id"]
    sort = "-position" if bottom else "position"
    for other in api.pages("/v1/tasks", limit=2, workspace_id=workspace_id, sort=sort):
        if other["id"] != moved:
            return {"after" if bottom else "before": other["id"]}
    return {}
