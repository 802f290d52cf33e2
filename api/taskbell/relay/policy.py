"""The decisions of the relay. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from taskbell.kit.ids import lowest_id

NOTHING = "1:1:"
"""The snapshot in which no row is visible: transaction ids begin at 3."""
_NIL = UUID(int=0)
_MARKS = 100
_SURELY_KEPT = 0.95
"""The part of a message's age in which no difference of clocks makes it expire."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far the relay has published, as `relay_state` stores it.

    Attributes:
        epoch: Identity of the stream.
        sequence: The stream's last sequence when this was written.
        done: Snapshot whose visible events are all in the stream; None if none is known.
        window: Snapshot that ends the large window being published in pages; None if there is none.
        window_last_id: The last event of that window in the stream; None before its first event.
        server: The NATS server that may hold messages after `sequence`; None if none can: the relay ended as it should.
    """

    epoch: int
    sequence: int
    done: str | None = None
    window: str | None = None
    window_last_id: UUID | None = None
    server: str | None = None

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
    """The state of the stream.

    Attributes:
        epoch: None if its metadata has none.
        last_sequence: Its last sequence.
        first_sequence: Its first sequence.
        missing: How many messages between the first and the last are gone.
        server: The name of its server; None if it has several replicas.
    """

    epoch: int | None
    last_sequence: int
    first_sequence: int = 1
    missing: int = 0
    server: str | None = None


@dataclass(slots=True)
class Youth:
    """Which messages are too young to have expired, as far as this process has seen the stream grow."""

    _marks: deque[tuple[float, int]] = field(default_factory=deque)
    """Times (seconds), and the last sequence at each."""

    def note(self, sequence: int, *, now: float, max_age: float) -> None:
        """Remember where the stream ends now. `max_age` is how many seconds it keeps a message."""
        while self._marks and now - self._marks[0][0] >= max_age * _SURELY_KEPT:
            self._marks.popleft()
        if not self._marks or now - self._marks[-1][0] >= max_age / _MARKS:
            self._marks.append((now, sequence))

    def forget(self) -> None:
        """Begin again, for another stream."""
        self._marks.clear()

    def lost(self, first_sequence: int, *, now: float, max_age: float) -> bool:
        """Tell whether messages before the stream's first sequence are gone although they are too young to expire."""
        return any(
            now - time < max_age * _SURELY_KEPT and first_sequence > sequence + 1 for time, sequence in self._marks
        )


def judge(*, epoch: int, sequence: int, stream: StreamState | None, cut: bool = False) -> StreamAction:
    """Compare the stream with the position.

    `sequence` is the highest acknowledged one known; `cut`: young messages are gone from the stream's beginning.
    """
    if stream is None:
        return StreamAction.CREATE if sequence == 0 else StreamAction.REBUILD
    if stream.epoch != epoch:
        begun = sequence == 0 and (stream.epoch is None or stream.epoch < epoch)
        return StreamAction.CREATE if begun else StreamAction.REBUILD
    damaged = cut or stream.missing or stream.last_sequence < sequence
    return StreamAction.REBUILD if damaged else StreamAction.KEEP


def in_doubt(position: Position, *, stream: StreamState) -> bool:
    """Tell whether sequences after the saved position may have been used for messages that the server lost.

    NATS acknowledges before its files are on the disk, so a machine that loses power loses acknowledged messages. If
    the relay died, too, nobody knows how far readers came: one that saw the lost messages would pass over as many new
    ones. The bundled server and that of `taskbell up` are named after the boot of their machine for this.
    """
    return position.server is not None and stream.server is not None and position.server != stream.server


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
