"""Why a sweep did not do its work."""

from __future__ import annotations


class SweepInterrupted(Exception):
    """PostgreSQL went away; what was committed stands, the rest is still due."""


class BatchTooSlow(SweepInterrupted):
    """The batch was not fired in the time a statement has; nothing of it was."""
