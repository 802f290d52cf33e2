"""How far a stage is, for people: a bar that changes on a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from typing import Final

_WIDTH: Final = 28
_EVERY_SECONDS: Final = 30.0


def bar(stage: str, *, done: int, of: int, seconds: float, begun_with: int = 0) -> str:
    """A stage's progress in one line: share, number, speed, the time that is left at this speed."""
    share = done / of if of else 1.0
    filled = int(share * _WIDTH)
    speed = (done - begun_with) / seconds if seconds > 0 else 0.0
    drawn = "#" * filled + "." * (_WIDTH - filled)
    left = f", {clock((of - done) / speed)} left" if speed > 0 and done < of else ""
    return f"{stage:<8} [{drawn}] {share:4.0%} {done:,} of {of:,}, {speed:,.0f}/s{left}"


def clock(seconds: float) -> str:
    """A time as people say it: `12 s`, `3:05`, `1:02:03`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


class Progress:
    """Shows the progress of one stage."""

    def __init__(self, stage: str, *, of: int, begun_with: int = 0) -> None:
        """Begin; `begun_with` was done at an earlier start."""
        self._stage, self._of, self._begun_with = stage, of, begun_with
        self._began = time.monotonic()
        self._told = 0.0
        self._is_terminal = sys.stderr.isatty()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    def show(self, done: int) -> None:
        """Show a number; off a terminal only from time to time."""
        line = bar(self._stage, done=done, of=self._of, seconds=self.seconds, begun_with=self._begun_with)
        if self._is_terminal:
            sys.stderr.write(f"\r\033[Kmillion: {line}")
        elif time.monotonic() - self._told >= _EVERY_SECONDS:
            self._told = time.monotonic()
            sys.stderr.write(f"million: {line}\n")
        sys.stderr.flush()

    def end(self, done: int) -> None:
        """Leave the last line."""
        line = bar(self._stage, done=done, of=self._of, seconds=self.seconds, begun_with=self._begun_with)
        sys.stderr.write(f"{chr(13) + chr(27) + '[K' if self._is_terminal else ''}million: {line}\n")
        sys.stderr.flush()
