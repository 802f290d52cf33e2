"""`docs/reference/metrics.md`, from the calls that define metrics; it imports nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FAMILY = "MetricFamily"
KINDS = {"Counter", "Gauge", "Histogram", "Summary"} | {
    f"{kind}{_FAMILY}" for kind in ("Counter", "Gauge", "Histogram")
}
"""The constructors of metrics, whose first arguments are name and meaning; a collector's families count too."""
HEAD = """\
# Metrics

<!-- Generated from the metric definitions by `make docs`. -->

Every long-running program serves them at `/metrics` in the Prometheus text format, and
[dashboards](dashboards.md) show them. Names are `taskbell_<room>_<thing>_<unit>`; counters end in `_total`, durations
in `_seconds`.

On Linux each program also tells of its process, by the names that all Prometheus clients use:
`process_cpu_seconds_total`, `process_resident_memory_bytes`, `process_start_time_seconds`, `process_open_fds` and
`process_max_fds`.
"""


@dataclass(frozen=True, order=True)
class Metric:
    """One metric."""

    name: str
    kind: str
    labels: str
    meaning: str


def metrics() -> Iterator[Metric]:
    """Every metric of the source."""
    for path in ROOT.glob("*/taskbell/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and len(node.args) >= 2 and (made := ast.unparse(node.func)) in KINDS:
                name, meaning = (ast.literal_eval(argument) for argument in node.args[:2])
                named = {keyword.arg: keyword.value for keyword in node.keywords}
                # The third argument of a family is its value.
                is_placed = len(node.args) > 2 and not made.endswith(_FAMILY)
                given = node.args[2] if is_placed else named.get("labelnames", named.get("labels"))
                labels = ast.literal_eval(given) if given is not None else ()
                kind = made.removesuffix(_FAMILY).lower()
                yield Metric(name, kind, ", ".join(f"`{label}`" for label in labels), meaning)


def text() -> str:
    """The page."""
    parts, room = [HEAD], ""
    for metric in sorted(metrics()):
        if (found := metric.name.split("_")[1]) != room:
            room = found
            parts.append(f"\n## {room}\n\n| Name | Kind | Labels | Meaning |\n| --- | --- | --- | --- |\n")
        parts.append(f"| `{metric.name}` | {metric.kind} | {metric.labels} | {metric.meaning} |\n")
    return "".join(parts)
