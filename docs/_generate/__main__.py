"""`python -m docs._generate` writes the generated references; with `--check` it only reports stale ones."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path

from docs._generate import (
    bounds,
    chart,
    commands,
    environment,
    errors,
    features,
    metrics,
    nats_users,
    openapi,
    scopes,
    settings,
)
from docs._generate.dashboards import build as dashboards
from docs._generate.dashboards import page as dashboards_page

from taskbell.contract import crds

ROOT = Path(__file__).resolve().parents[2]
PAGES: dict[str, Callable[[], str]] = {
    **dashboards.files(),
    ".env.example": environment.text,
    "charts/taskbell/files/nats-users.json": chart.nats_users,
    "charts/taskbell/files/permissions.json": chart.permissions,
    **{
        f"charts/taskbell/crds/{found.plural}.yaml": functools.partial(chart.definition, found)
        for found in crds.DEFINITIONS
    },
    "charts/taskbell/values.schema.json": chart.schema,
    "charts/taskbell/values.yaml": chart.values,
    "docs/reference/bounds.md": bounds.text,
    "docs/reference/chart.md": chart.text,
    "docs/reference/commands.md": commands.text,
    "docs/reference/dashboards.md": dashboards_page.text,
    "docs/reference/errors.md": errors.text,
    "docs/reference/features.md": features.text,
    "docs/reference/metrics.md": metrics.text,
    "docs/reference/nats-users.md": nats_users.text,
    "docs/reference/openapi.json": openapi.text,
    "docs/reference/scopes.md": scopes.text,
    "docs/reference/settings.md": settings.text,
}
"""The generated files and the functions that write them."""


def main(arguments: list[str]) -> int:
    """Write or check every file; the exit status is 1 if a file is stale or a test names an unknown feature."""
    check = "--check" in arguments
    stale = []
    for name, write in PAGES.items():
        path, wanted = ROOT / name, write()
        if not path.exists() or path.read_text() != wanted:
            stale.append(name)
            if not check:
                path.write_text(wanted)
    for name in stale:
        print(f"{name}: {'stale, run `make docs`' if check else 'written'}")
    unknown = features.unknown_marks()
    for place, mark in unknown:
        print(f"{place}: {mark} is not in docs/reference/features.md")
    return 1 if unknown or (check and stale) else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
