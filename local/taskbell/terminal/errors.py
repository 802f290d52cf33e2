"""Why a command fails, with its exit status.

Failed            1
├── Misused       2
├── NotSignedIn   3
├── NothingFound  4
├── Conflicting   5
└── Unreachable   6
"""

from __future__ import annotations

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


@contextmanager
def reported() -> Iterator[None]:
    """End the process with one line and the status of a failure; a decorator of each command.

    A command that SIGTERM ends has not done its work, so its status is not 0.
    """
    end_with(INTERRUPTED)
    try:
        yield
    except Failed as failed:
        tell(str(failed))
        raise typer.Exit(failed.status) from None
