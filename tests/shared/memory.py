"""Fixture: the memory that a process may have, and the most that it has had."""

from __future__ import annotations

import re
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

_CHART = Path(__file__).parents[2] / "charts" / "taskbell" / "values.yaml"
_UNITS = {"Mi": 2**20, "Gi": 2**30}


class Memory:
    """What the chart gives a program, as a real limit of a process."""

    def __init__(self, program: str) -> None:
        text = yaml.safe_load(_CHART.read_text())[program]["resources"]["limits"]["memory"]
        self.bytes = int(text[:-2]) * _UNITS[text[-2:]]

    def limit(self, pid: int) -> None:
        """Let a process allocate so much and no more: what is over it fails."""
        resource.prlimit(pid, resource.RLIMIT_DATA, (self.bytes, self.bytes))

    @staticmethod
    def peak(pid: int) -> int:
        """The most resident memory that a process has had, in bytes."""
        (found,) = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        return int(found) * 1024


@pytest.fixture
def memory_of() -> Callable[[str], Any]:
    """The memory that the chart gives a program, by its section of the values; skipped where Linux does not run."""
    if not Path("/proc/self/status").exists():
        pytest.skip("reads what Linux tells of a process")
    return Memory
