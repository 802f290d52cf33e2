"""Fields of a task from options."""

from __future__ import annotations

from datetime import datetime, time
from typing import Annotated

import typer

from taskbell.terminal import instants
from taskbell.terminal.errors import Misused

Due = Annotated[str | None, typer.Option(metavar="WHEN", help=f"When it is due, {instants.FORMS}.")]
Start = Annotated[str | None, typer.Option(metavar="WHEN", help="When work can begin.")]
Priority = Annotated[int | None, typer.Option("--priority", "-p", min=1, max=10, help="1 (highest) to 10.")]
Description = Annotated[str | None, typer.Option("--description", "-d", help="More about it.")]
Assign = Annotated[
    list[str] | None, typer.Option(metavar="WHO", help="Who does it: me, or a member's e-mail address. Repeatable.")
]


def instant(text: str, *, of_a_day: time = instants.END_OF_DAY) -> str:
    """An instant for the API from what a person typed.

    Raises:
        Misused: It is not one.
    """
    try:
        found = instants.parse(text, now=datetime.now(), of_a_day=of_a_day)  # noqa: DTZ005 -- the local clock is meant
    except instants.InstantMisspelt as misspelt:
        raise Misused(str(misspelt)) from misspelt
    return found.isoformat().replace("+00:00", "Z")
