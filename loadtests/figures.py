"""Figures of a benchmark, and their table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table; None where a column does not apply.

    Attributes:
        floor: The same figure of the floor, measured in turns with `ours`.
        ratio: `ours` divided by `floor`, as the median of the turns.
        half_p99_ms: The 99th percentile when as many requests come as half of `ours`, each at its time.
    """

    name: str
    ours: float
    floor: float | None = None
    ratio: float | None = None
    unit: str
    p50_ms: float | None = None
    p99_ms: float | None = None
    half_p99_ms: float | None = None


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a table of text."""
    lines = [f"{'':16}{'ours':>10}{'floor':>10}{'ratio':>8}  {'unit':8}{'p50 ms':>9}{'p99 ms':>9}{'at half':>9}"]
    for one in figures:
        exact = 0 if one.ours >= 100 else 1
        lines.append(
            f"{one.name:16}{one.ours:>10,.{exact}f}{_or_nothing(one.floor, 0):>10}{_or_nothing(one.ratio, 2):>8}"
            f"  {one.unit:8}{_or_nothing(one.p50_ms, 2):>9}{_or_nothing(one.p99_ms, 2):>9}"
            f"{_or_nothing(one.half_p99_ms, 2):>9}".rstrip()
        )
    return "\n".join(lines)


def _or_nothing(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"
