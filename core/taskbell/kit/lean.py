"""Imports nats-py and structlog without the optional parts that no program here uses.

nats-py loads aiohttp for its WebSocket transport and structlog loads rich for a terminal, wherever they are installed:
a third of the time that a program takes to start. `taskbell.kit` imports this module before any other.
"""

from __future__ import annotations

import importlib
import sys
from typing import Final

_UNUSED: Final = {"nats.aio.client": "aiohttp", "structlog": "rich"}
"""A library, and the optional package that it does without."""


def _load() -> None:
    for library, optional in _UNUSED.items():
        if optional in sys.modules:  # the program has it anyway
            continue
        sys.modules[optional] = None  # type: ignore[assignment]  # an import of it fails, as if it were not installed
        try:
            importlib.import_module(library)
        finally:
            del sys.modules[optional]


_load()
