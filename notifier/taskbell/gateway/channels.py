"""The channels of one connection: whether it may have them, and which of their events it missed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from taskbell.contract.cursors import EventCursor
from taskbell.contract.frames import Resume
from taskbell.gateway.actions import AddChannel, Join, Joined, Refusal, Subscribed
from taskbell.gateway.cap import Holder
from taskbell.gateway.cap_exchange import CapExchange
from taskbell.gateway.hub import Hub, Receiver
from taskbell.gateway.inputs import ME, workspace_channel, workspace_of
from taskbell.gateway.refusals import UNKNOWN_CHANNEL, too_many_connections
from taskbell.gateway.replay import Missed, Prepared, Resumption
from taskbell.gateway.repository import DatabaseUnavailable, Memberships
from taskbell.gateway.session import TRY_AGAIN_LATER
from taskbell.kit.nats_replay import ReplayInterrupted

_FORBIDDEN = Refusal("forbidden", "not a member of this workspace, or it does not exist")
_UNAVAILABLE = Refusal("unavailable", "try again", retryable=True, close_code=TRY_AGAIN_LATER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What all connections share to decide about channels."""

    hub: Hub
    memberships: Memberships
    resumption: Resumption
    users: CapExchange


class Connected(Receiver, Holder, Protocol):
    """A connection as the hub and the cap of its user see it."""


class Backlog(Protocol):
    """The events that wait to be written to the connection."""

    @property
    def flowing(self) -> bool:
        """Whether nothing waits: every event up to the hub's position was written."""

    async def settled(self) -> bool:
        """Wait until nothing waits; return False if the connection ends first."""

    def hold(self) -> None:
        """Hold live events back until older ones are written."""


