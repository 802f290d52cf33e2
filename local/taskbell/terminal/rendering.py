"""What commands print: tables for a person at a terminal, tab-separated lines for a pipe, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from taskbell.terminal.text import lines, local, plain

OPEN = ("pending", "in_progress")
"""The statuses of a task that is not done."""


def as_json(document: Mapping[str, Any]) -> None:
    """Print a document on one line, in ASCII: nothing in it controls a terminal."""
    print(json.dumps(document), flush=True)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, styles: Sequence[str] = ()) -> None:
    """Print rows; `styles` are those of the rows, on a terminal. Cells must be plain already."""
    if not sys.stdout.isatty():
        for row in rows:
            print("\t".join(row))
        return
    from rich.console import Console  # noqa: PLC0415 -- only a terminal needs it
    from rich.table import Column, Table  # noqa: PLC0415 -- the same
    from rich.text import Text  # noqa: PLC0415 -- the same

    wide = {"title", "what"}
    columns = [
        Column(name.upper(), overflow="ellipsis", no_wrap=True, ratio=1 if name in wide else None) for name in headings
    ]
    shown = Table(*columns, box=None, pad_edge=False, header_style="dim", expand=False)
    for number, row in enumerate(rows):
        shown.add_row(*(Text(cell) for cell in row), style=styles[number] if styles else None)
    Console(highlight=False).print(shown)


def tasks(found: Sequence[Mapping[str, Any]], *, numbers: bool) -> None:
    """Print a list of tasks; the first column is what other commands take."""
    rows = [
        (
            str(place) if numbers else task["id"],
            plain(task["title"]),
            local(task["due_at"]),
            str(task["priority"]),
            task["status"].replace("_", " "),
        )
        for place, task in enumerate(found, 1)
    ]
    table(("#", "title", "due", "priority", "status"), rows, styles=[_style(task) for task in found])


def task_line(task: Mapping[str, Any], *, number: int | None, verb: str = "") -> str:
    """A task in one line."""
    due = f"  due {local(task['due_at'])}" if task["due_at"] else ""
    name = task["id"] if number is None else str(number)
    return f"{verb}{name}  {plain(task['title'])}{due}"


def details(task: Mapping[str, Any], *, assignees: Sequence[str]) -> list[str]:
    """A whole task, line by line."""
    fields = {
        "status": task["status"].replace("_", " "),
        "priority": str(task["priority"]),
        "due": local(task["due_at"]),
        "start": local(task["start_at"]),
        "assigned": ", ".join(plain(name) for name in assignees),
        "changed": local(task["updated_at"]),
        "id": task["id"],
    }
    description = ["", *lines(task["description"])] if task["description"] else []
    told = [f"{name + ':':<10}{value}" for name, value in fields.items() if value]
    return [plain(task["title"]), *told, *description]


def _style(task: Mapping[str, Any]) -> str:
    if task["status"] not in OPEN:
        return "dim"
    overdue = task["due_at"] is not None and datetime.fromisoformat(task["due_at"]) < datetime.now(UTC)
    return "red" if overdue else ""
