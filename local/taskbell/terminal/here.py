"""The platform that `taskbell up` runs on this machine: its address, and its demo account."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Here:
    """What its `run.json` says."""

    url: str
    email: str
    password: str = field(repr=False)


def running() -> Here | None:
    """The platform of TASKBELL_DATA_DIR (default: `.taskbell` in this folder); None if none runs."""
    folder = Path(os.environ.get("TASKBELL_DATA_DIR") or ".taskbell")
    try:
        found = json.loads((folder / "run.json").read_bytes())
        return Here(found["api_url"], found["demo"]["email"], found["demo"]["password"])
    except (OSError, ValueError, LookupError, TypeError):
        return None