class Channels:
    """`me` and the workspaces of one connection, registered with the hub.

    Attributes:
        prepared: A replay that is to be written next, or None.
    """

    def __init__(
        self, receiver: Connected, admission: Admission, *, handshake: EventCursor, is_open: Callable[[], bool]
    ) -> None:
        """Take the connection as a receiver of the hub.

        `handshake` is the hub's place before the answer to the handshake; `is_open` tells whether the connection is.
        """
        self._handshake = handshake
        self.prepared: Prepared | None = None
        self._receiver = receiver
        self._is_open = is_open
        self._admission = admission
        self._hub = admission.hub
        self._workspaces: set[str] = set()
        self._left: dict[str, int] = {}
        self._resumed_at: int | None = None
        self._stamp: int | None = None
        self._me_after = 0

    async def join(self, wish: Join, backlog: Backlog) -> Joined | Refusal:
        """Register the connection with the channels that it may have, and prepare the replay of what it missed.

        Without a cursor these are the events since its handshake.
        """
        wanted = {channel: workspace_of(channel) for channel in wish.channels if channel != ME}
        stands_at: EventCursor | None = None
        if not wish.late:
            await self._admission.users.may_join(wish.user_id)  # `_register` looks again
        try:
            if wish.resume is not None:
                stands_at = await self._admission.resumption.locate(wish.resume)
            needed = bool(wanted) or wish.resume is not None
            member_of = await self._workspaces_of(wish.user_id) if needed else None
            workspaces = [found for found in wanted.values() if found is not None and found in (member_of or ())]
            if wish.late and not await backlog.settled():
                return _UNAVAILABLE
            refusal = self._extend(workspaces) if wish.late else self._register(wish.user_id, workspaces)
            if refusal is not None:
                return refusal
            if wish.late:
                backlog.hold()
            place = self._hub.place
            resume, replays = Resume.NEW, False
            if wish.resume is not None:
                resume = Resume.GAP
                if (
                    stands_at is not None
                    and stands_at.epoch == place.epoch  # the stream may have been rebuilt while memberships were read
                    and await self._prepare_all(stands_at.sequence, member_of or frozenset())
                ):
                    place, resume, replays = stands_at, Resume.OK, True
            elif await self._missed_since_handshake(place, member_of):
                replays = self.prepared is not None
                place, resume = (self._handshake, Resume.NEW) if replays else (place, Resume.GAP)
        except (DatabaseUnavailable, ReplayInterrupted):
            return _UNAVAILABLE
        return Joined(
            epoch=place.epoch,
            cursor=str(place),
            resume=resume,
            replays=replays,
            channels=(ME, *(channel for channel, workspace in wanted.items() if workspace in self._workspaces)),
            refused=tuple(
                (channel, UNKNOWN_CHANNEL if workspace is None else _FORBIDDEN)
                for channel, workspace in wanted.items()
                if workspace not in self._workspaces
            ),
        )

    def _extend(self, workspaces: list[str]) -> Refusal | None:
        """Add channels to a connection that is registered, because its `hello` came late."""
        if not self._is_open():
            return _UNAVAILABLE
        for workspace in workspaces:
            self._subscribe(workspace)
        return None

    async def _missed_since_handshake(self, place: EventCursor, member_of: frozenset[str] | None) -> bool:
        """Prepare to replay what came since the handshake; return whether anything did, or may have.

        Nothing is prepared when it cannot be replayed.
        """
        began = self._handshake
        if began.epoch != place.epoch:
            return began.epoch != 0
        recent = self._hub.recent.after(began.sequence) if began.sequence < place.sequence else []
        user_id = self._receiver.user_id
        if recent is not None and not any(
            event.workspace_id in self._workspaces or user_id in event.audience for event in recent
        ):
            return False
        if member_of is None:
            member_of = await self._workspaces_of(user_id)
        await self._prepare_all(began.sequence, member_of, until=place.sequence, resumes=False)
        return True

    async def add(  # noqa: PLR0911 -- one return per case
        self, wish: AddChannel, backlog: Backlog
    ) -> Subscribed | Refusal:
        """Subscribe to a workspace, and prepare the replay of what it missed.

        A replay begins when nothing else waits: its cursors would be ahead of events that are not written yet.
        """
        workspace, channel = wish.workspace_id, workspace_channel(wish.workspace_id)
        if workspace in self._workspaces:
            return Subscribed(channel, self._cursor_if(backlog), Resume.NEW)
        try:
            after = await self._missed_since(wish)
            asked_at, user_id = self._hub.position, self._receiver.user_id
            if workspace not in await self._workspaces_of(user_id):
                return _FORBIDDEN
            if after is not None and not await backlog.settled():
                return _UNAVAILABLE
            if self._hub.removed_since(asked_at, workspace, user_id):
                return _FORBIDDEN
            if not self._is_open():
                return _UNAVAILABLE
            self._subscribe(workspace)
            cursor = self._cursor_if(backlog)
            if after is None:
                return Subscribed(channel, cursor, Resume.NEW)
            backlog.hold()
            if after < 0 or not await self._prepare_one(workspace, after):
                return Subscribed(channel, cursor, Resume.GAP)
        except (DatabaseUnavailable, ReplayInterrupted):
            self.ended(workspace)
            self._hub.unsubscribe(self._receiver, workspace)
            return _UNAVAILABLE
        return Subscribed(channel, str(EventCursor(self._hub.epoch, after)), Resume.OK)

    def drop(self, workspace: str) -> None:
        """Unsubscribe, and remember the position: a resumed connection can subscribe again from there."""
        if workspace in self._workspaces:
            self._workspaces.discard(workspace)
            self._hub.unsubscribe(self._receiver, workspace)
            self._left[workspace] = self._hub.position

    def ended(self, workspace: str) -> None:
        """The hub has ended the subscription."""
        self._workspaces.discard(workspace)

    async def leave(self) -> None:
        """Unregister the connection: it has ended."""
        self._hub.leave(self._receiver, self._workspaces)
        if self._stamp is not None:
            self._admission.users.cap.left(self._receiver.user_id, self._stamp)
        if self.prepared is not None:
            await self.prepared.abandon()

    def _cursor_if(self, backlog: Backlog) -> str | None:
        """The hub's cursor, if everything before it has been written."""
        return self._hub.cursor if backlog.flowing else None

    async def _workspaces_of(self, user_id: str) -> frozenset[str]:
        """The user's workspaces, except those that the user left while PostgreSQL was asked."""
        asked_at = self._hub.position
        found = await self._admission.memberships.workspaces_of(user_id)
        return frozenset(one for one in found if not self._hub.removed_since(asked_at, one, user_id))

    def _register(self, user_id: str, workspaces: list[str]) -> Refusal | None:
        if not self._is_open() or not self._hub.epoch:
            return _UNAVAILABLE
        users = self._admission.users
        if users.cap.is_full(user_id):
            return too_many_connections(users.cap.most)
        self._receiver.user_id = user_id
        self._hub.register(self._receiver)
        self._stamp = users.cap.joined(user_id, self._receiver)
        if users.cap.is_full(user_id):
            users.hurry()
        for workspace in workspaces:
            self._subscribe(workspace)
        self._me_after = self._hub.position
        return None

    async def _prepare_all(
        self, after: int, member_of: frozenset[str], *, until: int | None = None, resumes: bool = True
    ) -> bool:
        """Prepare a replay of all channels; `resumes`: of a client that brought its cursor."""
        missed = Missed(
            after=after,
            until=self._hub.position if until is None else until,
            user_id=self._receiver.user_id,
            workspaces=frozenset(self._workspaces),
            member_of=member_of,
            carried_user=self._receiver.user_id,
            carried_after=self._me_after,
        )
        self.prepared = await self._admission.resumption.prepare(missed)
        if self.prepared is None:
            return False
        self._me_after = min(self._me_after, after)
        if resumes:
            self._resumed_at = after
        return True

    async def _prepare_one(self, workspace: str, after: int) -> bool:
        missed = Missed(
            after=after,
            until=self._hub.position,
            user_id="",
            workspaces=frozenset((workspace,)),
            member_of=frozenset(),
            carried_user=self._receiver.user_id,
            carried_after=self._me_after,
        )
        self.prepared = await self._admission.resumption.prepare(missed)
        return self.prepared is not None

    async def _missed_since(self, wish: AddChannel) -> int | None:
        """The sequence after which to replay a new channel; None for no replay, -1 for a cursor out of reach."""
        if wish.resume is not None:
            found = await self._admission.resumption.locate(wish.resume)
            return -1 if found is None else found.sequence
        if self._resumed_at is None:
            return None
        return self._left.get(wish.workspace_id, self._resumed_at)

    def _subscribe(self, workspace: str) -> None:
        self._workspaces.add(workspace)
        self._hub.subscribe(self._receiver, workspace)
