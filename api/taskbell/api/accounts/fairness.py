"""Who gets a place and who is next, so that one crowd does not take everything.

A lane is what shares: an address, or an account that the caller has proved to know.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from enum import Enum


class Purpose(Enum):
    """What a password is hashed for."""

    SIGN_IN = "sign_in"
    REGISTRATION = "registration"


class RoomFull(Exception):
    """There is no place for the lane.

    Attributes:
        by_lane: Whether the lane itself holds places; then there may be room for others.
    """

    def __init__(self, *, by_lane: bool) -> None:
        super().__init__()
        self.by_lane = by_lane


class Room:
    """A number of places. A lane may hold as many as it leaves free: one lane at most half, two a third each.

    So a place is left for a newcomer whatever a few crowds do (Choudhury and Hahne, "Dynamic queue length thresholds").
    """

    def __init__(self, places: int) -> None:
        self.free = places
        self._held: Counter[bytes] = Counter()

    @contextmanager
    def place(self, lane: bytes) -> Iterator[None]:
        """Hold a place for the block. Raises `RoomFull`."""
        if self._held[lane] >= self.free:
            raise RoomFull(by_lane=self._held[lane] > 0)
        self.free -= 1
        self._held[lane] += 1
        try:
            yield
        finally:
            self.free += 1
            self._held[lane] -= 1
            if not self._held[lane]:
                del self._held[lane]


class Slots:
    """Lets a number of callers work at a time. Those who wait take turns by lane, and sign-ins go first.

    Every fourth turn is a registration's, if one waits, so that a flood of sign-ins does not end registration.
    """

    _REGISTRATION_EVERY = 4

    def __init__(self, number: int) -> None:
        self._free = number
        self._waiting = {purpose: _Lanes() for purpose in Purpose}
        self._since_registration = 0

    @asynccontextmanager
    async def slot(self, lane: bytes, purpose: Purpose) -> AsyncIterator[None]:
        """Work in the block, when it is the lane's turn."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(lane, purpose)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, lane: bytes, purpose: Purpose) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[purpose].add(lane, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        turn = self._next()
        if turn is None:
            self._free += 1
        else:
            turn.set_result(None)

    def _next(self) -> asyncio.Future[None] | None:
        self._since_registration += 1
        order = [Purpose.SIGN_IN, Purpose.REGISTRATION]
        if self._since_registration >= self._REGISTRATION_EVERY:
            order.reverse()
        for purpose in order:
            if (turn := self._waiting[purpose].take()) is not None:
                if purpose is Purpose.REGISTRATION:
                    self._since_registration = 0
                return turn
        return None


class _Lanes:
    """Waiting turns by lane; the lanes take turns."""

    def __init__(self) -> None:
        self._lanes: OrderedDict[bytes, deque[asyncio.Future[None]]] = OrderedDict()

    def add(self, lane: bytes, turn: asyncio.Future[None]) -> None:
        self._lanes.setdefault(lane, deque()).append(turn)

    def take(self) -> asyncio.Future[None] | None:
        """The next turn whose caller still waits; its lane goes to the end."""
        while self._lanes:
            lane, turns = self._lanes.popitem(last=False)
            turn = turns.popleft()
            if turns:
                self._lanes[lane] = turns
            if not turn.done():
                return turn
        return None
