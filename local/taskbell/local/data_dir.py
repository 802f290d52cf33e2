"""The folder of one platform: its paths, and the lock that lets one `taskbell up` at a time use it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path


class StartRefused(Exception):
    """The platform cannot start. The message is one line; `status` is the exit status."""

    def __init__(self, message: str, *, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


class DataDir:
    """Paths in the data directory. Only its owner can read them."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.postgres = self.root / "postgres"
        self.replica = self.root / "postgres-replica"
        self.nats = self.root / "nats"
        self.pushsim = self.root / "pushsim"
        self.logs = self.root / "logs"
        self.secrets = self.root / "secrets.json"
        self.run = self.root / "run.json"
        self._lock = self.root / "up.lock"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder if needed and lock it for the length of the block.

        Raises:
            StartRefused: The folder cannot be written, everybody may write to it, or another `up` holds it.
        """
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._refuse_strangers()
            self.logs.mkdir(mode=0o700, exist_ok=True)
            lock = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as refused:
            raise StartRefused(f"the data directory {self.root} cannot be used: {refused.strerror}") from refused
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(lock, 32, 0).decode().strip() or "unknown"
                raise StartRefused(f"`taskbell up` (process {holder}) already runs on {self.root}") from None
            os.truncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(lock)

    def _refuse_strangers(self) -> None:
        """Whoever may write here can replace the secrets and the data."""
        mode = self.root.stat().st_mode
        if mode & stat.S_IWOTH:
            raise StartRefused(
                f"every user of this machine may write to the data directory {self.root} (mode {mode & 0o777:o}):"
                f" `chmod 700 {shlex.quote(str(self.root))}`, and use it only if nobody has changed what is in it"
            )

    def holder(self) -> int | None:
        """Return the process id of the `taskbell up` that holds the lock, or None."""
        try:
            with self._lock.open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            with contextlib.suppress(ValueError, OSError):
                return int(self._lock.read_text())
        except OSError:
            return None
        return None
