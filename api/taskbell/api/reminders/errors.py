"""Why a sweep did not do its work."""

from __future__ import annotations


class SweepInterrupted(Exception):
    """PostgreSQL went away; what was committed stands, the rest is still due."""
