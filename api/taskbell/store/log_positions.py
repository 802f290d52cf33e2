"""Positions in PostgreSQL's write-ahead log, as numbers of bytes. Pure."""

from __future__ import annotations

from collections import deque

_PAGE_HEADER = 24
_SEGMENT_HEADER = 40
_REMEMBERED = 600
"""Moments of the primary that are kept for a replica: a minute and more. While one is further behind, it is too far
behind to be asked."""


def end_of_log(insert_at: int, *, page: int, segment: int) -> int:
    """Where the last record ends, of the place where the next one begins.

    At the beginning of a page the two differ by the page's header, and a replica that has replayed everything stands
    before it. No record ends right behind a header.
    """
    if insert_at % segment == _SEGMENT_HEADER:
        return insert_at - _SEGMENT_HEADER
    if insert_at % page == _PAGE_HEADER:
        return insert_at - _PAGE_HEADER
    return insert_at


class CatchingUp:
    """Up to which moment a replica holds all that the primary showed.

    The primary is looked at now and then, which gives a moment and the end of its log. A replica that has replayed the
    log up to there shows whatever a statement saw on the primary that had ended before this moment.
    """

    __slots__ = ("_ahead", "behind", "caught_up_at", "newest")

    def __init__(self) -> None:
        self._ahead: deque[tuple[float, int]] = deque(maxlen=_REMEMBERED)
        self.newest = 0.0
        """When the primary was last looked at."""
        self.caught_up_at = float("-inf")
        """The latest moment that the replica has come to."""
        self.behind = 0
        """How many bytes of the log it lacked when it was last looked at."""

    def primary_was(self, moment: float, end: int) -> None:
        """Take a look at the primary that began at a moment."""
        if moment <= self.newest:
            return
        self.newest = moment
        self._ahead.append((moment, end))

    def replica_is(self, replayed: int) -> None:
        """Take how far the replica has replayed."""
        ahead = self._ahead
        self.behind = max(0, ahead[-1][1] - replayed) if ahead else 0
        while ahead and ahead[0][1] <= replayed:
            self.caught_up_at = ahead.popleft()[0]

    @property
    def lag(self) -> float:
        """Seconds by which the replica is behind what was last seen of the primary."""
        return max(0.0, self.newest - self.caught_up_at)
