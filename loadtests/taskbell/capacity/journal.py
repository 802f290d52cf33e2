"""What the API accepted, written as it happens: it survives a generator that is killed."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import orjson

from taskbell.capacity.briefing import whole_lines
from taskbell.capacity.evidence import Promised


class Note(StrEnum):
    """The kind of a line."""

    ATTEMPTED = "attempted"
    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"
    READ = "read"
    FAILED = "failed"
    DUE = "due"


class Journal:
    """Writes a journal."""

    def __init__(self, path: Path) -> None:
        """Begin a file."""
        self._file = path.open("ab", buffering=0)  # a written line survives a kill of this process
        self.elsewhere: list[str] | None = None
        """Lines that another process shall write, where that is wanted."""

    def note(self, what: Note, *values: Any) -> None:
        """Add a line."""
        line = orjson.dumps([what, *values])
        if self.elsewhere is not None:
            self.elsewhere.append(line.decode())
        else:
            self.copy([line])

    def copy(self, lines: Iterable[bytes]) -> None:
        """Add lines that were noted elsewhere."""
        self._file.write(b"".join(line + b"\n" for line in lines))

    def close(self) -> None:
        """End the file."""
        self._file.close()


@dataclass(frozen=True, slots=True)
class Failed:
    """A request that failed, with its status (0: no answer), and when it began and ended (Unix seconds)."""

    kind: str
    status: int
    reason: str
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Told:
    """A journal that was read: what was promised, and the requests that failed."""

    promised: Promised
    failures: list[Failed]


def summed(failures: Iterable[Failed]) -> list[dict[str, Any]]:
    """Count failures by kind, status and reason, most first, with the time of the first and the last (Unix seconds)."""
    alike: dict[tuple[str, int, str], list[Failed]] = {}
    for one in failures:
        alike.setdefault((one.kind, one.status, one.reason), []).append(one)
    return [
        {
            "kind": kind,
            "status": status,
            "reason": reason,
            "count": len(found),
            "first": min(one.began for one in found),
            "last": max(one.ended for one in found),
        }
        for (kind, status, reason), found in sorted(alike.items(), key=lambda item: -len(item[1]))
    ]


def read(path: Path, *, run: str, titles: AbstractSet[str]) -> Told:
    """Read a journal whose end may be missing.

    `titles` are those in the database: the ones with the run's prefix were attempted.
    """
    found: dict[str, list[list[Any]]] = {kind: [] for kind in Note}
    for line in whole_lines(path):
        kind, *values = orjson.loads(line)
        found[kind].append(values)
    attempted = {title for (title,) in found[Note.ATTEMPTED]} | {t for t in titles if t.startswith(f"{run}-")}
    promised = Promised(
        attempted=attempted,
        created=dict(found[Note.CREATED]),
        versions={(task, version) for task, version in found[Note.CHANGED]},
        deleted={task for (task,) in found[Note.DELETED]},
        read={notification for (notification,) in found[Note.READ]},
        due={(task, user): at for task, user, at in found[Note.DUE]},
    )
    return Told(promised, [Failed(*values) for values in found[Note.FAILED]])


def last_due(path: Path) -> float:
    """When the last task of a journal falls due that somebody waits for (Unix seconds); 0 if there is none."""
    lines = (orjson.loads(line) for line in whole_lines(path) if line.startswith(b'["due"'))
    return max((at for _, _, _, at in lines), default=0.0)
