"""How often the words of a refusal that lasts reach the status of an object."""

from __future__ import annotations

from typing import Any

from taskbell.operator.plan.conditions import is_reported
from taskbell.operator.queue import Key

Json = dict[str, Any]
_NEWER_WORDS_AFTER = 60.0
"""Seconds after which newer words of the same refusal are told."""


class Refusals:
    """Tells a refusal at once and its newest words each minute.

    Words may differ in each answer, as with the id of a request in them; each status that is written wakes the watch.
    """

    def __init__(self) -> None:
        """Remember nothing."""
        self._told: dict[Key, float] = {}

    def may_tell(self, key: Key, owner: Json, reason: str, *, now: float) -> bool:
        """Whether a refusal may be written now, by a monotonic clock; if so, it counts as written."""
        if is_reported(owner, reason) and now - self._told.get(key, float("-inf")) < _NEWER_WORDS_AFTER:
            return False
        self._told[key] = now
        return True

    def forget(self, key: Key) -> None:
        """Drop what is known of an object that is gone."""
        self._told.pop(key, None)
