"""The decisions of the relay. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from taskbell.kit.ids import lowest_id

NOTHING = "1:1:"
"""The snapshot in which no row is visible: transaction ids begin at 3."""
_NIL = UUID(int=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far the relay has published, as `relay_state` stores it.

    Attributes:
        epoch: Identity of the stream.
        sequence: The stream's last sequence when this was written.
        done: Snapshot whose visible events are all in the stream; None if none is known.
        window: Snapshot that ends the large window being published in pages; None if there is none.
        window_last_id: The last event of that window in the stream; None before its first event.
    """

    epoch: int
    sequence: int
    done: str | None = None
    window: str | None = None
    window_last_id: UUID | None = None

    @property
    def after_id(self) -> UUID:
        """The id after which the next page of the window begins."""
        return self.window_last_id or _NIL

    @property
    def done_snapshot(self) -> str:
        """`done`, or the snapshot in which no row is visible."""
        return self.done or NOTHING


class StreamAction(StrEnum):
    """What to do with the stream before publishing."""

    KEEP = "keep"
    CREATE = "create"
    """Create it under the present epoch: it never held an event, or a rebuild was interrupted before this step."""
    REBUILD = "rebuild"
    """It lost messages or is another stream: begin a new epoch and publish again from PostgreSQL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamState:
    """The state of the stream; `epoch` is None if its metadata has none."""

    epoch: int | None
    last_sequence: int


def judge(*, epoch: int, sequence: int, stream: StreamState | None) -> StreamAction:
    """Compare the stream with the position: `sequence` is the highest acknowledged one known."""
    if stream is None:
        return StreamAction.CREATE if sequence == 0 else StreamAction.REBUILD
    if stream.epoch != epoch:
        begun = sequence == 0 and (stream.epoch is None or stream.epoch < epoch)
        return StreamAction.CREATE if begun else StreamAction.REBUILD
    return StreamAction.KEEP if stream.last_sequence >= sequence else StreamAction.REBUILD


def next_epoch(*, epoch: int, stream: StreamState | None) -> int:
    """An epoch higher than those of the database and of the stream: either may come from a backup."""
    return max(epoch, (stream.epoch or 0) if stream else 0) + 1


def before(identity: UUID) -> UUID:
    """The id directly before another, so that "after" it includes the other."""
    return UUID(int=max(identity.int - 1, 0))


def rebuild_after(*, since: datetime, lowest_undone: UUID | None) -> UUID:
    """The id after which a new epoch begins: at `since`, or earlier to include all unpublished events."""
    wanted = before(lowest_id(since))
    return wanted if lowest_undone is None else min(wanted, before(UUID(int=lowest_undone.int)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """When to poll the table again (seconds).

    Attributes:
        gather: Shortest time between two polls.
        fastest: Pause before the first poll without a poke.
        slowest: Longest pause.
    """

    gather: float
    fastest: float
    slowest: float

    def pause(self, *, empty_looks: int) -> float:
        """How long to wait for a poke after this many empty polls in a row; 0 after a poll that found events."""
        if empty_looks == 0:
            return 0.0
        return min(self.fastest * 2.0 ** min(empty_looks - 1, 32), self.slowest)
