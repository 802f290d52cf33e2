"""What a dashboard is made of, apart from how Grafana writes it; and how a query selects what it is about."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

SELECTED = 'namespace=~"$namespace", release=~"$release"'
"""What every query selects: Grafana's variables."""
RUNBOOKS = "https://github.com/taskbell/taskbell/blob/main/docs/runbooks"
"""Where runbooks are, unless the chart's values say otherwise."""
_METRIC = re.compile(r"\b(?P<name>taskbell_\w+|process_\w+|up)\b(?:\{(?P<labels>[^}]*)\})?(?!\()")
_WIDTH = 24


class Kind(StrEnum):
    """How a panel shows its queries."""

    LINES = "timeseries"
    """Over time."""
    NUMBER = "stat"
    """The value now, coloured by thresholds."""
    HEAT = "heatmap"
    """How often each value occurs, over time. Its query is the buckets of a histogram."""


@dataclass(frozen=True, slots=True)
class Query:
    """One query.

    Attributes:
        expression: PromQL without selectors; `[R]` is Grafana's interval for rates.
        legend: The name of its lines, with `{{label}}`; unused if it is a heat map.
        when_healthy: Whether it has data while all is well. A counter with labels has none before it first counts.
    """

    expression: str
    legend: str = ""
    when_healthy: bool = True

    @property
    def text(self) -> str:
        """PromQL as Grafana sends it: every metric is selected by namespace and release."""
        return _METRIC.sub(_select, self.expression).replace("[R]", "[$__rate_interval]")


def _select(found: re.Match[str]) -> str:
    platform = None if found["name"].startswith("taskbell_") else 'platform="taskbell"'
    return f"{found['name']}{{{', '.join(filter(None, (SELECTED, platform, found['labels'])))}}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One question and its answer.

    Attributes:
        title: At most some words; unique on its dashboard.
        meaning: What it tells, and what to do about an unusual value.
        unit: Grafana's name of the unit.
        queries: What it asks.
        kind: How it is shown.
        warn: From this value on it is orange.
        alarm: From this value on it is red.
        most: The highest value that there can be.
        runbook: The page of `docs/runbooks` to go on with.
    """

    title: str
    meaning: str
    unit: str
    queries: tuple[Query, ...]
    kind: Kind = Kind.LINES
    warn: float | None = None
    alarm: float | None = None
    most: float | None = None
    runbook: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a panel stands, in Grafana's grid of 24 columns."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Row:
    """A line of panels about one thing, side by side."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A dashboard. Its file, its uid and its object in Kubernetes are named after it."""

    name: str
    title: str
    meaning: str
    rows: tuple[Row, ...]

    @property
    def panels(self) -> Iterator[Panel]:
        """All panels, from top to bottom."""
        for row in self.rows:
            yield from row.panels


def places(board: Board) -> Iterator[tuple[Row | Panel, Place]]:
    """Lay a dashboard out: the title of each row, and below it its panels, up to six in a line."""
    y = 0
    for row in board.rows:
        yield row, Place(0, y, _WIDTH, 1)
        y += 1
        for line in _lines(row.panels):
            height = 4 if all(panel.kind is Kind.NUMBER for panel in line) else 8
            width = _WIDTH // len(line)
            for number, panel in enumerate(line):
                yield panel, Place(number * width, y, width, height)
            y += height


def _lines(panels: tuple[Panel, ...]) -> Iterator[tuple[Panel, ...]]:
    """Numbers stand apart from pictures. A line has at most six numbers or four pictures, as evenly as it goes."""
    for numbers in (True, False):
        chosen = tuple(panel for panel in panels if (panel.kind is Kind.NUMBER) is numbers)
        lines = -(-len(chosen) // (6 if numbers else 4))
        for line in range(lines):
            yield chosen[line * len(chosen) // lines : (line + 1) * len(chosen) // lines]
