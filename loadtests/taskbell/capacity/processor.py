"""Samples the processor time of the platform, the generator and the listeners."""

from __future__ import annotations

import re
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import psutil

from taskbell.capacity.steps import Processor

GENERATOR, LISTENERS, UP = "generator", "listeners", "up"
_NUMBERED = re.compile(r"-[0-9]+\Z")


def part_of(process: str) -> str:
    """Return the part that a process belongs to: `api` for `api-2`."""
    return _NUMBERED.sub("", process)


@dataclass(frozen=True, slots=True)
class Sample:
    """Processor seconds until an instant (Unix seconds), by part and by the whole machine."""

    at: float
    parts: Mapping[str, float]
    machine: float


class Sampler:
    """Follows processes and all that they started."""

    def __init__(self, roots: Callable[[], Mapping[str, int]]) -> None:
        """Take what returns the present process id of each part.

        Parts whose names differ by a number (`api-2`) count as one.
        """
        self._roots = roots
        self._used: dict[tuple[int, float], tuple[str, float]] = {}
        self.samples: list[Sample] = []

    def sample(self) -> None:
        """Take one sample. Processes that have ended keep counting."""
        roots = {pid: part_of(name) for name, pid in self._roots().items()}
        for pid, part in roots.items():
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(pid)
                self._take(process, part)
                if part != UP:  # its children are the other parts
                    for child in process.children(recursive=True):
                        if child.pid not in roots:
                            self._take(child, part)
        parts: dict[str, float] = {}
        for part, used in self._used.values():
            parts[part] = parts.get(part, 0.0) + used
        whole = psutil.cpu_times()
        busy = sum(whole) - whole.idle - getattr(whole, "iowait", 0.0) - getattr(whole, "guest", 0.0)
        self.samples.append(Sample(time.time(), parts, busy - getattr(whole, "guest_nice", 0.0)))

    def _take(self, process: psutil.Process, part: str) -> None:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            self._used[process.pid, process.create_time()] = part, times.user + times.system

    def between(self, started: float, ended: float) -> Processor | None:
        """Return the use between two instants; None without two samples."""
        return used_between(self.samples, started, ended)


def used_between(samples: list[Sample], started: float, ended: float) -> Processor | None:
    """Return the use from the last sample before `started` to the first after `ended`; None without two samples."""
    instants = [sample.at for sample in samples]
    first = max(0, bisect_right(instants, started) - 1)
    last = min(len(samples) - 1, bisect_left(instants, ended))
    if last <= first:
        return None
    before, after = samples[first], samples[last]
    seconds = after.at - before.at
    used = {part: (total - before.parts.get(part, 0.0)) / seconds for part, total in after.parts.items()}
    generator, listeners = used.pop(GENERATOR, 0.0), used.pop(LISTENERS, 0.0)
    platform = sum(used.values())
    machine = (after.machine - before.machine) / seconds
    return Processor(
        cores=psutil.cpu_count() or 1,
        platform=platform,
        generator=generator,
        listeners=listeners,
        others=max(0.0, machine - platform - generator - listeners),
        by_part=dict(sorted(used.items(), key=lambda item: -item[1])),
    )
