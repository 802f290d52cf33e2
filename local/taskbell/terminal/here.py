"""The platform that `taskbell up` runs on this machine: its address, and its demo account."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from taskbell.terminal.addresses import checked, is_here
from taskbell.terminal.errors import Misused


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
        here = Here(found["api_url"], found["demo"]["email"], found["demo"]["password"])
        # A folder that somebody else has made must not lead a password to another machine.
        return here if is_here(urlsplit(here.url).hostname or "") else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def address(given: str | None, *, insecure: bool) -> str:
    """The address that was given, or that of the platform that runs here.

    Raises:
        Misused: There is none, or it is none to send a password to.
    """
    found = running() if given is None else None
    url = given if found is None else found.url
    if url is None:
        raise Misused("give the address of an installation: no platform runs here")
    return checked(url, insecure=insecure)
