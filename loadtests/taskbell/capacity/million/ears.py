"""What the listeners of a million heard: counts by task and a cursor for each listener, in step with each other.

A listener that was killed goes on from the cursor in the file and gets everything after it again. So the count of an
event and the cursor behind it must be there both, or neither: before it counts, it notes how to undo that.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from taskbell.capacity.million.counters import MOST, Counters
from taskbell.capacity.million.plan import Plan
from taskbell.contract.cursors import EventCursor
from taskbell.contract.events import EventType
from taskbell.contract.notices import Kind

OWNER, MATE = "owner", "mate"
CREATED, ASSIGNED = str(EventType.TASK_CREATED), str(EventType.TASK_ASSIGNED)
NOTICES: Final = {str(Kind.ASSIGNED): "assigned", str(Kind.DUE_SOON): "due_soon", str(Kind.OVERDUE): "overdue"}
"""Kinds of notifications that are counted."""
ROWS: Final = (
    *(f"{role} {event}" for role in (OWNER, MATE) for event in (CREATED, ASSIGNED)),
    *(f"{MATE} {notice}" for notice in NOTICES.values()),
)
"""What is counted: events at both people of a team, notifications at the one who is told."""
_HEAD: Final = struct.Struct("<8Q")
_CURSOR: Final = struct.Struct("<4Q")  # epoch, sequence; the count to undo: its place + 1, its value
_COUNT: Final = struct.Struct("<Q")
_UNDO_AT, _OPEN_AT, _RECONNECTS_AT, _GAPS_AT, _STRANGE_AT = 16, 32, 40, 48, 56


@dataclass(frozen=True, slots=True)
class Ear:
    """The state of one listener."""

    cursor: str | None
    is_open: bool
    reconnects: int
    gaps: int
    strange: int


class Ears:
    """All listeners of a run: number 2n is the owner of team n, 2n + 1 the mate."""

    def __init__(self, path: Path, plan: Plan) -> None:
        """Open the file, or make it."""
        self._plan = plan
        self.listeners = 2 * plan.teams
        self.counters = Counters(path, ROWS, length=plan.tasks, head=_HEAD.size * self.listeners)

    def recover(self) -> None:
        """Undo what a killed process had begun; nobody is connected."""
        memory = self.counters.memory
        for at in range(0, self.listeners * _HEAD.size, _HEAD.size):
            place, before = struct.unpack_from("<2Q", memory, at + _UNDO_AT)
            if place:
                memory[place - 1] = before
            struct.pack_into("<3Q", memory, at + _UNDO_AT, 0, 0, 0)

    def take(self, listener: int, cursor: str, row: str, number: int) -> None:
        """Count an event and move the cursor behind it."""
        memory, at = self.counters.memory, listener * _HEAD.size
        place = self.counters.place(row, number)
        before = memory[place]
        struct.pack_into("<2Q", memory, at + _UNDO_AT, place + 1, before)
        memory[place] = min(before + 1, MOST)
        self.pass_over(listener, cursor)

    def pass_over(self, listener: int, cursor: str) -> None:
        """Move the cursor behind an event; also seals its count."""
        found = EventCursor.parse(cursor)
        _CURSOR.pack_into(self.counters.memory, listener * _HEAD.size, found.epoch, found.sequence, 0, 0)

    def set_open(self, listener: int, *, is_open: bool) -> None:
        """Note whether it is connected."""
        _COUNT.pack_into(self.counters.memory, listener * _HEAD.size + _OPEN_AT, is_open)

    def count_reconnect(self, listener: int) -> None:
        """Note that its connection ended."""
        self._increase(listener, _RECONNECTS_AT)

    def count_gap(self, listener: int) -> None:
        """Note that it could not resume."""
        self._increase(listener, _GAPS_AT)

    def count_strange(self, listener: int) -> None:
        """Note an event that was not meant for it."""
        self._increase(listener, _STRANGE_AT)

    def _increase(self, listener: int, where: int) -> None:
        at = listener * _HEAD.size + where
        (value,) = _COUNT.unpack_from(self.counters.memory, at)
        _COUNT.pack_into(self.counters.memory, at, value + 1)

    def ear(self, listener: int) -> Ear:
        """Read the state of one."""
        epoch, sequence, _, _, is_open, reconnects, gaps, strange = _HEAD.unpack_from(
            self.counters.memory, listener * _HEAD.size
        )
        cursor = f"{epoch}-{sequence}" if epoch else None
        return Ear(cursor, bool(is_open), reconnects, gaps, strange)

    def all(self) -> list[Ear]:
        """Read the state of all."""
        return [self.ear(listener) for listener in range(self.listeners)]

    def close(self) -> None:
        """Close the file."""
        self.counters.close()


def row_of(role: str, event: dict[str, object]) -> tuple[str, str] | None:
    """The row that counts an event at a person of this role, and the title in it; None if no row does."""
    kind, data = event["type"], event["data"]
    if not isinstance(data, dict):
        return None
    if kind in {CREATED, ASSIGNED}:
        return f"{role} {kind}", str(data["title"])
    if kind == EventType.NOTIFICATION_CREATED and data["kind"] in NOTICES:
        return f"{role} {NOTICES[data['kind']]}", str(data["title"])
    return None
