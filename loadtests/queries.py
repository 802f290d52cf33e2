"""Statements of the load tests: files in `queries/`, with numbered parameters."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent / "queries"


def query(name: str) -> str:
    """Return the statement in `queries/<name>.sql`."""
    return (_FOLDER / f"{name}.sql").read_text()
