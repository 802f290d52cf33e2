"""`taskbell completion`: completion of commands and options in a shell."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated

import typer

_PROGRAM = "taskbell"
_ASKED = "_TASKBELL_COMPLETE"
"""The variable by which the script asks typer what completes a line, and we ask it for the script."""


class Shell(StrEnum):
    """The shells that complete."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    context: typer.Context, shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")]
) -> None:
    """Print a script that completes commands and options; let your shell read it when it starts.

    `eval "$(taskbell completion bash)"`, and the same for zsh; `taskbell completion fish | source`.
    """
    os.environ[_ASKED] = f"source_{shell}"
    context.find_root().command.main(args=[], prog_name=_PROGRAM)
