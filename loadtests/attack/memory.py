"""The highest resident memory of each process, next to its limit in the chart."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import psutil
import yaml  # type: ignore[import-untyped]  # it brings no types

from taskbell.capacity.processor import part_of

_VALUES = Path(__file__).resolve().parents[2] / "charts" / "taskbell" / "values.yaml"
_UNITS: Final = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
_SECTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "api": ("api",),
    "relay": ("relay",),
    "gateway": ("gateway",),
    "delivery": ("delivery",),
    "nats": ("nats", "bundled"),
    "postgres": ("database", "bundled"),
}
"""Where the chart's values have the resources of each part."""


def limits() -> dict[str, int]:
    """Return the memory limit of each part in bytes, from the chart's values."""
    values: dict[str, Any] = yaml.safe_load(_VALUES.read_text())
    found = {}
    for part, path in _SECTIONS.items():
        section = values
        for name in path:
            section = section[name]
        text = section["resources"]["limits"]["memory"]
        found[part] = int(text[:-2]) * _UNITS[text[-2:]]
    return found


class Peaks:
    """Samples the memory of processes."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.bytes: dict[str, int] = {}

    def sample(self, processes: Mapping[str, int]) -> None:
        """Take one sample: of a part's process with its children, shared pages counted once."""
        for name, pid in processes.items():
            part = part_of(name)
            if part in _SECTIONS:
                self.bytes[part] = max(self.bytes.get(part, 0), _held(pid))


def _held(pid: int) -> int:
    """Return the proportional set size of a process and its children in bytes; 0 if it has ended."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    total = 0
    for member in family:
        try:
            total += member.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue  # it ended between the two looks
    return total
