"""The report of a million: the verdict, the document and its page."""

from __future__ import annotations

import platform as machine
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson
import psutil

from taskbell.capacity.million import judging
from taskbell.capacity.million.ears import Ear
from taskbell.capacity.million.judging import Rows
from taskbell.capacity.million.store import State
from taskbell.capacity.page import render_million
from taskbell.capacity.report import NOT_CONSERVED, PASSED, exit_status

Report = dict[str, Any]
_MEANINGS: Final = {
    "create": "POST /v1/tasks, each once",
    "rows": "reading all lists of tasks; what got no answer and has no row is created",
    "arrive": "until the reminders were due and the listeners had everything",
    "feeds": "reading all change feeds",
    "inboxes": "reading all inboxes",
}


def document(state: State, *, answers: bytes, read: Rows, heard: Rows, ears: Sequence[Ear]) -> Report:
    """Everything about a run, as plain values for `report.json`."""
    plan = state.plan
    places = judging.places(plan, answers=answers, read=read, heard=heard)
    sums = judging.sums(plan, answers=answers, read=read, heard=heard)
    strange = sum(ear.strange for ear in ears)
    lost, double = sum(place.lost for place in places), sum(place.double for place in places) + strange
    numbers = _numbers(state)
    found: Report = {
        "verdict": NOT_CONSERVED if lost or double else PASSED,
        "tasks": plan.tasks,
        "sums": asdict(sums),
        "lost": lost,
        "double": double,
        "places": [asdict(place) for place in places],
        "stages": [
            {
                "name": name,
                "meaning": _MEANINGS[name],
                "seconds": seconds,
                "items": numbers.get(name),
                "per_second": round(numbers[name] / seconds, 1) if name in numbers and seconds else None,
            }
            for name, seconds in state.seconds.items()
        ],
        "killed": state.killed,
        "starts": state.starts,
        "failures": state.failures,
        "connections": {
            "listeners": len(ears),
            "reconnects": sum(ear.reconnects for ear in ears),
            "gaps": sum(ear.gaps for ear in ears),
            "strange": strange,
        },
        "cpu_us_per_create": {
            part: round(seconds / max(state.cpu_creations, 1) * 1e6)
            for part, seconds in sorted(state.cpu_seconds.items(), key=lambda item: -item[1])
        },
        "plan": asdict(plan),
        "surroundings": {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": f"{machine.system()} {machine.machine()}, {psutil.cpu_count()} cores,"
            f" {psutil.virtual_memory().total / 2**30:.0f} GiB",
            "python": machine.python_version(),
        },
    }
    found["summary"] = summary(found)
    return found


def _numbers(state: State) -> dict[str, int]:
    """How many items each stage handled."""
    tasks, reminded = state.plan.tasks, state.plan.reminded
    return {
        "create": tasks,
        "rows": tasks,
        "feeds": 3 * tasks + 2 * reminded,
        "inboxes": tasks + 2 * reminded,
    }


def summary(found: Report) -> str:
    """The run in a few sentences."""
    sums = found["sums"]
    counts = ", ".join(f"{sums[name]:,} {name}" for name in ("created", "rows", "events", "frames", "notifications"))
    said = [f"{counts}; {sums['reminders']:,} tasks had their reminders."]
    create = next((stage for stage in found["stages"] if stage["name"] == "create"), None)
    if create is not None and create["per_second"]:
        said.append(f"{create['per_second']:,.0f} tasks a second were created, over {create['seconds']:,.0f} s.")
    if found["killed"]:
        said.append(f"Killed meanwhile: {' and '.join(found['killed'])}.")
    said.append(
        "Nothing was lost, and nothing came twice."
        if found["verdict"] == PASSED
        else f"{found['lost']:,} traces were lost, {found['double']:,} came double."
    )
    return " ".join(said)


def write(found: Report, output: Path) -> int:
    """Write the document and its page into a folder; return the exit status."""
    output.mkdir(parents=True, exist_ok=True)
    (output / "report.json").write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")
    (output / "report.html").write_text(render_million(found))
    return exit_status(str(found["verdict"]))
