"""One connection: does what its session asks, over `websockets`."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from websockets.exceptions import ConnectionClosed

from taskbell.contract.cursors import EventCursor
from taskbell.contract.frames import CloseCode, Resume
from taskbell.kit.nats_reader import ReplayInterrupted
from taskbell.notifier.gateway import metrics
from taskbell.notifier.gateway.actions import (
    Action,
    AddChannel,
    Close,
    DropChannel,
    Identity,
    Join,
    Joined,
    Now,
    Refusal,
    Replay,
    Send,
    Subscribed,
    VerifyRefresh,
    VerifySignIn,
)
from taskbell.notifier.gateway.hub import Hub
from taskbell.notifier.gateway.inputs import ME, Credential, workspace_channel, workspace_of
from taskbell.notifier.gateway.outbox import OutboxOverflow
from taskbell.notifier.gateway.replay import Missed, Prepared, Resumption
from taskbell.notifier.gateway.repository import Memberships, MembershipsUnavailable
from taskbell.notifier.gateway.session import (
    HELLO_GRACE_SECONDS,
    TRY_AGAIN_LATER,
    UNKNOWN_CHANNEL,
    Phase,
    Session,
    SessionLimits,
)
from taskbell.notifier.gateway.sign_ins import SignIns
from taskbell.notifier.gateway.wheel import TimerWheel

if TYPE_CHECKING:
    from taskbell.notifier.gateway.wire import GatewayConnection

_FORBIDDEN = Refusal("forbidden", "not a member of this workspace, or there is none")
_UNAVAILABLE = Refusal("unavailable", "try again", retryable=True, close_code=TRY_AGAIN_LATER)
RETRY_AFTER_MS = 1_000
"""Clients come back within this time, each at a random point of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all connections of a process share."""

    hub: Hub
    memberships: Memberships
    sign_ins: SignIns
    resumption: Resumption
    wheel: TimerWheel[Socket]
    limits: SessionLimits
    max_connections_per_user: int


class Socket:
    """The shell of one session; a `Receiver` of the hub."""

    def __init__(self, connection: GatewayConnection, around: Surroundings, *, connection_id: str) -> None:
        """Take an accepted connection."""
        self.user_id = ""
        self._connection = connection
        self._around = around
        self._hub = around.hub
        self._loop = asyncio.get_running_loop()
        self._session = Session(
            connection_id=connection_id,
            limits=around.limits,
            now=self._loop.time(),
            first_ping=random.uniform(0.5, 1),  # noqa: S311 -- jitter, not a secret
        )
        self._outbox = self._session.outbox
        self._workspaces: set[str] = set()
        self._prepared: Prepared | None = None
        self._resumed_at: int | None = None
        self._left: dict[str, int] = {}
        self._me_after = 0

    async def run(self, credential: Credential | None) -> None:
        """Serve the connection until its end."""
        self._around.wheel.schedule(self, self._session.deadline)
        try:
            await self._perform(self._session.arrive(credential))
            if self._session.phase is Phase.GREETING:
                await self._greet()
            while True:  # after our close, too: the peer's answer stands behind what it sent before
                message = await self._connection.recv()
                await self._perform(self._session.receive(message, self._loop.time()))
        except ConnectionClosed:
            pass
        finally:
            self._session.lost()
            self._around.wheel.remove(self)
            self._hub.leave(self, self._workspaces)
            if self._prepared is not None:
                await self._prepared.abandon()

    # The hub's side

    def deliver(self, frame: bytes) -> None:
        """Write one event's frame, or keep it while the client is behind."""
        if self._outbox.flowing:
            self._connection.write_frames(frame)
            return
        try:
            self._outbox.keep(frame)
        except OutboxOverflow:
            self._perform_now(self._session.overflowed())

    def membership_ended(self, workspace_id: str) -> None:
        """Tell the client that a subscription has ended."""
        self._workspaces.discard(workspace_id)
        self._perform_now(self._session.membership_ended(workspace_id))

    def stream_renewed(self) -> None:
        """Send the client away for a fresh start."""
        self.go_away()
        self.drained("the event stream was built anew")

    # The transport's side

    def transport_full(self) -> None:
        """The client reads more slowly than we write."""
        self._outbox.pause()

    def transport_ready(self) -> None:
        """There is room again: write what waited."""
        self._outbox.resume()
        self._session.seen(self._loop.time())
        self._flush()

    def seen(self) -> None:
        """Something came from the client."""
        self._session.seen(self._loop.time())

    # The gateway's side

    def tick(self) -> None:
        """The wheel calls: the session's deadline has come."""
        self._perform_now(self._session.tick(self._loop.time(), cursor=self._hub.cursor))
        self._schedule()

    def go_away(self) -> None:
        """Announce the end."""
        self._perform_now(self._session.go_away(random.randint(0, RETRY_AFTER_MS)))  # noqa: S311 -- jitter

    def drained(self, reason: str = "the gateway is going away") -> None:
        """Close, because the process ends."""
        self._perform_now(self._session.drained(reason))

    # Doing what the session asks

    async def _greet(self) -> None:
        try:
            async with asyncio.timeout(HELLO_GRACE_SECONDS):
                message = await self._connection.recv()
        except TimeoutError:
            await self._perform(self._session.greeting_over())
        else:
            await self._perform(self._session.receive(message, self._loop.time()))

    async def _perform(self, actions: Iterable[Action]) -> None:
        waiting = deque(actions)
        while waiting:
            action = waiting.popleft()
            match action:
                case Send() | Close():
                    self._perform_now((action,))
                case DropChannel(workspace_id=workspace_id):
                    self._drop(workspace_id)
                case _:
                    waiting.extendleft(reversed(await self._ask(action)))
        self._flush()
        self._schedule()

    async def _ask(self, action: Action) -> list[Action]:  # noqa: PLR0911 -- one return per case
        match action:
            case VerifySignIn(credential=credential):
                found = await self._around.sign_ins.verify(credential)
                if isinstance(found, Refusal):
                    return [*self._session.sign_in_refused(found)]
                return [*self._session.signed_in(found)]
            case VerifyRefresh(credential=credential, id=request_id):
                return await self._refresh(credential, request_id)
            case Join():
                joined = await self._join(action)
                if isinstance(joined, Refusal):
                    return [*self._session.sign_in_refused(joined)]
                return [*self._session.joined(joined)]
            case AddChannel(workspace_id=workspace_id, id=request_id):
                added = await self._add(action)
                if isinstance(added, Refusal):
                    return [*self._session.subscribe_refused(request_id, workspace_channel(workspace_id), added)]
                return [*self._session.subscribed(request_id, added)]
            case Replay():
                return [*await self._replay()]
            case _:
                raise AssertionError(f"no answer is known to {action}")

    def _perform_now(self, actions: Iterable[Now]) -> None:
        for action in actions:
            if isinstance(action, Send):
                self._connection.write_frames(action.frame)
            else:
                metrics.CLOSES.labels(code=str(action.code)).inc()
                self._connection.close_now(action.code, action.reason)

    async def _refresh(self, credential: Credential, request_id: str | int | None) -> list[Action]:
        found: Identity | Refusal = await self._around.sign_ins.verify(credential)
        if isinstance(found, Refusal):
            return [*self._session.refresh_refused(request_id, found)]
        return [*self._session.refreshed(request_id, found)]

    async def _join(self, wish: Join) -> Joined | Refusal:
        """Check the channels, register, find out whether the cursor can be served."""
        wanted = {channel: workspace_of(channel) for channel in wish.channels if channel != ME}
        asked_at = self._hub.position
        member_of: frozenset[str] = frozenset()
        if wanted or wish.resume is not None:
            try:
                member_of = await self._around.memberships.workspaces_of(wish.user_id)
            except MembershipsUnavailable:
                return _UNAVAILABLE
        member_of = frozenset(
            workspace for workspace in member_of if not self._hub.removed_since(asked_at, workspace, wish.user_id)
        )
        if self._session.phase is not Phase.JOINING:
            return _UNAVAILABLE
        if self._hub.connections_of(wish.user_id) >= self._around.max_connections_per_user:
            return Refusal(
                "too_many_connections",
                f"a user has at most {self._around.max_connections_per_user} connections",
                close_code=CloseCode.TOO_MANY_CONNECTIONS,
            )
        granted = [workspace for workspace in wanted.values() if workspace in member_of]
        self.user_id = wish.user_id
        self._hub.register(self)
        for workspace in granted:
            self._subscribe(workspace)
        position, epoch = self._hub.position, self._hub.epoch
        self._me_after = position
        resume, cursor = Resume.NEW, self._hub.cursor
        if wish.resume is not None:
            resume = Resume.GAP
            stands_at = self._around.resumption.position(wish.resume)
            if stands_at is not None:
                missed = Missed(
                    after=stands_at,
                    until=position,
                    user_id=wish.user_id,
                    workspaces=frozenset(granted),
                    member_of=member_of,
                )
                try:
                    self._prepared = await self._around.resumption.prepare(missed)
                except ReplayInterrupted:
                    return _UNAVAILABLE
                if self._prepared is not None:
                    resume, cursor = Resume.OK, wish.resume
                    self._me_after = self._resumed_at = stands_at
        return Joined(
            epoch=epoch,
            cursor=cursor,
            resume=resume,
            channels=(ME, *(channel for channel, workspace in wanted.items() if workspace in self._workspaces)),
            refused=tuple(
                (channel, UNKNOWN_CHANNEL if workspace is None else _FORBIDDEN)
                for channel, workspace in wanted.items()
                if workspace not in self._workspaces
            ),
        )

    async def _add(self, wish: AddChannel) -> Subscribed | Refusal:  # noqa: PLR0911 -- one return per case
        """Check membership, subscribe, find out what of the channel was missed."""
        workspace = wish.workspace_id
        channel = workspace_channel(workspace)
        asked_at = self._hub.position
        try:
            member_of = await self._around.memberships.workspaces_of(self.user_id)
        except MembershipsUnavailable:
            return _UNAVAILABLE
        if workspace not in member_of or self._hub.removed_since(asked_at, workspace, self.user_id):
            return _FORBIDDEN
        if workspace in self._workspaces:
            return Subscribed(channel, self._hub.cursor, Resume.NEW)
        if self._session.phase is not Phase.OPEN:
            return _UNAVAILABLE
        after = self._missed_since(wish)
        self._subscribe(workspace)
        position, cursor = self._hub.position, self._hub.cursor
        if after is None:
            return Subscribed(channel, cursor, Resume.NEW)
        self._outbox.hold()
        prepared = None
        if after >= 0:
            missed = Missed(
                after=after,
                until=position,
                user_id="",
                workspaces=frozenset((workspace,)),
                member_of=member_of,
                carried_user=self.user_id,
                carried_after=self._me_after,
            )
            try:
                prepared = await self._around.resumption.prepare(missed)
            except ReplayInterrupted:
                self._drop(workspace)
                self._outbox.release()
                return _UNAVAILABLE
        if prepared is None:
            return Subscribed(channel, cursor, Resume.GAP)
        self._prepared = prepared
        return Subscribed(channel, str(EventCursor(self._hub.epoch, after)), Resume.OK)

    def _missed_since(self, wish: AddChannel) -> int | None:
        """From where a new channel is replayed: None for not at all, -1 for a cursor that cannot be served."""
        if wish.resume is not None:
            position = self._around.resumption.position(wish.resume)
            return -1 if position is None else position
        if self._resumed_at is None:
            return None
        return self._left.get(wish.workspace_id, self._resumed_at)

    def _subscribe(self, workspace: str) -> None:
        self._workspaces.add(workspace)
        self._hub.subscribe(self, workspace)

    def _drop(self, workspace: str) -> None:
        if workspace in self._workspaces:
            self._workspaces.discard(workspace)
            self._hub.unsubscribe(self, workspace)
            self._left[workspace] = self._hub.position

    async def _replay(self) -> Iterable[Action]:
        prepared, self._prepared = self._prepared, None
        if prepared is None:
            return self._session.replay_failed(RETRY_AFTER_MS)
        try:
            async for chunk in prepared.chunks():
                await self._connection.writable()
                if self._session.phase is Phase.CLOSED:
                    break
                self._connection.write_frames(chunk)
                self._session.seen(self._loop.time())
        except ReplayInterrupted:
            metrics.REPLAYS.labels(outcome="interrupted").inc()
            return self._session.replay_failed(random.randint(0, RETRY_AFTER_MS))  # noqa: S311 -- jitter
        finally:
            await prepared.abandon()
        self._session.replayed(self._loop.time())
        return ()

    def _flush(self) -> None:
        while chunk := self._outbox.take():
            self._connection.write_frames(chunk)

    def _schedule(self) -> None:
        if self._session.phase is not Phase.CLOSED:
            self._around.wheel.schedule(self, self._session.deadline)
