"""The report of a run: one line for each step, with its seconds and counts, as Markdown."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HEAD = "| Step | Seconds | Seen |\n| --- | ---: | --- |\n"


class Report:
    """Writes each line at once, so that a run that breaks off has one, too."""

    def __init__(self, path: Path, title: str) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {title}\n\n{HEAD}")
        self._began = time.monotonic()

    def begin(self) -> None:
        """Count the seconds of the next line from now."""
        self._began = time.monotonic()

    def line(self, step: str, **seen: object) -> None:
        """Add a step that is done."""
        seconds = time.monotonic() - self._began
        text = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in seen.items())
        with self.path.open("a") as file:
            file.write(f"| {step} | {seconds:.0f} | {text.replace('|', '/')} |\n")
        print(f"{step}: {seconds:.0f} s; {text}", flush=True)  # noqa: T201 -- a person waits for it
        self.begin()


def unseen(report: Report, step: str, result: Mapping[str, Any], *, failures: bool = False) -> None:
    """Write a line about a load, and assert that each task and each event came exactly once.

    Args:
        report: Where the line goes.
        step: What was done during the load.
        result: What `user.py load` told.
        failures: Whether requests may have failed. Each was repeated until it succeeded; one whose answer was lost
            after its commit has then made two tasks, and the client knows of one.
    """
    unanswered = result["stored"] - result["created"]
    report.line(
        step,
        creates=result["created"],
        failed_requests=len(result["failures"]),
        unanswered=unanswered,
        lost=result["lost"],
        double=result["double"],
        reconnects=len(result["reconnects"]),
        p50_ms=result["p50_ms"],
        slowest_ms=result["slowest_ms"],
    )
    assert failures or not result["failures"], "\n".join(result["failures"])
    nothing = {"lost": 0, "double": 0, "gaps": 0}
    assert {name: result[name] for name in nothing} == nothing
    assert result["created"] == result["asked"]
    assert 0 <= unanswered <= (len(result["failures"]) if failures else 0)
    assert result["foreign"] <= unanswered
