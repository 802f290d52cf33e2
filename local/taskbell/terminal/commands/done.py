"""`taskbell done`: tasks are completed."""

from __future__ import annotations

from typing import Annotated

import typer

from taskbell.terminal import lookup
from taskbell.terminal.errors import Failed, reported, tell
from taskbell.terminal.options import AsJson, ProfileName, signed_in
from taskbell.terminal.rendering import as_json
from taskbell.terminal.text import plain


@reported()
def done(
    tasks: Annotated[list[str], typer.Argument(metavar="TASK...", help="Their numbers in the last list, or ids.")],
    *,
    profile: ProfileName = "default",
    json_: AsJson = False,
) -> None:
    """Complete tasks.

    Nothing is done if a number names no task. If one cannot be completed, the others still are, and the exit status is
    of the first that cannot.
    """
    failed: list[Failed] = []
    with signed_in(profile) as api:
        wanted = [lookup.task(text, api.memory) for text in tasks]
        for text, task in zip(tasks, wanted, strict=True):
            try:
                found = api.send("PATCH", f"/v1/tasks/{task.id}", {"status": "completed"})
            except Failed as refused:
                tell(f"{text}: {refused}")
                failed.append(refused)
                continue
            with api.memory.changed() as remembered:
                remembered.note(found)
            if json_:
                as_json(found)
            else:
                print(f"done: {plain(found['title'])}", flush=True)
    if failed:
        raise typer.Exit(failed[0].status)
