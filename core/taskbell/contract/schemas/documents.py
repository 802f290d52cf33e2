"""Reads the schemas: one for the data of each event type, one for the envelope."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import orjson


@cache
def event_schemas() -> dict[str, dict[str, Any]]:
    """Return every schema by its name: an event type, the part that kinds of events share (`task`), or `envelope`."""
    folder = files(__package__) / "events"
    found = {entry.name.removesuffix(".json"): orjson.loads(entry.read_bytes()) for entry in folder.iterdir()}
    return dict(sorted(found.items()))
