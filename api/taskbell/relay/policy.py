"""The relay's decisions, with plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from taskbell.kit.ids import lowest_id

NOTHING = "1:1:"
"""The snapshot in which nothing is visible: transaction ids begin at 3."""
_NIL = UUID(int=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far events have come, as `relay_state` keeps it.

    Attributes:
        epoch: Identity of the stream.
        sequence: The stream's last sequence when this was written.
        done: Snapshot of which everything visible is in the stream; None: nothing is known to be.
        window: Snapshot that ends the large window being carried by pages; None: there is none.
        window_last_id: The last event of that window in the stream; None: it begins with the first.
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
        """`done`, or the snapshot in which nothing is visible."""
        return self.done or NOTHING


class Verdict(StrEnum):
    """What to do about the stream before anything is published."""

    KEEP = "keep"
    CREATE = "create"
    """Make it under the epoch at hand: it never held anything, or a rebuild was interrupted before this step."""
    REBUILD = "rebuild"
    """It lost messages or is another one: a new epoch, republished from PostgreSQL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamState:
    """What matters of the stream as it is. `epoch` None: it does not say."""

    epoch: int | None
    last_sequence: int


def judge(*, epoch: int, sequence: int, stream: StreamState | None) -> Verdict:
    """Compare the stream with the position: `sequence` is the highest one known to have been acknowledged."""
    if stream is None:
        return Verdict.CREATE if sequence == 0 else Verdict.REBUILD
    if stream.epoch != epoch:
        begun = sequence == 0 and (stream.epoch is None or stream.epoch < epoch)
        return Verdict.CREATE if begun else Verdict.REBUILD
    return Verdict.KEEP if stream.last_sequence >= sequence else Verdict.REBUILD


def next_epoch(*, epoch: int, stream: StreamState | None) -> int:
    """An epoch higher than both the database's and the stream's: either may have been restored from a backup."""
    return max(epoch, (stream.epoch or 0) if stream else 0) + 1


def before(identity: UUID) -> UUID:
    """The id just before another, for "after this one" to include it."""
    return UUID(int=max(identity.int - 1, 0))


def rebuild_after(*, since: datetime, lowest_undone: UUID | None) -> UUID:
    """The id after which a new epoch begins: at `since`, or earlier so that nothing unpublished is left out."""
    wanted = before(lowest_id(since))
    return wanted if lowest_undone is None else min(wanted, before(UUID(int=lowest_undone.int)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """When to look at the table again (seconds).

    Attributes:
        gather: Shortest time from one look to the next.
        fastest: Pause before the first look without a poke.
        slowest: Longest pause.
    """

    gather: float
    fastest: float
    slowest: float

    def pause(self, *, empty_looks: int) -> float:
        """How long to wait for a poke after so many looks in a row that found nothing; 0 after one that found some."""
        if empty_looks == 0:
            return 0.0
        return min(self.fastest * 2.0 ** min(empty_looks - 1, 32), self.slowest)
