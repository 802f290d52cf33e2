"""What the generator measures of the present step."""

from __future__ import annotations

import time
from array import array
from collections.abc import Mapping
from typing import Any

import gevent  # type: ignore[import-untyped]  # it brings no types

from taskbell.capacity.journal import Journal, Note
from taskbell.capacity.plan import KINDS, LIMITED
from taskbell.capacity.steps import Figures, summarize


class Measured:
    """Durations and errors since the last `begin`."""

    def __init__(self, journal: Journal) -> None:
        """Record failures in a journal."""
        self._journal = journal
        self.lags = array("d")
        self.begin()

    def begin(self) -> None:
        """Reset everything; the measurement starts now."""
        self.started = time.time()
        self.durations: dict[str, array[float]] = {kind: array("d") for kind in KINDS}
        self.errors = dict.fromkeys(KINDS, 0)
        self.limited = 0
        del self.lags[:]

    def take(
        self, *, name: str, response_time: float, exception: Exception | None, response: Any = None, **_: object
    ) -> None:
        """Receive a finished request from locust."""
        if name == LIMITED:
            self.limited += 1
            return
        self.durations[name].append(response_time)
        if exception is not None:
            self.errors[name] += 1
            status = int(getattr(response, "status_code", 0) or 0)
            # An exception's text names the address, and with it an id: each would be a reason of its own.
            ended = time.time()
            began = ended - response_time / 1000
            self._journal.note(Note.FAILED, name, status, type(exception).__name__, began, ended)

    def hand_over(self) -> dict[str, Any]:
        """What a worker measured since it was last asked, for its master."""
        lines, self._journal.elsewhere = self._journal.elsewhere or [], []
        found = {
            "durations": {kind: list(values) for kind, values in self.durations.items() if values},
            "errors": dict(self.errors),
            "limited": self.limited,
            "lags": list(self.lags),
            "lines": lines,
        }
        self.begin()
        return found

    def take_over(self, found: Mapping[str, Any]) -> None:
        """Add what a worker handed over."""
        for kind, values in found["durations"].items():
            self.durations[kind].extend(values)
        for kind, number in found["errors"].items():
            self.errors[kind] += number
        self.limited += found["limited"]
        self.lags.extend(found["lags"])
        self._journal.copy(line.encode() for line in found["lines"])

    def kinds(self, *, seconds: float) -> dict[str, Figures]:
        """Sum up by kind."""
        return {
            kind: summarize(durations, seconds=seconds, errors=self.errors[kind])
            for kind, durations in self.durations.items()
        }

    def watch_clock(self) -> None:
        """Forever, record by how many milliseconds a short sleep is late."""
        while True:
            before = time.perf_counter()
            gevent.sleep(0.05)
            self.lags.append((time.perf_counter() - before - 0.05) * 1000)
