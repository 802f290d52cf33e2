"""How many connections each user has at all gateways, and which are too many: pure state.

Every gateway tells the others what it has (`cap_exchange`). All order the connections alike, by the time of their
admission, so that all agree which are too many, and each closes its own of these. So two gateways may admit the last
one at the same moment: a moment later the younger one is closed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

USERS_PER_MESSAGE = 1_000
"""So a message is smaller than 100 KiB, but for users with many connections."""
_MOST_PEERS = 1_000
EVERYBODY = "*"


class Holder(Protocol):
    """A connection that counts."""

    def one_too_many(self) -> None:
        """Close it: the user has older ones, as many as are allowed."""


@dataclass(slots=True)
class Peer:
    """Another gateway.

    Attributes:
        number: That of its last message that was understood.
        heard: How many messages came from it.
        silence: How many of our own heartbeats passed since.
        users: Its users' connections, by the stamps of their admissions.
    """

    number: int
    heard: int = 0
    silence: int = 0
    users: dict[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A message from a gateway about its own connections.

    Attributes:
        sender: Its name.
        number: Counts its messages with users; a heartbeat repeats the last one's.
        users: The users whose connections changed, with all that they have there now.
        is_fresh: Whatever it told before is void: this is the first of the messages that tell everything.
        asks: The gateway that is to tell everything, or `EVERYBODY`, or empty.
        is_gone: It has no connections any more, and ends.
    """

    sender: str
    number: int
    users: Mapping[str, Sequence[int]] = field(default_factory=dict)
    is_fresh: bool = False
    asks: str = ""
    is_gone: bool = False


class UserCap:
    """The connections of this gateway, and what the others told of theirs.

    Attributes:
        name: This gateway's name, unlike any other's.
        most: How many connections a user may have.
        peers: The other gateways by name.
    """

    def __init__(self, *, name: str, most: int) -> None:
        """Begin without connections."""
        self.name = name
        self.most = most
        self.peers: dict[str, Peer] = {}
        self._own: dict[str, dict[int, Holder]] = {}
        self._changed: dict[str, None] = {}
        self._last_stamp = 0

    def total(self, user: str) -> int:
        """How many connections a user has at all gateways, as far as is known."""
        return len(self._own.get(user, ())) + sum(len(peer.users.get(user, ())) for peer in self.peers.values())

    def is_full(self, user: str) -> bool:
        """Whether one more connection would be too many."""
        return self.total(user) >= self.most

    def sharing(self, user: str) -> dict[str, int]:
        """The gateways at which a user has connections besides, each with how often it was heard."""
        return {name: peer.heard for name, peer in self.peers.items() if user in peer.users}

    def joined(self, user: str, holder: Holder) -> int:
        """Count a connection that was admitted; return its stamp."""
        self._last_stamp = max(self._last_stamp + 1, time.time_ns() // 1000)
        self._own.setdefault(user, {})[self._last_stamp] = holder
        self._changed[user] = None
        return self._last_stamp

    def left(self, user: str, stamp: int) -> None:
        """Count a connection no longer; without one, do nothing."""
        holders = self._own.get(user, {})
        if holders.pop(stamp, None) is not None:
            self._changed[user] = None
            if not holders:
                del self._own[user]

    # What this gateway tells

    @property
    def has_news(self) -> bool:
        """Whether connections came or went since `news`."""
        return bool(self._changed)

    def news(self) -> Iterator[dict[str, list[int]]]:
        """Yield what changed since the last call, some users at a time."""
        changed, self._changed = self._changed, {}
        return self._in_parts(changed)

    def everything(self) -> Iterator[dict[str, list[int]]]:
        """Yield all connections, some users at a time: at least one part, which may be empty."""
        self._changed = {}
        return self._in_parts(dict.fromkeys(self._own)) if self._own else iter([{}])

    def _in_parts(self, users: dict[str, None]) -> Iterator[dict[str, list[int]]]:
        left = iter(users)
        while part := list(islice(left, USERS_PER_MESSAGE)):
            yield {user: list(self._own.get(user, ())) for user in part}

    # What the others tell

    def hear(self, told: Told) -> bool:
        """Take a message; return False if something before it was missed, so that its sender is to tell everything."""
        if told.sender == self.name:
            return True
        if told.is_gone:
            self.peers.pop(told.sender, None)
            return True
        peer = self.peers.get(told.sender)
        if peer is None or told.is_fresh:
            if len(self.peers) >= _MOST_PEERS or not told.is_fresh:
                return False
            peer = self.peers[told.sender] = Peer(told.number, heard=0 if peer is None else peer.heard)
        elif told.number != peer.number + (1 if told.users else 0):
            del self.peers[told.sender]
            return False
        peer.number = told.number
        peer.heard += 1
        peer.silence = 0
        for user, stamps in told.users.items():
            if stamps:
                peer.users[user] = tuple(stamps)
            else:
                peer.users.pop(user, None)
        for user in told.users:
            self._close_excess(user)
        return True

    def pass_time(self, *, patience: int) -> None:
        """Forget the gateways that were silent for more than `patience` heartbeats of this one."""
        for name, peer in list(self.peers.items()):
            peer.silence += 1
            if peer.silence > patience:
                del self.peers[name]

    def _close_excess(self, user: str) -> None:
        """Close the youngest of a user's connections, if these are here and there are too many."""
        own = self._own.get(user)
        excess = self.total(user) - self.most
        if not own or excess <= 0:
            return
        places = [(stamp, self.name) for stamp in own]
        for name, peer in self.peers.items():
            places += [(stamp, name) for stamp in peer.users.get(user, ())]
        for stamp, name in sorted(places)[self.most :]:
            if name == self.name:
                holder = own[stamp]
                self.left(user, stamp)
                holder.one_too_many()
