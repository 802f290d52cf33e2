"""The report as one HTML page, from the template page.html.jinja."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from taskbell.capacity import plots

Report = dict[str, Any]
_NONE = "\N{EN DASH}"
_VERDICTS = {
    "passed": "passed",
    "not_conserved": "not conserved",
    "below_minimum": "below the minimum",
    "interrupted": "interrupted",
    "failed": "did not come to its end",
}


def _environment() -> Environment:
    made = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined)
    made.filters |= {"ms": _milliseconds, "number": _number, "share": "{:.0%}".format}
    return made


def render_million(report: Report) -> str:
    """Write the page of a million, as `taskbell.capacity.million.report.document` made it."""
    return (
        _environment().get_template("million.html.jinja").render(million=report, verdict=_VERDICTS[report["verdict"]])
    )


def render(report: Report, *, million: Report | None = None) -> str:
    """Write the page of a report, as `report.document` made it; with the newest million, if there is one."""
    return (
        _environment()
        .get_template("page.html.jinja")
        .render(
            report=report,
            million=million,
            held=max(
                (step for step in report["steps"] if not step["broken"]), key=lambda step: step["users"], default=None
            ),
            verdict=_VERDICTS[report["verdict"]],
            broken_kinds=_broken_kinds,
            plots=[
                (
                    "Answers: p99 by kind of request",
                    plots.answers(report),
                    "A red band marks a step that exceeded a limit, ↻ its second attempt: two end the load.",
                ),
                (
                    "Events: from the row to the frame",
                    plots.events(report),
                    "Measured at the listeners, over all of them.",
                ),
                ("Requests a second", plots.throughput(report), "Where it stops growing with the users, they queue."),
                (
                    "Processor cores in use",
                    plots.processor(report),
                    "Others are programs that do not belong to this run; they make its figures worse.",
                ),
            ],
        )
    )


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:,.0f}"


def _milliseconds(value: float | None) -> str:
    if value is None:
        return _NONE
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _broken_kinds(step: Report) -> str:
    """The names of the limits that a step exceeded."""
    return ", ".join(sentence.partition(":")[0] for sentence in step["broken"])
