"""Shares the places of a worker among receivers, so that none waits for another one that is slow. Pure.

A *place* is one attempt in flight. A *queue* is what waits for one receiver: an address that a user chose, such as a
webhook, or a service for all users of a workspace, such as its e-mail.

1. A workspace gets another place only while it has fewer than a part of those that are free (a dynamic threshold:
   Choudhury and Hahne, 1998). One that is alone may have `per_workspace`; the more take places, the fewer each gets,
   and some are free for the next one.
2. Receivers that fail, or take longer than a second, have at most half of all places, and half of what one workspace
   may have. One that has not answered yet has a single place, and those with the slow ones at most three quarters;
   with the first places of workspaces, of which one user has many, at most seven eighths.
3. Free places go first to the workspace that has used the least time lately, and there to its quick receivers.
"""

from __future__ import annotations

import heapq
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

SLOW = 1.0
"""Seconds of an attempt after which its receiver is slow."""
HALF_LIFE = 30.0
"""Seconds after which half of a workspace's used time is forgotten."""
MOST_KNOWN = 10_000
"""How many receivers, and how many workspaces, are remembered; the one that is heard of least lately is forgotten."""
_EMAIL = "email"
_UNKNOWN_TAKES = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The limits of one worker.

    Attributes:
        all: Attempts in flight.
        per_receiver: Of those, most to one webhook, or to the mail server.
        per_workspace: Most for one workspace while it is alone; with `all` or more it has no limit of its own.
    """

    all: int
    per_receiver: int
    per_workspace: int


QueueKey = tuple[str, UUID]
"""The channel and the id of a queue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """Due deliveries to one receiver.

    Attributes:
        id: The webhook or alert endpoint; where a service is the receiver, the workspace.
        channel: How they are sent, such as `webhook` or `email`.
        workspace_id: Whose events they are.
        waiting: How many are due, as far as that was counted.
    """

    id: UUID
    channel: str
    workspace_id: UUID
    waiting: int

    @property
    def key(self) -> QueueKey:
        """What tells it from all others."""
        return self.channel, self.id


@dataclass(eq=False, frozen=True, slots=True, kw_only=True)
class Place:
    """A place that is taken, and since when."""

    queue: Queue
    since: float


@dataclass(frozen=True, slots=True)
class _Known:
    """What the last answers of a receiver showed: how long they took, and whether the last one was a failure."""

    seconds: float
    failing: bool


class Shares:
    """Who has places, what is known of receivers, and who gets the next places. Times are monotonic seconds."""

    def __init__(self, limits: Places) -> None:
        """Start without knowledge."""
        self.limits = limits
        self.taken: set[Place] = set()
        self._known: OrderedDict[QueueKey, _Known] = OrderedDict()
        self._used: OrderedDict[UUID, tuple[float, float]] = OrderedDict()

    @property
    def is_full(self) -> bool:
        """Whether all places are taken."""
        return len(self.taken) >= self.limits.all

    def take(self, queue: Queue, *, now: float) -> Place:
        """An attempt begins."""
        place = Place(queue=queue, since=now)
        self.taken.add(place)
        return place

    def release(self, place: Place, *, now: float) -> None:
        """An attempt is over."""
        self.taken.discard(place)
        workspace = place.queue.workspace_id
        _remember(self._used, workspace, (self.used(workspace, now=now) + now - place.since, now))

    def learn(self, queue: Queue, *, seconds: float, failing: bool) -> None:
        """A receiver took some seconds for an attempt. `failing`: the delivery must be tried again."""
        before = self._known.get(queue.key)
        average = seconds if before is None else (before.seconds + seconds) / 2
        _remember(self._known, queue.key, _Known(average, failing))

    def used(self, workspace_id: UUID, *, now: float) -> float:
        """Seconds of places that a workspace used lately, in attempts that ended."""
        used, at = self._used.get(workspace_id, (0.0, now))
        return float(used * 0.5 ** ((now - at) / HALF_LIFE))

    def takes(self, queue: Queue) -> float:
        """How many seconds an attempt to a receiver probably takes."""
        known = self._known.get(queue.key)
        return _UNKNOWN_TAKES if known is None else known.seconds

    def is_known(self, queue: Queue) -> bool:
        """Whether the receiver has answered, or failed to, so that its speed is known."""
        return queue.key in self._known

    def is_slow(self, queue: Queue) -> bool:
        """Whether the receiver was slow or failed when it was last heard of."""
        known = self._known.get(queue.key)
        return known is not None and (known.failing or known.seconds > SLOW)

    def grant(self, queues: Sequence[Queue], *, now: float) -> dict[QueueKey, int]:
        """Give free places to queues; among equals the first comes first. Returns how many each gets that gets any."""
        return _Round(self, now=now).grant(queues)

    def slow(self, *, now: float) -> int:
        """How many places the slow and failing receivers have."""
        return _Round(self, now=now).slow


