"""`taskbell capacity compare A B`: whether one report is worse than another by more than noise."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from taskbell.capacity.arguments import within

_FLOOR_MS: Final = 5.0
"""Durations that differ by less are equal: the generator's own clock is not better."""
_FEW: Final = 100
"""Below so many requests a p99 is the slowest one."""
_CALM: Final = 0.8
"""Of the users held: nearer to the edge of what a platform carries, the p99 of two equal runs differs by its double."""
Report = Mapping[str, Any]


class NotComparable(Exception):
    """The two reports do not measure the same; the message says why."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure of two reports.

    Attributes:
        name: What it is.
        before: In the first report.
        after: In the second.
        worse_by: Which part of the first it is worse by; negative if it is better.
        noise: Which part two runs of the same differ by.
    """

    name: str
    before: float
    after: float
    worse_by: float
    noise: float

    @property
    def verdict(self) -> str:
        """`worse`, `better`, or `equal` within the noise."""
        if self.worse_by > self.noise:
            return "worse"
        return "better" if self.worse_by < -self.noise else "equal"


def compare(before: Report, after: Report, *, noise: float) -> list[Difference]:
    """Compare the users held, and what both measured with the same, fewer users, see `calm_steps`.

    Durations are noisier than rates: their bound is twice as wide.

    Raises:
        NotComparable: They had other users, other limits or another platform, or did not come to their end.
    """
    for report in (before, after):
        if report["verdict"] in {"failed", "interrupted"}:
            raise NotComparable(f"a run did not come to its end: {report['summary']}")
    for name, read in _SAME.items():
        if read(before) != read(after):
            raise NotComparable(f"{name} differ: {read(before)} and {read(after)}")
    found = [_rate("users held", before["held_users"], after["held_users"], noise)]
    if pair := calm_steps(before, after):
        one, other = pair
        users = one["users"]
        found.append(_rate(f"requests/s at {users:,} users", one["rps"], other["rps"], noise))
        found += [
            _duration(f"{kind}: p99 ms at {users:,} users", figures, other["kinds"][kind], 2 * noise)
            for kind, figures in one["kinds"].items()
            if kind in other["kinds"] and min(figures["count"], other["kinds"][kind]["count"]) >= _FEW
        ]
        if min(one["event_latency"]["count"], other["event_latency"]["count"]) >= _FEW:
            name = f"event to frame: p99 ms at {users:,} users"
            found.append(_duration(name, one["event_latency"], other["event_latency"], 2 * noise))
        if one["processor"] and other["processor"] and before["target"] is None:
            cost, cost_after = (step["processor"]["platform"] / step["rps"] * 1000 for step in (one, other))
            name = "platform: ms of CPU a request"
            found.append(Difference(name, cost, cost_after, _worse(cost, cost_after), noise))
    wrong, wrong_after = (
        report["conservation"]["lost"] + report["conservation"]["double"] for report in (before, after)
    )
    found.append(Difference("lost or double", wrong, wrong_after, float(wrong_after > wrong), 0.0))
    return found


_SAME: Final[Mapping[str, Callable[[Report], Any]]] = {
    "the scenarios": lambda report: report["scenario"]["name"],
    "the shares of listeners": lambda report: report["plan"]["listener_share"],
    "the targets": lambda report: report["target"],
    "the limits": lambda report: report["plan"]["limits"],
    "the machines": lambda report: report["surroundings"]["machine"],
}


def calm_steps(before: Report, after: Report) -> tuple[Report, Report] | None:
    """The step of each with the same users: the most that held in both, and are 80 % of what either held at most."""
    most = _CALM * min(before["held_users"], after["held_users"])
    held, held_after = (
        {step["users"]: step for step in report["steps"] if not step["broken"] and step["users"] <= most}
        for report in (before, after)
    )
    users = max(held.keys() & held_after.keys(), default=None)
    return None if users is None else (held[users], held_after[users])


def _rate(name: str, before: float, after: float, noise: float) -> Difference:
    return Difference(name, before, after, -_worse(before, after), noise)


def _duration(name: str, before: Report, after: Report, noise: float) -> Difference:
    one, other = before["p99_ms"], after["p99_ms"]
    worse_by = 0.0 if abs(other - one) < _FLOOR_MS else _worse(one, other)
    return Difference(name, one, other, worse_by, noise)


def _worse(before: float, after: float) -> float:
    """By which part of the first the second is greater."""
    if not before:
        return 0.0 if not after else 1.0
    return (after - before) / before


def table(found: Sequence[Difference]) -> str:
    """The differences as text."""
    width = max(len(one.name) for one in found)
    return "\n".join(
        f"{one.name:<{width}}  {one.before:>12,.2f}  {one.after:>12,.2f}  {one.worse_by:>+7.1%} (noise {one.noise:.0%})"
        f"  {one.verdict}"
        for one in found
    )


def main(given: Sequence[str]) -> int:
    """Compare two files; return 0 if nothing is worse than noise, 1 if something is, 2 if they cannot be compared."""
    made = argparse.ArgumentParser(
        prog="taskbell capacity compare",
        description="Compare two reports (report.json): is the second worse than the first by more than noise? Users"
        " held are compared, and requests a second, p99 and processor time a request with the same users: the most that"
        " held in both, at most 80 %% of the users held, because at the edge durations of equal runs differ.",
        epilog="Exit status: 0 nothing is worse; 1 something is; 2 the reports cannot be compared.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("before", type=Path, help="the first report.json")
    made.add_argument("after", type=Path, help="the second")
    made.add_argument(
        "--noise",
        type=within(float, 0, 10),
        default=0.15,
        help="the part by which two runs of the same differ; durations may differ by twice as much",
    )
    options = made.parse_args(given)
    try:
        before, after = (orjson.loads(path.read_bytes()) for path in (options.before, options.after))
        found = compare(before, after, noise=options.noise)
    except (OSError, ValueError, KeyError, TypeError, NotComparable) as wrong:
        reason = str(wrong) if isinstance(wrong, NotComparable | OSError) else f"not two reports of it: {wrong!r}"
        sys.stderr.write(f"capacity: cannot compare: {reason}\n")
        return 2
    print(table(found))
    if calm_steps(before, after) is None:
        print(
            "Durations are not compared: no step of at most 80 % of the users held is in both. Begin with fewer users."
        )
    return 1 if any(one.verdict == "worse" for one in found) else 0
