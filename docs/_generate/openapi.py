"""`docs/reference/openapi.json`: what `taskbell openapi` prints."""

from __future__ import annotations

from taskbell.local.commands import openapi


def text() -> str:
    """The document."""
    return openapi.text() + "\n"
