"""Why a sweep did not do its work."""

from __future__ import annotations


class SweepInterrupted(Exception):
    """PostgreSQL went away. What was committed stays, the rest is still due."""


class BatchTooSlow(SweepInterrupted):
    """PostgreSQL ended a batch that took too long. Nothing of it was fired."""