class _Round:
    """One distribution of places: what is taken, counted once, and what is granted on top."""

    def __init__(self, shares: Shares, *, now: float) -> None:
        self._shares = shares
        self._now = now
        self._limits = shares.limits
        self._hanging = {place.queue.key for place in shares.taken if now - place.since > SLOW}
        self._free = self._limits.all - len(shares.taken)
        self._of_receiver: Counter[QueueKey] = Counter()
        self._of_workspace: Counter[UUID] = Counter()
        self._slow_of_workspace: Counter[UUID] = Counter()
        self.slow = self._doubtful = self._emails = 0
        for place in shares.taken:
            self._count(place.queue)
        self._used: dict[UUID, float] = {}
        for place in shares.taken:
            workspace = place.queue.workspace_id
            self._used[workspace] = self._used_by(workspace) + now - place.since

    def grant(self, queues: Sequence[Queue]) -> dict[QueueKey, int]:
        granted: Counter[QueueKey] = Counter()
        heap = [(self._key(queue), number, queue) for number, queue in enumerate(queues)]
        heapq.heapify(heap)
        while heap and self._free > 0:
            key, number, queue = heapq.heappop(heap)
            if granted[queue.key] >= queue.waiting or not self._may(queue):
                continue  # what forbids it now only grows in this round
            if (present := self._key(queue)) != key:
                heapq.heappush(heap, (present, number, queue))
                continue
            granted[queue.key] += 1
            self._free -= 1
            self._count(queue)
            self._used[queue.workspace_id] = self._used_by(queue.workspace_id) + self._shares.takes(queue)
            heapq.heappush(heap, (self._key(queue), number, queue))
        return {key: places for key, places in granted.items() if places}

    def _key(self, queue: Queue) -> tuple[float, bool, int]:
        return self._used_by(queue.workspace_id), self._is_slow(queue), self._of_receiver[queue.key]

    def _may(self, queue: Queue) -> bool:
        limits, workspace, slow = self._limits, queue.workspace_id, self._is_slow(queue)
        taken = self._emails if queue.channel == _EMAIL else self._of_receiver[queue.key]
        known = self._shares.is_known(queue)
        if taken >= limits.per_receiver or (not known and self._of_receiver[queue.key] > 0):
            return False
        if self._of_workspace[workspace] * (limits.all - limits.per_workspace) >= limits.per_workspace * self._free:
            return False
        if slow and (2 * self.slow >= limits.all or 2 * self._slow_of_workspace[workspace] >= limits.per_workspace):
            return False
        if known and not slow:
            return True
        if self._of_workspace[workspace] == 0:
            return 8 * self._doubtful < 7 * limits.all
        return 4 * self._doubtful < 3 * limits.all

    def _is_slow(self, queue: Queue) -> bool:
        return queue.key in self._hanging or self._shares.is_slow(queue)

    def _used_by(self, workspace_id: UUID) -> float:
        found = self._used.get(workspace_id)
        return self._shares.used(workspace_id, now=self._now) if found is None else found

    def _count(self, queue: Queue) -> None:
        self._of_receiver[queue.key] += 1
        self._of_workspace[queue.workspace_id] += 1
        self._emails += queue.channel == _EMAIL
        if slow := self._is_slow(queue):
            self.slow += 1
            self._slow_of_workspace[queue.workspace_id] += 1
        self._doubtful += slow or not self._shares.is_known(queue)


def _remember(known: OrderedDict[Any, Any], key: object, value: object) -> None:
    known[key] = value
    known.move_to_end(key)
    if len(known) > MOST_KNOWN:
        known.popitem(last=False)
