"""Become another program that the kernel ends when its parent ends, however that happens (Linux only).

Run by path: `python -I -S leash.py <parent's process id> <program> <arguments>`.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def leashed(command: list[str]) -> list[str]:
    """Wrap a command so that it ends with this process."""
    return [sys.executable, "-I", "-S", str(Path(__file__)), str(os.getpid()), *command]


def main(arguments: list[str]) -> None:
    """Bind to the parent, then become the program."""
    parent, *command = arguments
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != int(parent):  # the parent ended before prctl took effect
            raise SystemExit(1)
    os.execv(command[0], command)  # noqa: S606 -- no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
