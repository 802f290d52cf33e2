"""Ctrl-C and similar signals: while the load runs they end it early, else they end the check."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Receives signals, from `install` on."""

    def __init__(self) -> None:
        """Begin without a signal."""
        self.is_asked = False
        """Whether a signal ended the load early."""
        self._ends_load = False

    def install(self) -> None:
        """Receive the signals; outside of `ending_the_load` one raises KeyboardInterrupt."""
        for number in _SIGNALS:
            signal.signal(number, self._receive)

    @contextmanager
    def ending_the_load(self) -> Iterator[None]:
        """Within, the first signal only sets `is_asked`."""
        self._ends_load = True
        try:
            yield
        finally:
            self._ends_load = False

    def wait(self, seconds: float) -> None:
        """Do nothing for a time, or until a signal comes."""
        with self.ending_the_load():
            deadline = time.monotonic() + seconds
            self.is_asked = False
            while not self.is_asked and (left := deadline - time.monotonic()) > 0:
                time.sleep(min(left, 0.5))

    def _receive(self, _number: int, _frame: FrameType | None) -> None:
        if self._ends_load:
            self._ends_load, self.is_asked = False, True
            return
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not disturb the end
        raise KeyboardInterrupt
