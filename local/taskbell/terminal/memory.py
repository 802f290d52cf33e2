"""What commands remember for the next one: the numbers of the tasks shown last, and how far the reader has seen.

One file for each profile, in `$XDG_STATE_HOME/taskbell/`. Nothing in it is a secret, and a lost one costs nothing but
the numbers.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taskbell.start.private_files import write_private
from taskbell.terminal.errors import tell

_DIGITS = 20
"""As many as the largest position of PostgreSQL has."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A task that was shown under a number, and the version that it had then."""

    id: str
    version: int


@dataclass(slots=True)
class Remembered:
    """The content of the file.

    Attributes:
        position: The last `Taskbell-Consistency`; empty for none.
        shown: The tasks by number, from 1.
    """

    position: str = ""
    shown: list[Shown] = field(default_factory=list)

    def number(self, task: Mapping[str, Any]) -> int:
        """Note that a task was shown; returns its number, a new one if it has none yet."""
        found = Shown(task["id"], task["version"])
        for place, known in enumerate(self.shown):
            if known.id == found.id:
                self.shown[place] = found
                return place + 1
        self.shown.append(found)
        return len(self.shown)

    def note(self, task: Mapping[str, Any]) -> None:
        """Keep the version of a task that was changed or shown, if it has a number."""
        if any(known.id == task["id"] for known in self.shown):
            self.number(task)

    def number_all(self, tasks: Sequence[Mapping[str, Any]]) -> None:
        """Begin the numbers again with this list."""
        self.shown = [Shown(task["id"], task["version"]) for task in tasks]

    def see(self, position: str) -> None:
        """Keep the larger of two positions."""
        if not position.isdecimal() or len(position) > _DIGITS:
            return
        if not self.position or int(position) > int(self.position):
            self.position = position


class Memory:
    """The file of a profile; without a path nothing is kept, for programs that bring their token."""

    def __init__(self, path: Path | None) -> None:
        """Take the path; the folder is made when something is written."""
        self._path = path

    @property
    def numbers(self) -> bool:
        """Whether tasks have numbers that the next command understands."""
        return self._path is not None

    def read(self) -> Remembered:
        """What is remembered now."""
        if self._path is None:
            return Remembered()
        try:
            found = json.loads(self._path.read_bytes())
            return Remembered(str(found["position"]), [Shown(str(one[0]), int(one[1])) for one in found["shown"]])
        except (OSError, ValueError, LookupError, TypeError):
            return Remembered()

    @contextmanager
    def changed(self) -> Iterator[Remembered]:
        """Change what is remembered; other commands wait meanwhile, so that no two tasks get one number.

        Where nothing can be written, that is told: what was asked for has been done all the same.
        """
        if self._path is None:
            yield Remembered()
            return
        with ExitStack() as stack:
            try:
                stack.enter_context(self._locked(self._path))
                found = self.read()
            except OSError as refused:
                self._tell(refused)
                found, writes = Remembered(), False
            else:
                writes = True
            yield found
            if writes:
                shown = [[one.id, one.version] for one in found.shown]
                try:
                    write_private(self._path, json.dumps({"position": found.position, "shown": shown}))
                except OSError as refused:
                    self._tell(refused)

    @staticmethod
    @contextmanager
    def _locked(path: Path) -> Iterator[None]:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _tell(self, refused: OSError) -> None:
        tell(f"what was shown cannot be remembered in {self._path}: {refused.strerror}")

    def forget(self) -> None:
        """Delete the file; where that cannot be done, it is told."""
        try:
            if self._path is not None:
                self._path.unlink(missing_ok=True)
        except NotADirectoryError:
            return  # there is no file where there is no folder
        except OSError as refused:
            tell(f"{self._path} cannot be deleted: {refused.strerror}")
