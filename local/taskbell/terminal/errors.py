"""Why a command fails, with its exit status.

Failed            1
├── Misused       2
├── NotSignedIn   3
├── NothingFound  4
├── Conflicting   5
└── Unreachable   6
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from taskbell.start.signals import INTERRUPTED, end_with
from taskbell.terminal.text import plain


class Failed(Exception):
    """The request was refused. The message is one sentence for a person."""

    status = 1


class Misused(Failed):
    """What was typed cannot be meant."""

    status = 2


class NotSignedIn(Failed):
    """There is no sign-in, or it is not accepted any more."""

    status = 3


class NothingFound(Failed):
    """There is no such task, workspace or member."""

    status = 4


class Conflicting(Failed):
    """Somebody has changed it meanwhile, or its state does not permit the change."""

    status = 5


class Unreachable(Failed):
    """Nobody answers, or not as Taskbell does."""

    status = 6


def tell(line: str) -> None:
    """Print a line for a person, not for a program."""
    print(f"taskbell: {plain(line)}", file=sys.stderr, flush=True)


def _open_streams() -> None:
    """Make the standard streams fit to use: one that was closed is empty, and no character fails."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115 -- until the process ends
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


@contextmanager
def reported() -> Iterator[None]:
    """End the process with one line and the status of a failure; a decorator of each command.

    A command that SIGTERM ends has not done its work, so its status is not 0. What the terminal's encoding has no
    characters for is replaced: a list must not end in the middle, nor a change look as if it had failed.
    """
    end_with(INTERRUPTED)
    _open_streams()
    try:
        yield
        sys.stdout.flush()
    except Failed as failed:
        tell(str(failed))
        raise typer.Exit(failed.status) from None
    except OSError as refused:
        if refused.errno == errno.EPIPE:
            raise  # who reads has seen enough; typer ends the command
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what cannot be written is not tried again
        tell(f"{refused.filename or 'what there is to print'} cannot be written: {refused.strerror}")
        raise typer.Exit(Failed.status) from None
