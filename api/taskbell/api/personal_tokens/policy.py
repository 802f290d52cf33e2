"""How long a personal access token lives."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetime:
    """The bounds of an installation.

    Attributes:
        usual: How long a token lives whose maker names no time.
        most: How long any may live.
    """

    usual: timedelta
    most: timedelta

    def fault(self, wanted: datetime, *, now: datetime) -> str | None:
        """Why a token may not expire then; None if it may."""
        if wanted <= now:
            return "the instant must lie ahead"
        if wanted > now + self.most:
            return f"at most {self.most.days} days ahead" if self.most.days else "too far ahead"
        return None

    def end(self, *, now: datetime) -> datetime:
        """When a token expires whose maker names no time."""
        return now + min(self.usual, self.most)
