"""`taskbell add`: a new task."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from taskbell.terminal import fields, lookup
from taskbell.terminal.errors import reported
from taskbell.terminal.options import AsJson, ProfileName, Workspace, signed_in
from taskbell.terminal.rendering import as_json, task_line


@reported()
def add(
    title: Annotated[list[str], typer.Argument(metavar="TITLE...", help="What there is to do.")],
    *,
    due: fields.Due = None,
    start: fields.Start = None,
    priority: fields.Priority = None,
    description: fields.Description = None,
    assign: fields.Assign = None,
    workspace: Workspace = None,
    id_: Annotated[bool, typer.Option("--id", help="Print its id alone, for scripts.")] = False,
    remind: Annotated[bool, typer.Option("--remind", help="Remind those responsible for it at once.")] = False,
    profile: ProfileName = "default",
    json_: AsJson = False,
) -> None:
    """Add a task at the end of your personal list, or of a workspace's."""
    body: dict[str, Any] = {"title": " ".join(title)}
    if due is not None:
        body["due_at"] = fields.instant(due)
    if start is not None:
        body["start_at"] = fields.instant(start)
    if priority is not None:
        body["priority"] = priority
    if description is not None:
        body["description"] = description
    with signed_in(profile) as api:
        if (workspace_id := lookup.workspace(api, workspace)) is not None:
            body["workspace_id"] = workspace_id
        if assign:
            body["assignee_ids"] = lookup.members(api, assign, workspace_id=workspace_id)
        made = api.send("POST", "/v1/tasks", body)
        if json_:
            as_json(made)
        elif id_:
            print(made["id"])
        else:
            with api.memory.changed() as remembered:
                number = remembered.number(made)
            print(task_line(made, number=number if api.memory.numbers else None))
        if remind:  # last: the task is told also when this fails
            api.send("POST", f"/v1/tasks/{made['id']}/remind")
