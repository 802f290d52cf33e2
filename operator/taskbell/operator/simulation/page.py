"""The picture of a simulation: one HTML file with its own style and drawings, which loads nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from string import Template
from typing import Any, Final

from taskbell.operator.simulation.loads import Load
from taskbell.operator.simulation.model import Run

_POINTS: Final = 600
"""Points of a line: a longer run is drawn in as many pieces, each with its mean or its greatest value."""
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 1000, 220, 70, 24, 12
_ROWS: Final = 500
_STEPS: Final = (1, 2, 5, 10)
_SPANS: Final = (1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 21_600, 43_200, 86_400)

_PAGE: Final = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>$title</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
:root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --ink: #16191f; --muted: #5b6472; --line: #dfe3e9;
  --arrivals: #2563eb; --backlog: #d97706; --pods: #059669; }
@media (prefers-color-scheme: dark) { :root { --page: #101317; --card: #181c22; --ink: #e8ebf0; --muted: #9aa4b2;
  --line: #2d333c; --arrivals: #60a5fa; --backlog: #fbbf24; --pods: #34d399; } }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1100px; margin: 0 auto; padding: 28px 16px 48px; }
h1 { font-size: 23px; margin: 0 0 4px; } h2 { font-size: 15px; margin: 0 0 4px; }
p { margin: 4px 0; color: var(--muted); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 10px; margin: 18px 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px 14px;
  margin: 0 0 12px; }
.tiles .card { margin: 0; } .tiles b { display: block; font-size: 17px; }
.tiles span { color: var(--muted); font-size: 13px; }
svg { display: block; width: 100%; height: auto; } svg text { fill: var(--muted); font-size: 12px; }
.grid { stroke: var(--line); } .line { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
.limit { stroke: var(--muted); stroke-dasharray: 5 4; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; } th, td { text-align: left; padding: 4px 8px;
  border-bottom: 1px solid var(--line); } .scroll { overflow-x: auto; }
</style></head><body><main>
<h1>$title</h1><p>$about</p>
<div class="tiles">$tiles</div>
$plots
<div class="card"><h2>Changes of the size</h2><div class="scroll"><table>
<tr><th>After</th><th>Pods</th><th>Why</th></tr>$changes</table></div><p>$more</p></div>
</main></body></html>
""")


def render(title: str, about: str, load: Load, run: Run, summary: dict[str, Any], *, most: int) -> str:
    """The page; `most` is the pool's greatest size."""
    plots = [
        _plot("Arriving messages a second", "arrivals", _pieces(load, _mean), len(load)),
        _plot("Backlog: messages not completed", "backlog", _pieces(run.backlog, max), len(load)),
        _plot("Age of the oldest message, in seconds", "backlog", _pieces(run.age, max), len(load)),
        _plot("Pods", "pods", _pieces(run.pods, max), len(load), limit=most, steps=True),
    ]
    changes = "".join(
        f"<tr><td>{span(change.at)}</td><td>{change.before} → {change.size}</td><td>{escape(change.reason)}</td></tr>"
        for change in run.changes[:_ROWS]
    )
    left_out = run.ups + run.downs - min(_ROWS, len(run.changes))
    return _PAGE.substitute(
        title=escape(title),
        about=escape(about),
        tiles="".join(
            f'<div class="card"><b>{escape(value)}</b><span>{escape(name)}</span></div>'
            for name, value in in_words(summary)
        ),
        plots="".join(plots),
        changes=changes or "<tr><td colspan=3>none</td></tr>",
        more=f"{left_out} more are not shown." if left_out else "",
    )


def in_words(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """The summary as names and values with their units."""
    return [
        ("load", f"{span(summary['seconds'])}, {summary['arrived']:,} messages"),
        ("greatest backlog", f"{summary['max_backlog']:,} after {span(summary['max_backlog_at'])}"),
        ("greatest age", f"{span(summary['max_age_s'])} after {span(summary['max_age_at'])}"),
        ("left at the end", f"{summary['left']:,} messages"),
        ("pod-hours", f"{summary['pod_hours']:,}"),
        ("pods", f"{summary['mean_pods']:,} on average, {summary['max_pods']:,} at most"),
        ("changes of the size", f"{summary['scaled_up']} up, {summary['scaled_down']} down"),
        ("kept small by replicas.max", span(summary["seconds_at_max"])),
    ]


def span(seconds: float) -> str:
    """A time in words: `1h 5m`, `20s`."""
    whole = int(seconds)
    parts = [(whole // 86_400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "m"), (whole % 60, "s")]
    return " ".join(f"{number}{unit}" for number, unit in parts if number) or "0s"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _pieces(values: Sequence[float], of: Callable[[Sequence[float]], float]) -> list[tuple[float, float]]:
    """Points of a line: the second at which each piece begins, and its value."""
    width = max(1, -(-len(values) // _POINTS))
    return [(begin, of(values[begin : begin + width])) for begin in range(0, len(values), width)]


def _plot(
    title: str, colour: str, points: list[tuple[float, float]], seconds: int, *, limit: float = 0, steps: bool = False
) -> str:
    ticks = _ticks(max(limit, *(value for _, value in points)))
    top = ticks[-1]

    def x(second: float) -> float:
        return round(_LEFT + second / max(1, seconds) * (_WIDTH - _LEFT - 10), 1)

    def y(value: float) -> float:
        return round(_HEIGHT - _BOTTOM - value / top * (_HEIGHT - _BOTTOM - _TOP), 1)

    parts = []
    for tick in ticks:
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - 10}" y1="{y(tick)}" y2="{y(tick)}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y(tick) + 4}" text-anchor="end">{tick:,g}</text>')
    every = next((one for one in _SPANS if seconds / one <= 10), 86_400)
    parts += [
        f'<text x="{x(second)}" y="{_HEIGHT - 6}" text-anchor="middle">{span(second)}</text>'
        for second in range(0, seconds + 1, every)
    ]
    if limit:
        parts.append(f'<line class="limit" x1="{_LEFT}" x2="{_WIDTH - 10}" y1="{y(limit)}" y2="{y(limit)}"/>')
    path, before = [], points[0][1]
    for second, value in [*points, (float(seconds), points[-1][1])]:
        if steps:
            path.append(f"{x(second)},{y(before)}")
        path.append(f"{x(second)},{y(value)}")
        before = value
    parts.append(f'<polyline class="line" style="stroke: var(--{colour})" points="{" ".join(path)}"/>')
    drawing = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'
    return f'<div class="card"><h2>{escape(title)}</h2>{drawing}</div>'


def _ticks(greatest: float) -> list[float]:
    """Round numbers from 0 to at least a value, about five."""
    step = 10.0**-3
    while True:
        for factor in _STEPS[:3]:
            if greatest <= step * factor * 5:
                return [round(step * factor * number, 6) for number in range(6)]
        step *= 10
