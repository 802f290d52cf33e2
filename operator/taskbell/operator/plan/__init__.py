"""Decisions: from plain values to plain values. Neither I/O nor the clock is allowed in here."""
