"""Imports nats-py and structlog without the optional parts that no program here uses.

nats-py loads aiohttp for its WebSocket transport and structlog loads rich for a terminal, wherever they are installed:
a third of the time that a program takes to start. `taskbell.kit` imports this module before any other.
"""

from __future__ import annotations

from typing import Final

from taskbell.start import lean

_UNUSED: Final = {"nats.aio.client": "aiohttp", "structlog": "rich"}
"""A library, and the optional package that it does without."""

for _library, _optional in _UNUSED.items():
    lean.load(_library, without=_optional)
