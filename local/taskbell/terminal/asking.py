"""Asking a person: on the terminal, without showing secrets; without one, line by line from standard input."""

from __future__ import annotations

import getpass
import os
import sys

from taskbell.terminal.errors import Misused


def secret(prompt: str) -> str:
    """Ask for a secret. It never comes from the arguments, which every user of the machine can read.

    Raises:
        Misused: Nothing was given.
    """
    given = getpass.getpass(f"{prompt}: ", stream=sys.stderr) if sys.stdin.isatty() else _line()
    if not given:
        raise Misused(f"{prompt}: nothing was given")
    return given


def _line() -> str:
    """One line of standard input and not a byte more: the next command may read the next one."""
    read = bytearray()
    while (byte := os.read(sys.stdin.fileno(), 1)) not in {b"", b"\n"}:
        read += byte
    return read.decode(errors="replace").rstrip("\r")


def answer(prompt: str, *, option: str) -> str:
    """Ask for something that may be shown.

    Raises:
        Misused: There is no terminal to ask at, or nothing was given.
    """
    if not sys.stdin.isatty():
        raise Misused(f"give {option}: there is no terminal to ask at")
    print(f"{prompt}: ", end="", file=sys.stderr, flush=True)
    given = sys.stdin.readline().strip()
    if not given:
        raise Misused(f"{prompt}: nothing was given")
    return given
