"""A push as a line for people."""

from __future__ import annotations

from datetime import UTC, datetime

from taskbell.testing.pushsim.journal import Push

_LONGEST = 60


def line(push: Push) -> str:
    """One line: time (UTC), provider, the end of the address, and what the person sees.

    Control characters of a text are replaced, so that no text moves the cursor of a terminal.
    """
    at = datetime.fromtimestamp(push.at, UTC)
    return f"{at:%H:%M:%S} {push.provider:<8}…{push.address[-6:]}  {_told(push)}"


def _told(push: Push) -> str:
    if push.problem is not None:
        return f"(not shown: {push.problem})"
    if push.withdrawn:
        return f"(takes back {push.notification_id})"
    words = [_plain(text) for text in (push.title, push.body) if text]
    return " · ".join(words) or "(nothing to show)"


def _plain(text: str) -> str:
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"
