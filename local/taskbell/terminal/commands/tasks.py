"""`taskbell tasks`: a list of tasks."""

from __future__ import annotations

from datetime import time
from enum import StrEnum
from typing import Annotated

import typer

from taskbell.terminal import fields, lookup, rendering
from taskbell.terminal.errors import Misused, reported, tell
from taskbell.terminal.options import AsJson, ProfileName, Workspace, signed_in

_SCREEN = 50


class Status(StrEnum):
    """Which tasks to list."""

    OPEN = "open"
    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    ANY = "any"

    @property
    def wanted(self) -> tuple[str, ...]:
        """The statuses that the API is asked for; none for all."""
        match self:
            case Status.OPEN:
                return rendering.OPEN
            case Status.ANY:
                return ()
            case _:
                return (self.value,)


class Sort(StrEnum):
    """The order of a list."""

    POSITION = "position"
    PRIORITY = "priority"
    DUE = "due"
    NEWEST = "newest"
    CHANGED = "changed"

    @property
    def wanted(self) -> str:
        """The same for the API."""
        known = {Sort.DUE: "due_at", Sort.NEWEST: "-created_at", Sort.CHANGED: "-updated_at"}
        return known.get(self, self.value)


@reported()
def tasks(
    *,
    workspace: Workspace = None,
    mine: Annotated[
        bool, typer.Option("--mine", help="Those that you are assigned to or created, of all workspaces.")
    ] = False,
    status: Annotated[Status, typer.Option("--status", "-s", help="Which ones; open: not done yet.")] = Status.OPEN,
    priority: fields.Priority = None,
    due_before: Annotated[str | None, typer.Option(metavar="WHEN", help="Due before it; a day: its start.")] = None,
    due_after: Annotated[str | None, typer.Option(metavar="WHEN", help="Due at this or after it.")] = None,
    sort: Annotated[Sort | None, typer.Option(help="The order; default: the list's own.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = _SCREEN,
    everything: Annotated[bool, typer.Option("--all", help="Without a limit.")] = False,
    profile: ProfileName = "default",
    json_: AsJson = False,
) -> None:
    """List tasks, those that are open by default; the other commands take their numbers.

    With --json one task a line.
    """
    if mine and workspace is not None:
        raise Misused("give --mine or --workspace: --mine lists tasks of all workspaces")
    filters = {
        "status": list(status.wanted) or None,
        "priority": priority,
        "due_before": None if due_before is None else fields.instant(due_before, of_a_day=time()),
        "due_after": None if due_after is None else fields.instant(due_after, of_a_day=time()),
        "sort": None if sort is None else sort.wanted,
    }
    with signed_in(profile) as api:
        if mine:
            path = "/v1/me/tasks"
        else:
            path, filters["workspace_id"] = "/v1/tasks", lookup.workspace(api, workspace)
        found = api.pages(path, limit=None if everything else limit + 1, **filters)
        if json_:
            for number, task in enumerate(found):
                if everything or number < limit:
                    rendering.as_json(task)
            return
        listed = list(found)
        shown = listed if everything else listed[:limit]
        with api.memory.changed() as remembered:
            remembered.number_all(shown)
        rendering.tasks(shown, numbers=api.memory.numbers)
    if not shown:
        tell("no tasks here")
    elif len(listed) > len(shown):
        tell(f"there are more than {limit}: --limit and --all show them")
