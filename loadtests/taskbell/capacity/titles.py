"""The titles of a run's tasks: each is unique, and says when it was sent and when it falls due. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Title:
    """What a title says.

    Attributes:
        sent: Unix seconds, by the generator's clock.
        due: Unix seconds at which it falls due; 0 if nobody waits for that.
    """

    sent: float
    due: float


def write(run: str, number: int, *, sent: float, due: float = 0.0) -> str:
    """The title of the run's task number `number`."""
    return f"{run}-{number}-{round(sent * 1000)}-{round(due)}"


def read(run: str, title: str) -> Title | None:
    """Read a title; None if it is not of this run."""
    words = title.split("-")
    if len(words) != 4 or words[0] != run or not all(word.isascii() and word.isdigit() for word in words[1:]):
        return None
    return Title(sent=int(words[2]) / 1000, due=float(words[3]))
