"""`taskbell show`: one task."""

from __future__ import annotations

from taskbell.terminal import lookup, rendering
from taskbell.terminal.errors import reported
from taskbell.terminal.options import AsJson, ProfileName, TaskArgument, signed_in


@reported()
def show(task: TaskArgument, *, profile: ProfileName = "default", json_: AsJson = False) -> None:
    """Show a task with everything that is known of it."""
    with signed_in(profile) as api:
        found = api.get(f"/v1/tasks/{lookup.task(task, api.memory).id}")
        if json_:
            rendering.as_json(found)
            return
        with api.memory.changed() as remembered:
            remembered.number(found)
        names = lookup.names(api, found["workspace_id"], found["assignee_ids"])
    print("\n".join(rendering.details(found, assignees=names)))
