"""Loads: how many messages arrive in each second, recorded in a file or made by a formula."""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

import orjson

Load = list[float]
"""Messages that arrive in each second, from the first on."""

LONGEST: Final = 7 * 86_400
"""Seconds of the longest load."""
_MOST_ROWS = 1_000_000
_MOST_ARRIVALS = 1e9
_LEAST_ROWS = 2
_EXACT_BELOW = 50.0
"""Expected arrivals a second up to which they are drawn exactly; beyond, the normal distribution is as good."""


class LoadNotUnderstood(Exception):
    """The recording or the shape of a load is wrong; the message says where."""


def recorded(lines: Iterable[str]) -> Load:
    """Read rows of `time,arrivals`, as CSV with or without a header, or as one JSON object on each line.

    `time` is in seconds (any origin) or an RFC 3339 instant. `arrivals` is the number of messages since the row before;
    the first row only begins the recording. They are spread evenly over the seconds between.

    Raises:
        LoadNotUnderstood: A row is not of this form, times do not increase, or the recording is longer than 7 days.
    """
    rows: list[tuple[float, float]] = []
    for number, time, arrivals in _rows(lines):
        row = (_time(time, number), _arrivals(arrivals, number))
        if rows and row[0] <= rows[-1][0]:
            raise LoadNotUnderstood(f"line {number}: the time does not increase")
        if rows and row[0] - rows[0][0] > LONGEST:
            raise LoadNotUnderstood(f"line {number}: a recording lasts 7 days at most")
        if len(rows) == _MOST_ROWS:
            raise LoadNotUnderstood(f"line {number}: a recording has {_MOST_ROWS} rows at most")
        rows.append(row)
    if len(rows) < _LEAST_ROWS:
        raise LoadNotUnderstood("the recording has fewer than two rows of time,arrivals")
    began = rows[0][0]
    load = [0.0] * max(1, math.ceil(rows[-1][0] - began))
    for (before, _), (after, count) in pairwise(rows):
        _spread(load, before - began, after - began, count)
    return load


def constant(rate: float, duration: int) -> Load:
    """The same rate all the time."""
    return [rate] * duration


def ramp(rate: float, peak: float, duration: int) -> Load:
    """From one rate to another, in a straight line."""
    return [rate + (peak - rate) * second / max(1, duration - 1) for second in range(duration)]


def spike(rate: float, peak: float, duration: int, *, begins: int, lasts: int) -> Load:
    """One rate, and another for a while."""
    return [peak if begins <= second < begins + lasts else rate for second in range(duration)]


def wave(rate: float, peak: float, duration: int, *, period: int) -> Load:
    """Between the least and the greatest rate and back in each period, as day and night."""
    middle, swing = (rate + peak) / 2, (peak - rate) / 2
    return [middle - swing * math.cos(2 * math.pi * second / period) for second in range(duration)]


def by_chance(load: Load, seed: int) -> Load:
    """The same load as messages that arrive independently (Poisson); the same seed gives the same load."""
    chance = random.Random(seed)  # noqa: S311 -- a simulation, not a secret
    return [float(_drawn(expected, chance)) for expected in load]


def _rows(lines: Iterable[str]) -> Iterator[tuple[int, object, object]]:
    """The rows that are not empty: line number, time, arrivals."""
    read: Callable[[str], tuple[object, object] | None] | None = None
    for number, line in enumerate(lines, 1):
        text = line.strip().removeprefix("\ufeff")
        if not text:
            continue
        if read is None:
            read = _from_json if text.startswith("{") else _from_csv
            if read is _from_csv and [cell.strip().lower() for cell in text.split(",")] == ["time", "arrivals"]:
                continue
        found = read(text)
        if found is None:
            raise LoadNotUnderstood(f"line {number}: expected time,arrivals, found {text[:60]!r}")
        yield number, *found


def _from_csv(text: str) -> tuple[object, object] | None:
    try:
        (cells,) = csv.reader([text], strict=True)
    except (csv.Error, ValueError):
        return None
    return (cells[0].strip(), cells[1].strip()) if len(cells) == 2 else None


def _from_json(text: str) -> tuple[object, object] | None:
    try:
        found = orjson.loads(text)
        return found["time"], found["arrivals"]
    except (ValueError, TypeError, KeyError):
        return None


def _time(value: object, number: int) -> float:
    seconds = _number(value)
    if seconds is None and isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise LoadNotUnderstood(f"line {number}: {value[:60]!r} is neither seconds nor an instant") from None
        try:
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (OverflowError, ValueError):
            seconds = None
    if seconds is None:
        raise LoadNotUnderstood(f"line {number}: {str(value)[:60]!r} is neither seconds nor an instant")
    return seconds


def _arrivals(value: object, number: int) -> float:
    count = _number(value)
    if count is None or not 0 <= count <= _MOST_ARRIVALS:
        raise LoadNotUnderstood(f"line {number}: {str(value)[:60]!r} is no number of arrivals")
    return count


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _spread(load: Load, begin: float, end: float, count: float) -> None:
    """Add messages evenly between two moments."""
    rate = count / (end - begin)
    for second in range(int(begin), min(len(load), math.ceil(end))):
        load[second] += rate * (min(end, second + 1) - max(begin, second))


def _drawn(expected: float, chance: random.Random) -> int:
    if expected > _EXACT_BELOW:
        return max(0, round(chance.gauss(expected, math.sqrt(expected))))
    count, product, floor = 0, chance.random(), math.exp(-expected)
    while product > floor:
        count, product = count + 1, product * chance.random()
    return count
