"""The report's plots, as SVG that takes its colours from the page: one drawing for light and for dark."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

INK, MUTED, LINE, BREAK = "#010101", "#010102", "#010103", "#010104"
SERIES: Final = ("#010111", "#010112", "#010113", "#010114", "#010115", "#010116", "#010117", "#010118", "#010119")
_VARIABLES: Final = {INK: "--ink", MUTED: "--muted", LINE: "--line", BREAK: "--bad"} | {
    colour: f"--series-{number}" for number, colour in enumerate(SERIES, 1)
}
"""Placeholder colours; each becomes a variable of the page's style sheet."""
_STYLE: Final[Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "capacity",  # the same figures give the same drawing
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "lines.linewidth": 1.8,
    "lines.markersize": 4,
    "legend.frameon": False,
    "legend.columnspacing": 1.2,
    "legend.handlelength": 1.4,
    "legend.fontsize": 8.5,
}

Report = dict[str, Any]


def answers(report: Report) -> str:
    """p99 of each kind of request at every step, with the limits."""

    def draw(axes: Axes) -> None:
        steps = report["steps"]
        for colour, kind in zip(SERIES, report["kinds"], strict=False):
            _line(axes, [step["kinds"][kind]["p99_ms"] for step in steps], label=kind, colour=colour)
        for limit in sorted({*report["plan"]["limits"]["p99_ms"].values()}):
            _limit(axes, limit)
        _milliseconds(axes)

    return _draw(report, draw, label="p99 of the answers in milliseconds at each step")


def events(report: Report) -> str:
    """How long events take to a frame at every step, with the limit."""

    def draw(axes: Axes) -> None:
        for colour, name in zip(SERIES, ("p50", "p95", "p99"), strict=False):
            _line(axes, [step["event_latency"][f"{name}_ms"] for step in report["steps"]], label=name, colour=colour)
        _limit(axes, report["plan"]["limits"]["event_p99_ms"])
        _milliseconds(axes)

    return _draw(report, draw, label="Milliseconds from an event's row to its frame at each step")


def throughput(report: Report) -> str:
    """Requests a second of each kind at every step, stacked."""

    def draw(axes: Axes) -> None:
        below = [0.0] * len(report["steps"])
        for colour, kind in zip(SERIES, report["kinds"], strict=False):
            below = _bars(axes, [step["kinds"][kind]["rps"] for step in report["steps"]], below, kind, colour)
        axes.set_ylim(bottom=0)

    return _draw(report, draw, label="Requests a second at each step")


def processor(report: Report) -> str:
    """Who used how many cores at every step, stacked, with the cores there are."""
    steps = [step for step in report["steps"] if step["processor"] is not None]

    def draw(axes: Axes) -> None:
        below = [0.0] * len(steps)
        parts = {"platform": SERIES[0], "generator": SERIES[1], "listeners": SERIES[2], "others": SERIES[-1]}
        for name, colour in parts.items():
            below = _bars(axes, [step["processor"][name] for step in steps], below, name, colour)
        if steps:
            _limit(axes, steps[0]["processor"]["cores"], text=f"{steps[0]['processor']['cores']} cores")
        axes.set_ylim(bottom=0)

    return _draw({**report, "steps": steps}, draw, label="Processor cores in use at each step")


def _line(axes: Axes, values: Sequence[float | None], *, label: str, colour: str) -> None:
    present = [(place, value) for place, value in enumerate(values) if value is not None]
    axes.plot(*zip(*present, strict=True) if present else ([], []), marker="o", color=colour, label=label)


def _bars(axes: Axes, values: Sequence[float], below: Sequence[float], label: str, colour: str) -> list[float]:
    axes.bar(range(len(values)), values, 0.62, bottom=below, color=colour, label=label)
    return [lower + value for lower, value in zip(below, values, strict=True)]


def _limit(axes: Axes, value: float, *, text: str | None = None) -> None:
    axes.axhline(value, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    axes.annotate(
        text or f"limit {value:,.0f} ms",
        (0, value),
        xycoords=("axes fraction", "data"),
        xytext=(3, 3),
        textcoords="offset points",
        color=MUTED,
        fontsize=8,
    )


def _milliseconds(axes: Axes) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylabel("ms")


def _draw(report: Report, draw: Callable[[Axes], None], *, label: str) -> str:
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(5.4, 3.3), layout="constrained")
        axes = figure.add_subplot()
        steps = report["steps"]
        draw(axes)
        names = [
            f"{step['users']:,}" + (" ↻" if _is_repeated(steps, place) else "") for place, step in enumerate(steps)
        ]
        axes.set_xticks(range(len(steps)), names, rotation=45 if len(steps) > 7 else 0)
        axes.set_xlim(-0.6, max(len(steps), 1) - 0.4)
        axes.set_xlabel("users")
        for place, step in enumerate(steps):
            if step["broken"]:
                axes.axvspan(place - 0.45, place + 0.45, color=BREAK, alpha=0.13, linewidth=0, zorder=0)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=4)
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None})
    return _for_page(drawn.getvalue(), label=label)


def _is_repeated(steps: Sequence[Report], place: int) -> bool:
    return place > 0 and steps[place - 1]["users"] == steps[place]["users"]


def _for_page(drawn: str, *, label: str) -> str:
    """The `svg` element alone, named for those who do not see it, in the page's colours and font."""
    svg = drawn[drawn.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    svg = re.sub(r"font-family: [^;\"]*", "font-family: var(--font)", svg)
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)  # it would style the whole page
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1, flags=re.DOTALL)
    # Two drawings on one page must not share the ids of their parts.
    mark = re.sub(r"[^a-z]+", "-", label.lower())
    svg = re.sub(r'\bid="', f'id="{mark}-', svg)
    svg = re.sub(r'(xlink:href="#|url\(#)', rf"\1{mark}-", svg)
    return svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
