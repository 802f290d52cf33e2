"""`taskbell edit`: fields of a task change."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from taskbell.terminal import fields, lookup
from taskbell.terminal.api import Api, Refused
from taskbell.terminal.errors import Conflicting, Misused, reported
from taskbell.terminal.memory import Shown
from taskbell.terminal.options import AsJson, ProfileName, TaskArgument, signed_in
from taskbell.terminal.rendering import as_json, details

_NONE = "none"


class Status(StrEnum):
    """What a task can be."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


Unassign = Annotated[list[str] | None, typer.Option(metavar="WHO", help="Who does it no more. Repeatable.")]


@reported()
def edit(
    task: TaskArgument,
    *,
    title: Annotated[str | None, typer.Option("--title", "-t", help="What there is to do.")] = None,
    due: Annotated[str | None, typer.Option(metavar="WHEN", help="When it is due, or none.")] = None,
    start: Annotated[str | None, typer.Option(metavar="WHEN", help="When work can begin, or none.")] = None,
    priority: fields.Priority = None,
    description: Annotated[str | None, typer.Option("--description", "-d", help="More about it, or ''.")] = None,
    status: Annotated[Status | None, typer.Option("--status", "-s", help="What it is from now on.")] = None,
    assign: fields.Assign = None,
    unassign: Unassign = None,
    profile: ProfileName = "default",
    json_: AsJson = False,
) -> None:
    """Change a task, unless somebody has changed it since you saw it: then the status is 5, and nothing is done."""
    given = {"title": title, "priority": priority, "status": None if status is None else status.value}
    body: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if description is not None:
        body["description"] = description or None
    for name, text in (("due_at", due), ("start_at", start)):
        if text is not None:
            body[name] = None if text.lower() == _NONE else fields.instant(text)
    if not body and not assign and not unassign:
        raise Misused("say what to change: --title, --due, --start, --priority, --description, --status or --assign")
    with signed_in(profile) as api:
        shown = lookup.task(task, api.memory)
        if assign or unassign:
            shown, body["assignee_ids"] = _assignees(api, shown, assign or [], unassign or [])
        found = _changed(api, shown, body, name=task)
        with api.memory.changed() as remembered:
            remembered.note(found)
        if json_:
            as_json(found)
        else:
            print("\n".join(details(found, assignees=lookup.names(api, found["workspace_id"], found["assignee_ids"]))))


def _assignees(api: Api, shown: Shown, assign: list[str], unassign: list[str]) -> tuple[Shown, list[str]]:
    """Who does the task afterwards, from who does it now; and the version that this was read from."""
    present = api.get(f"/v1/tasks/{shown.id}")
    workspace_id = present["workspace_id"]
    more = lookup.members(api, assign, workspace_id=workspace_id)
    fewer = lookup.members(api, unassign, workspace_id=workspace_id)
    wanted = [one for one in dict.fromkeys([*present["assignee_ids"], *more]) if one not in fewer]
    return (shown if shown.version else Shown(shown.id, present["version"])), wanted


def _changed(api: Api, shown: Shown, body: dict[str, Any], *, name: str) -> dict[str, Any]:
    headers = {"If-Match": f'"{shown.version}"'} if shown.version else {}
    try:
        return api.tried("PATCH", f"/v1/tasks/{shown.id}", body, headers=headers)
    except Refused as refused:
        if refused.code != "version_mismatch":
            raise refused.failure() from refused
        raise Conflicting(
            f"it has changed since you saw it: look at it with `taskbell show {name}`, then edit"
        ) from None
