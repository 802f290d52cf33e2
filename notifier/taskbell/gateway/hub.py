"""Routing: which connections of this process want an event."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from typing import Protocol

from taskbell.contract.cursors import EventCursor
from taskbell.gateway.live import LiveEvent
from taskbell.gateway.recent import RecentEvents, StreamEvent

_REMEMBERED_REMOVALS = 10_000
_EVERYBODY = ""
"""In place of a user: all members of a workspace that was deleted."""


class Receiver(Protocol):
    """A connection as the hub sees it. None of its calls may block, nor leave the hub before they return."""

    user_id: str

    def deliver(self, event: LiveEvent) -> None:
        """Take one event."""

    def membership_ended(self, workspace_id: str) -> None:
        """The subscription has ended: the user left the workspace."""

    def stream_renewed(self) -> None:
        """The stream was rebuilt: the client must reconnect."""


class Hub:
    """The connections by workspace and by user, and the position up to which they have been served.

    Attributes:
        epoch: The identity of the stream; 0 before the reader began.
        position: The sequence of the last event routed. A connection that registers now is served every later event.
        recent: The newest events.
    """

    def __init__(self, recent: RecentEvents) -> None:
        """Begin without a stream."""
        self.epoch = 0
        self.position = 0
        self.recent = recent
        self._workspaces: dict[str, set[Receiver]] = {}
        self._users: dict[str, set[Receiver]] = {}
        self._removals: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._awaited: list[tuple[int, asyncio.Future[None]]] = []

    @property
    def place(self) -> EventCursor:
        """The position in the stream."""
        return EventCursor(self.epoch, self.position)

    @property
    def cursor(self) -> str:
        """The position as a client's cursor."""
        return str(self.place)

    def begin(self, *, epoch: int, position: int) -> None:
        """Start on a stream after `position`; connections that saw another one are sent away."""
        renewed = self.epoch != 0
        self.epoch = epoch
        self.position = position
        self.recent.clear(floor=position)
        self._removals.clear()
        if renewed:
            for receiver in [receiver for receivers in self._users.values() for receiver in receivers]:
                receiver.stream_renewed()

    def connections_of(self, user_id: str) -> int:
        """How many connections a user has here."""
        return len(self._users.get(user_id, ()))

    def register(self, receiver: Receiver) -> None:
        """Serve a connection its user's `me` channel from now on."""
        self._users.setdefault(receiver.user_id, set()).add(receiver)

    def subscribe(self, receiver: Receiver, workspace_id: str) -> None:
        """Serve a registered connection a workspace's events from now on."""
        self._workspaces.setdefault(workspace_id, set()).add(receiver)

    def unsubscribe(self, receiver: Receiver, workspace_id: str) -> None:
        """End a subscription; without one, do nothing."""
        _discard(self._workspaces, workspace_id, receiver)

    def leave(self, receiver: Receiver, workspaces: Iterable[str]) -> None:
        """Forget a connection with its subscriptions, if it ever registered."""
        _discard(self._users, receiver.user_id, receiver)
        for workspace_id in workspaces:
            self.unsubscribe(receiver, workspace_id)

    def route(self, event: StreamEvent) -> int:
        """Deliver an event once to each connection that wants it; return their number. Repeated events are dropped.

        A personal event goes to its audience alone, not to those who subscribe to its workspace.
        """
        if event.sequence <= self.position:
            return 0
        self.position = event.sequence
        self.recent.add(event)
        receivers = None if event.personal else self._workspaces.get(event.workspace_id)
        if event.audience:
            for user_id in event.audience.split(","):
                addressed = self._users.get(user_id)
                if addressed:
                    receivers = addressed if receivers is None else receivers | addressed
        if self._awaited:
            self._tell_awaited()
        if not receivers:
            return 0
        live = LiveEvent(self.epoch, event)
        for receiver in receivers:
            receiver.deliver(live)
        return len(receivers)

    async def reached(self, sequence: int) -> None:
        """Wait until the position has reached a sequence. The caller sets the deadline."""
        if self.position < sequence:
            reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._awaited.append((sequence, reached))
            await reached

    def _tell_awaited(self) -> None:
        for sequence, reached in self._awaited:
            if sequence <= self.position and not reached.done():
                reached.set_result(None)
        self._awaited = [entry for entry in self._awaited if not entry[1].done()]

    def remove_member(self, workspace_id: str, user_id: str) -> None:
        """End a user's subscriptions to a workspace, and remember it for checks that are still under way."""
        self._remember_removal(workspace_id, user_id)
        self._end(workspace_id, [each for each in self._workspaces.get(workspace_id, ()) if each.user_id == user_id])

    def remove_workspace(self, workspace_id: str) -> None:
        """End all subscriptions to a workspace that was deleted, and remember it in the same way."""
        self._remember_removal(workspace_id, _EVERYBODY)
        self._end(workspace_id, list(self._workspaces.get(workspace_id, ())))

    def _remember_removal(self, workspace_id: str, user_id: str) -> None:
        key = (workspace_id, user_id)
        self._removals[key] = self.position
        self._removals.move_to_end(key)
        if len(self._removals) > _REMEMBERED_REMOVALS:
            self._removals.popitem(last=False)

    def _end(self, workspace_id: str, receivers: list[Receiver]) -> None:
        for receiver in receivers:
            self.unsubscribe(receiver, workspace_id)
            receiver.membership_ended(workspace_id)

    def removed_since(self, position: int, workspace_id: str, user_id: str) -> bool:
        """Whether a removal came after `position`: a membership read from PostgreSQL before may be outdated."""
        return any(self._removals.get((workspace_id, whom), -1) > position for whom in (user_id, _EVERYBODY))


def _discard(receivers_by_key: dict[str, set[Receiver]], key: str, receiver: Receiver) -> None:
    receivers = receivers_by_key.get(key)
    if receivers is not None:
        receivers.discard(receiver)
        if not receivers:
            del receivers_by_key[key]
