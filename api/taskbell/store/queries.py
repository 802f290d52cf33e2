"""Hand-written SQL lives in `.sql` files beside the code that runs it."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def load(package: str, name: str) -> str:
    """Return the text of `queries/<name>.sql` in a package. Raises `FileNotFoundError` if there is none."""
    return (files(package) / "queries" / f"{name}.sql").read_text(encoding="utf-8")
