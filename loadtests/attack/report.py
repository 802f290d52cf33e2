"""The verdict on an attack: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from taskbell.capacity.conservation import Conservation

MOST_TIMES_SLOWER = 3.0
SLOW_MS = 100.0
"""A p95 below this (ms) is never too slow: three times a few milliseconds is noise on a busy machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """One p95 of the honest users in ms, in peace and under attack; None without samples."""

    name: str
    calm_ms: float | None
    attacked_ms: float | None

    @property
    def is_too_slow(self) -> bool:
        """Whether the attack made it more than threefold, and a user would feel it."""
        if self.attacked_ms is None or self.calm_ms is None:
            return True  # nothing came
        return self.attacked_ms > max(SLOW_MS, MOST_TIMES_SLOWER * self.calm_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a run found.

    Attributes:
        errors: The honest users' errors by kind.
        memory: The highest memory of each part in bytes.
        limits: The limit of each part in bytes.
        undelivered: Events of the honest users that their webhook did not get.
        outcomes: The answers to each kind of attack.
        broken: Kinds of attack that ended by a mistake of their own.
    """

    waits: Sequence[Waits]
    errors: Mapping[str, int]
    memory: Mapping[str, int]
    limits: Mapping[str, int]
    conservation: Conservation
    undelivered: int
    outcomes: Mapping[str, Mapping[str, int]]
    broken: Mapping[str, str]

    def complaints(self) -> list[str]:
        """Return what is wrong, one sentence each; nothing if the platform withstood."""
        found = [f"honest users got {number} times {error}" for error, number in sorted(self.errors.items())]
        found += [
            f"{wait.name}: p95 {wait.calm_ms} ms in peace, {wait.attacked_ms} ms under attack"
            for wait in self.waits
            if wait.is_too_slow
        ]
        found += [
            f"{part} held {held / 2**20:.0f} MiB; its limit is {self.limits[part] / 2**20:.0f} MiB"
            for part, held in sorted(self.memory.items())
            if held > self.limits[part]
        ]
        if not self.conservation.holds:
            found.append(f"{self.conservation.lost} lost, {self.conservation.double} double")
        if self.undelivered:
            found.append(f"the honest webhook did not get {self.undelivered} events")
        found += [
            f"{kind} was answered {times} times with 500"
            for kind, counts in sorted(self.outcomes.items())
            if (times := counts.get("500", 0))
        ]
        found += [f"the attack {kind} reached nothing" for kind, counts in sorted(self.outcomes.items()) if not counts]
        return found + [f"the attack {kind} broke: {reason}" for kind, reason in sorted(self.broken.items())]

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        places = [
            {"name": place.name, "expected": place.expected, "found": place.found, "examples": place.examples}
            for place in self.conservation.places
        ]
        return {
            "complaints": self.complaints(),
            "waits": [
                {"name": wait.name, "calm_p95_ms": wait.calm_ms, "attacked_p95_ms": wait.attacked_ms}
                for wait in self.waits
            ],
            "errors": dict(self.errors),
            "memory_mib": {
                part: {"peak": round(held / 2**20), "limit": round(self.limits[part] / 2**20)}
                for part, held in sorted(self.memory.items())
            },
            "conservation": {"lost": self.conservation.lost, "double": self.conservation.double, "places": places},
            "undelivered": self.undelivered,
            "outcomes": {kind: dict(counts) for kind, counts in self.outcomes.items()},
        }


def table(findings: Findings) -> str:
    """Return the figures for people."""
    lines = [
        f"{wait.name:10} p95 {wait.calm_ms} ms in peace, {wait.attacked_ms} ms under attack" for wait in findings.waits
    ]
    lines += [
        f"{part:10} {held / 2**20:.0f} of {findings.limits[part] / 2**20:.0f} MiB"
        for part, held in sorted(findings.memory.items())
    ]
    lines += [
        f"{kind:18} " + ", ".join(f"{outcome} x{times}" for outcome, times in sorted(counts.items()))
        for kind, counts in sorted(findings.outcomes.items())
    ]
    return "\n".join(lines)
