"""`taskbell up` runs on while the disk is full."""

import errno
import os
from types import SimpleNamespace

from taskbell.local.commands import up
from taskbell.testing.waiting import eventually


class FullDisk:
    """A run file that cannot be written a number of times."""

    def __init__(self, failures):
        self.failures, self.written = failures, []

    def write(self, path):
        """Fail as a full disk does, or remember the path."""
        if self.failures:
            self.failures -= 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.written.append(path)


async def test_the_run_file_is_written_when_there_is_room_again(monkeypatch):
    """A full disk ends nothing: it is told once, and the file is written as soon as it can be."""
    monkeypatch.setattr(up, "_WRITE_PAUSE", 0.01)
    session = up._Session(SimpleNamespace(data=SimpleNamespace(run="run.json")))
    disk, told = FullDisk(3), []
    session._run_file = lambda: disk
    session._shown = SimpleNamespace(say=told.append)
    session._is_up = True
    for _ in range(2):  # parts restart meanwhile
        session._write_run_file()
    await eventually(lambda: disk.written, "the file")
    assert disk.written == ["run.json"]
    assert told == ["run.json could not be written (No space left on device); trying again"]
    session._write_run_file()
    assert len(disk.written) == 2
