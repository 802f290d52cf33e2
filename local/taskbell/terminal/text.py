"""Text for a terminal: nothing that somebody else wrote controls it."""

from __future__ import annotations

import unicodedata
from datetime import datetime

_REPLACED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories that move the cursor, change colours, reverse the direction of text, or break lines."""
_JOINERS = "\u200c\u200d"
"""They are of the same category, but words of some languages and some emoji need them."""


def plain(text: str) -> str:
    """The text on one line, with a mark in place of each character that would control the terminal."""
    return "".join(_plain(character) for character in text)


def _plain(character: str) -> str:
    if character in "\t\n":
        return " "
    if character in _JOINERS or unicodedata.category(character) not in _REPLACED:
        return character
    return "\N{REPLACEMENT CHARACTER}"


def lines(text: str) -> list[str]:
    """A longer text, such as a description, made plain line by line."""
    return [plain(line) for line in text.split("\n")]


def local(instant: str | None) -> str:
    """An instant of the API on the clock of this machine, such as `Fri 2027-01-29 18:00`; empty for none."""
    return "" if instant is None else datetime.fromisoformat(instant).astimezone().strftime("%a %Y-%m-%d %H:%M")
