"""What the generator measures of the present step."""

from __future__ import annotations

import time
from array import array

import gevent  # type: ignore[import-untyped]  # it brings no types

from taskbell.capacity.journal import Journal, Note
from taskbell.capacity.plan import KINDS
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
        del self.lags[:]

    def take(self, *, name: str, response_time: float, exception: Exception | None, **_: object) -> None:
        """Receive a finished request from locust."""
        self.durations[name].append(response_time)
        if exception is not None:
            self.errors[name] += 1
            self._journal.note(Note.FAILED, f"{name}: {type(exception).__name__} {exception}"[:120])

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
