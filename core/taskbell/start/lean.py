"""Imports a library without an optional part that it would load wherever that is installed, though nobody uses it."""

from __future__ import annotations

import importlib
import sys


def load(library: str, *, without: str) -> None:
    """Import a library as if `without` were not installed; in a program that has loaded it already, as usual."""
    if without in sys.modules:
        return
    sys.modules[without] = None  # type: ignore[assignment]  # an import of it fails
    try:
        importlib.import_module(library)
    finally:
        del sys.modules[without]
