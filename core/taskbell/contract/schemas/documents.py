"""Reads the schemas: one for the data of each event type, one for the envelope."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import orjson


@cache
def _all() -> dict[str, dict[str, Any]]:
    folder = files(__package__) / "events"
    found = {entry.name.removesuffix(".json"): orjson.loads(entry.read_bytes()) for entry in folder.iterdir()}
    return dict(sorted(found.items()))


def event_schemas() -> dict[str, dict[str, Any]]:
    """Return every schema by its name: an event type, what the events of one kind share (`task`), or `envelope`."""
    return dict(_all())
