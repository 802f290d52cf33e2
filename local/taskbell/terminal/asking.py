"""Asking a person: on the terminal, without showing secrets; without one, line by line from standard input."""

from __future__ import annotations

import getpass
import sys

from taskbell.terminal.errors import Misused


def secret(prompt: str) -> str:
    """Ask for a secret. It never comes from the arguments, which every user of the machine can read.

    Raises:
        Misused: Nothing was given.
    """
    if sys.stdin.isatty():
        given = getpass.getpass(f"{prompt}: ", stream=sys.stderr)
    else:
        given = sys.stdin.readline().rstrip("\r\n")
    if not given:
        raise Misused(f"{prompt}: nothing was given")
    return given


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
