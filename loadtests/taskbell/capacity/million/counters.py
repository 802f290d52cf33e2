"""Counts by task in a file: a byte for each, so that a million fits, and SIGKILL loses none.

A file that is mapped into memory belongs to the kernel: what a process wrote is there when it was killed.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

MOST: Final = 255
"""The largest count."""


class Counters:
    """Rows of counts, each with a name and a byte for each task; a head of plain bytes before them."""

    def __init__(self, path: Path, names: Sequence[str], *, length: int, head: int = 0) -> None:
        """Open the file, or make it with all counts 0."""
        self.length = length
        self._starts = {name: head + place * length for place, name in enumerate(names)}
        size = max(1, head + len(names) * length)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(descriptor).st_size != size:
                os.ftruncate(descriptor, size)
            self.memory = mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)

    def place(self, name: str, number: int) -> int:
        """Where the count of a task is in `memory`."""
        return self._starts[name] + number

    def add(self, name: str, number: int) -> None:
        """Count once more."""
        place = self._starts[name] + number
        if self.memory[place] < MOST:
            self.memory[place] += 1

    def put(self, name: str, number: int, value: int) -> None:
        """Set a count."""
        self.memory[self._starts[name] + number] = value

    def row(self, name: str) -> bytes:
        """All counts of a name, by task."""
        start = self._starts[name]
        return self.memory[start : start + self.length]

    def next_with(self, name: str, value: int, *, since: int) -> int | None:
        """The first task from `since` on that has this count; None if there is none."""
        start = self._starts[name]
        found = self.memory.find(bytes([value]), start + since, start + self.length)
        return None if found < 0 else found - start

    def clear(self, name: str) -> None:
        """Set all counts of a name to 0."""
        start = self._starts[name]
        self.memory[start : start + self.length] = bytes(self.length)

    def close(self) -> None:
        """Give the memory back; the file stays."""
        self.memory.close()
