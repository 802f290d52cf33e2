"""Decisions: from plain values to plain values, without I/O and without a clock."""
