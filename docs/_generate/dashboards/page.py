"""`docs/reference/dashboards.md`: what each panel answers."""

from __future__ import annotations

from docs._generate.dashboards.boards import BOARDS
from docs._generate.dashboards.plan import Board, Panel

_HEAD = """\
# Dashboards

<!-- Generated from docs/_generate/dashboards by `make docs`. -->

The chart brings these dashboards with `monitoring.dashboard.enabled`, each in a ConfigMap that Grafana's sidecar finds
by its label. Without it, import the files in `charts/taskbell/files/dashboards`. Each dashboard asks for a data source,
namespaces and releases; the first one is the place to begin, and each links the others.

Panels marked with ° have no data while all is well: what they count has not happened yet.
"""
_TABLE = "| Panel | Meaning | Runbook |\n| --- | --- | --- |\n"


def text() -> str:
    """The page."""
    return _HEAD + "".join(_section(board) for board in BOARDS)


def _section(board: Board) -> str:
    rows = "".join(
        f"\n### {board.title.removeprefix('Taskbell ').capitalize()}: {row.title}\n\n"
        + _TABLE
        + "".join(map(_line, row.panels))
        for row in board.rows
    )
    return f"\n## {board.title}\n\n{board.meaning}\n{rows}"


def _line(panel: Panel) -> str:
    mark = "" if all(query.when_healthy for query in panel.queries) else " °"
    runbook = f"[{panel.runbook}](../runbooks/{panel.runbook}.md)" if panel.runbook else ""
    return f"| {panel.title}{mark} | {panel.meaning} | {runbook} |\n"
