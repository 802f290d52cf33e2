"""One connection: carries out what its session asks, over `websockets`."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from websockets.exceptions import ConnectionClosed

from taskbell.contract.cursors import EventCursor
from taskbell.gateway import metrics
from taskbell.gateway.actions import (
    Action,
    AddChannel,
    Close,
    DropChannel,
    Identity,
    Join,
    Now,
    Refusal,
    Replay,
    Send,
    VerifyRefresh,
    VerifySignIn,
)
from taskbell.gateway.channels import Admission, Channels
from taskbell.gateway.hub import Hub
from taskbell.gateway.inputs import Credential, workspace_channel
from taskbell.gateway.live import LiveEvent
from taskbell.gateway.personal_tokens import TokenWatch
from taskbell.gateway.refusals import TOKEN_ENDED
from taskbell.gateway.send_queue import QueueOverflow
from taskbell.gateway.session import (
    HELLO_GRACE_SECONDS,
    Phase,
    Session,
    SessionLimits,
)
from taskbell.gateway.sign_ins import SignIns
from taskbell.gateway.signed_in import SESSION_ENDED, SignedIn
from taskbell.gateway.unsent import Unsent
from taskbell.gateway.wheel import TimerWheel
from taskbell.kit.nats_replay import ReplayInterrupted

if TYPE_CHECKING:
    from taskbell.gateway.wire import GatewayConnection

RETRY_AFTER_MS = 1_000
"""Clients reconnect within this time, each at a random moment."""


REPLAY_READ_SECONDS = 20.0
"""A client that reads nothing of its replay for this long is closed as slow. It must be shorter than the time after
which NATS removes an idle consumer (30 s)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all connections of a process share."""

    hub: Hub
    admission: Admission
    sign_ins: SignIns
    signed_in: SignedIn
    wheel: TimerWheel[Socket]
    limits: SessionLimits
    watch: TokenWatch
    unsent: Unsent


class Socket:
    """Connects a session with the hub, of which it is a `Receiver`, and with the transport."""

    def __init__(
        self, connection: GatewayConnection, around: Surroundings, *, connection_id: str, handshake: EventCursor
    ) -> None:
        """Take an accepted connection, and the hub's place at its handshake."""
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
            lifetime=random.uniform(0.75, 1),  # noqa: S311 -- jitter, not a secret
            unsent=around.unsent,
            is_silent=connection.is_stream,
        )
        self._format = connection.format
        self._queue = self._session.queue
        self._queue.encode = self._format.event
        self._channels = Channels(
            self,
            around.admission,
            handshake=handshake,
            is_open=lambda: self._session.phase is not Phase.CLOSED,
        )

    async def run(self, credential: Credential | None, address: str, *, last_id: str | None = None) -> None:
        """Serve the connection until its end. `last_id` is the cursor in a header, which wins over the address."""
        self._around.wheel.schedule(self, self._session.deadline)
        try:
            await self._perform(self._session.arrive(credential, address, last_id=last_id))
            if self._session.phase is Phase.GREETING:
                await self._greet()
            while True:  # also after our close: frames that the client sent before come ahead of its answer
                message = await self._connection.recv()
                await self._perform(self._session.receive(message, self._loop.time()))
        except ConnectionClosed:
            pass
        finally:
            self._session.lost()
            self._around.wheel.remove(self)
            self._around.watch.end(self)
            self._around.signed_in.leave(self)
            await self._channels.leave()

    # The channels' side

    @property
    def flowing(self) -> bool:
        """Whether events are written at once."""
        return self._queue.flowing

    async def settled(self) -> bool:
        """Wait until no event waits; return False if the connection ends first."""
        while not self._queue.flowing:
            if not await self._connection.writable() or self._session.phase is Phase.CLOSED:
                return False
            self._flush()
        return True

    def hold(self) -> None:
        """Hold live events back: a replay of older ones goes first."""
        self._queue.hold()

    # The hub's side

    def deliver(self, event: LiveEvent) -> None:
        """Write an event, or queue it while the client is behind."""
        if self._queue.flowing:
            self._connection.write_frames(self._format.event(event, 0))
            return
        try:
            gave_way = self._queue.keep(event)
        except QueueOverflow:
            self.too_slow()
        else:
            if gave_way:
                metrics.EVENTS_COALESCED.inc(gave_way)
            self._around.unsent.make_room()

    # The side of the cap

    def one_too_many(self) -> None:
        """Close the connection: the user has older ones, as many as are allowed."""
        self._perform_now(self._session.one_too_many(self._around.admission.users.cap.most))

    # The side of what it signed in with

    def token_ended(self) -> None:
        """Close the connection: the token was deleted, or has expired."""
        self._perform_now(self._session.sign_in_refused(TOKEN_ENDED))

    def session_ended(self) -> None:
        """Close the connection: its session of the account has ended."""
        self._perform_now(self._session.sign_in_refused(SESSION_ENDED))

    # The side of `Unsent`

    @property
    def waiting_bytes(self) -> int:
        """What waits for this connection: events, and replies that are not read."""
        return self._queue.size + self._connection.unread

    def lighten(self) -> None:
        """Let events give way to newer ones of the same task."""
        metrics.EVENTS_COALESCED.inc(self._queue.coalesce())

    def too_slow(self) -> None:
        """Close the connection: too much waits for it."""
        self._perform_now(self._session.overflowed())
        if self._connection.unread:
            self._connection.cut()

    def replies_wait(self, size: int) -> None:
        """So many more bytes of replies wait to be read, or fewer."""
        self._around.unsent.added(size)
        self._around.unsent.make_room()

    def membership_ended(self, workspace_id: str) -> None:
        """Tell the client that a subscription has ended."""
        self._channels.ended(workspace_id)
        self._perform_now(self._session.membership_ended(workspace_id))

    def stream_renewed(self) -> None:
        """Make the client reconnect: the stream was rebuilt."""
        self.go_away()
        self.drained("the event stream was rebuilt")

    # The transport's side

    def transport_full(self) -> None:
        """The client reads more slowly than we write."""
        self._queue.pause()

    def transport_ready(self) -> None:
        """There is room again: write what waits."""
        self._queue.resume()
        self._session.seen(self._loop.time())
        self._flush()

    def wire_frame(self) -> None:
        """A ping, a pong or a fragment came from the client."""
        self._perform_now(self._session.wire_frame(self._loop.time()))

    # The gateway's side

    @property
    def is_signed_in(self) -> bool:
        """Whether its user is known."""
        return bool(self._session.user_id)

    def cut(self) -> None:
        """End the connection without a word."""
        self._connection.cut()

    def tick(self) -> None:
        """The session's deadline has come."""
        now = self._loop.time()
        if self._session.is_too_old(now):
            metrics.CONNECTIONS_RENEWED.inc()
        self._perform_now(self._session.tick(now, cursor=self._hub.cursor))
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
                    self._channels.drop(workspace_id)
                case _:
                    waiting.extendleft(reversed(await self._ask(action)))
        self._flush()
        self._schedule()

    async def _ask(self, action: Action) -> list[Action]:  # noqa: PLR0911 -- one return per case
        match action:
            case VerifySignIn(credential=credential):
                found = await self._verify(credential)
                if isinstance(found, Refusal):
                    return [*self._session.sign_in_refused(found)]
                return [*self._session.signed_in(found)]
            case VerifyRefresh(credential=credential, id=request_id):
                return await self._refresh(credential, request_id)
            case Join():
                joined = await self._channels.join(action, self)
                if isinstance(joined, Refusal):
                    return [*self._session.sign_in_refused(joined)]
                return [*self._session.joined(joined)]
            case AddChannel(workspace_id=workspace_id, id=request_id):
                added = await self._channels.add(action, self)
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
                self._connection.write_frames(self._format.control(action.frame))
            else:
                metrics.CLOSES.labels(code=str(action.code)).inc()
                self._connection.close_now(action.code, action.reason)

    async def _refresh(self, credential: Credential, request_id: str | int | None) -> list[Action]:
        found = await self._verify(credential)
        if isinstance(found, Refusal):
            return [*self._session.refresh_refused(request_id, found)]
        return [*self._session.refreshed(request_id, found)]

    async def _verify(self, credential: Credential) -> Identity | Refusal:
        """Verify a credential, and let the connection end with what it depends on."""
        found = await self._around.sign_ins.verify(credential)
        if isinstance(found, Refusal) or self._session.phase is Phase.CLOSED:
            return found
        if (refusal := self._around.signed_in.refusal(found)) is not None:
            return refusal
        self._around.signed_in.admit(found, self)
        if found.personal_token_id is None:
            self._around.watch.end(self)
        else:
            self._around.watch.begin(self, found.personal_token_id)
        return found

    async def _replay(self) -> Iterable[Action]:
        prepared, self._channels.prepared = self._channels.prepared, None
        if prepared is None:
            return self._session.replay_failed(RETRY_AFTER_MS)
        try:
            async with aclosing(prepared.chunks(self._format.event)) as chunks:
                async for chunk in chunks:
                    async with asyncio.timeout(REPLAY_READ_SECONDS):
                        writable = await self._connection.writable()
                    if not writable:
                        return ()
                    self._connection.write_frames(chunk)
                    self._session.seen(self._loop.time())
        except TimeoutError:  # a client that reads nothing gives its share of the replays to another
            return self._session.overflowed()
        except ReplayInterrupted:
            metrics.REPLAYS.labels(outcome="interrupted").inc()
            return self._session.replay_failed(random.randint(0, RETRY_AFTER_MS))  # noqa: S311 -- jitter
        finally:
            await prepared.abandon()
        self._session.replayed(self._loop.time())
        return ()

    def _flush(self) -> None:
        while chunk := self._queue.take():
            self._connection.write_frames(chunk)

    def _schedule(self) -> None:
        if self._session.phase is not Phase.CLOSED:
            self._around.wheel.schedule(self, self._session.deadline)
