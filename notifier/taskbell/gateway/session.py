"""The protocol of one connection as a state machine without I/O.

`socket` reports what happened and carries out the returned actions in order. It passes one client message at a time,
and answers every action that asks for an answer before the next message. Ticks, lost memberships and the drain may come
at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from taskbell.contract.cursors import is_cursor
from taskbell.contract.frames import SIGN_IN_SECONDS, CloseCode, Resume
from taskbell.gateway import frames
from taskbell.gateway.actions import (
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
from taskbell.gateway.allowance import Allowance
from taskbell.gateway.inputs import (
    ME,
    ClientInput,
    Credential,
    FrameMalformed,
    Hello,
    Pong,
    Refresh,
    Subscribe,
    Unsubscribe,
    read,
    read_address,
    workspace_channel,
    workspace_of,
)
from taskbell.gateway.refusals import UNKNOWN_CHANNEL, channel_refused, not_ok, too_many_connections
from taskbell.gateway.send_queue import SendQueue
from taskbell.gateway.unsent import Unsent

HELLO_GRACE_SECONDS = 0.25
"""A connection that signed in by its address or header, and whose address has neither `resume` nor `channels`, gets its
`welcome` after this time, or as soon as it sends a frame. So a client that says `hello` at once, as its cursor is in
there, gets one `welcome`: it speaks a round trip after the handshake. A `hello` that comes later gets another one."""
INTERNAL_ERROR = 1011
TRY_AGAIN_LATER = 1013


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """Times of a session in seconds, and the bounds of its queue. `age_seconds` is how long it lasts at most."""

    ping_seconds: float = 25.0
    age_seconds: float = float("inf")
    queue_messages: int = 1_000
    queue_bytes: int = 4 * 2**20


class Phase(Enum):
    """The state of a session."""

    ARRIVED = auto()
    """Not signed in; a `hello` with a credential must come."""
    VERIFYING = auto()
    GREETING = auto()
    """Signed in; a `hello` may come."""
    JOINING = auto()
    OPEN = auto()
    CLOSED = auto()


class Session:
    """One connection's protocol.

    Attributes:
        phase: Its state.
        queue: Its events; released when the replay is over.
        deadline: When `tick` wants to be called next.
        user_id: Who signed in, or empty.
    """

    def __init__(
        self,
        *,
        connection_id: str,
        limits: SessionLimits,
        now: float,
        first_ping: float = 1.0,
        lifetime: float = 1.0,
        unsent: Unsent | None = None,
        is_silent: bool = False,
    ) -> None:
        """Begin at `now`, on any clock that never goes back.

        `first_ping` is the share of the ping interval until the first ping, and `lifetime` the share of the greatest
        age that this session reaches; they spread the pings and the ends of connections that came at once. `unsent`
        counts what waits in all sessions. The client of an `is_silent` one cannot send frames: it says all in its
        address, and lives as long as it reads.
        """
        self.connection_id = connection_id
        self.phase = Phase.ARRIVED
        self.queue = SendQueue(max_messages=limits.queue_messages, max_bytes=limits.queue_bytes, unsent=unsent)
        self.user_id = ""
        self._limits = limits
        self._is_silent = is_silent
        self._sign_in_by = now + SIGN_IN_SECONDS
        self._ping_at = now + limits.ping_seconds * first_ping
        self._renew_at = now + limits.age_seconds * lifetime
        self._seen = now
        self._expires_at = float("inf")
        self._allowance = Allowance(now)
        self._stashed: ClientInput | None = None
        self._resumed: str | None = None
        self._address: Hello | None = None
        self._spoken = False
        self._late = False

    @property
    def deadline(self) -> float:
        """When the next tick is due."""
        if self.phase is Phase.OPEN:
            return min(self._ping_at, self._expires_at, self._renew_at)
        if self.phase in {Phase.ARRIVED, Phase.VERIFYING}:
            return self._sign_in_by
        return float("inf")

    def is_too_old(self, now: float) -> bool:
        """Whether the next tick closes the connection because of its age."""
        return self.phase is Phase.OPEN and self._renew_at <= now < self._expires_at

    # What happens

    def arrive(
        self, credential: Credential | None, address: str = "/ws", *, last_id: str | None = None
    ) -> Sequence[Action]:
        """The connection is open, with the credential of its address or header. Its address may be its `hello`."""
        try:
            self._address = read_address(address, last_id=last_id)
        except FrameMalformed as malformed:
            return self._fail("bad_frame", str(malformed), CloseCode.BAD_FRAME)
        if credential is None:
            needed = "a bearer token or a ticket is needed"
            return self._fail("sign_in_required", needed, CloseCode.SIGN_IN) if self._is_silent else ()
        self.phase = Phase.VERIFYING
        return (VerifySignIn(credential),)

    def receive(self, message: str | bytes, now: float) -> Sequence[Action]:
        """A message came."""
        if self.phase is Phase.CLOSED:
            return ()
        self._seen = now
        if not self._allowance.admits(now):
            return self._too_many()
        try:
            found = read(message)
            return self._handle(found)
        except FrameMalformed as malformed:
            return self._fail("bad_frame", str(malformed), CloseCode.BAD_FRAME)

    def wire_frame(self, now: float) -> Sequence[Now]:
        """A WebSocket ping, a pong or a fragment came. It counts like a message."""
        if self.phase is Phase.CLOSED:
            return ()
        self._seen = now
        return () if self._allowance.admits(now) else self._too_many()

    def seen(self, now: float) -> None:
        """The client shows life otherwise: it reads what the gateway writes."""
        self._seen = now

    def greeting_over(self) -> Sequence[Action]:
        """No `hello` came in time."""
        return self._join(Hello()) if self.phase is Phase.GREETING else ()

    def signed_in(self, identity: Identity) -> Sequence[Action]:
        """The credential is valid."""
        if self.phase is not Phase.VERIFYING:
            return ()
        self.user_id = self.queue.reader = identity.user_id
        self._expires_at = identity.expires_at
        self.phase = Phase.GREETING
        if isinstance(self._stashed, Hello):
            hello, self._stashed = self._stashed, None
            return self._join(hello)
        if self._address is None and not self._is_silent:
            return ()
        self._spoken = True  # the address is its `hello`
        return self._join(Hello())

    def sign_in_refused(self, refusal: Refusal) -> Sequence[Now]:
        """The credential is refused, or the user may not connect."""
        if self.phase is Phase.CLOSED:
            return ()
        return self._fail(refusal.code, refusal.message, refusal.close_code, retryable=refusal.retryable)

    def joined(self, outcome: Joined) -> Sequence[Action]:
        """The connection is registered."""
        if self.phase is not (Phase.OPEN if self._late else Phase.JOINING):
            return ()
        self.phase, self._late = Phase.OPEN, False
        actions: list[Action] = [
            Send(
                frames.welcome(
                    connection_id=self.connection_id,
                    user_id=self.user_id,
                    epoch=outcome.epoch,
                    cursor=outcome.cursor,
                    ping_seconds=self._limits.ping_seconds,
                    resume=outcome.resume,
                    channels=outcome.channels,
                )
            )
        ]
        actions += [Send(channel_refused(channel, refusal)) for channel, refusal in outcome.refused]
        if self._resumed is not None and not is_cursor(self._resumed):
            actions.append(Send(frames.error("invalid_cursor", "resume is not a cursor of this platform")))
        actions += self._replay_or_release(replays=outcome.replays)
        if self._stashed is not None:
            stashed, self._stashed = self._stashed, None
            actions += self._handle(stashed)
        return actions

    def subscribed(self, request_id: str | int | None, outcome: Subscribed) -> Sequence[Action]:
        """A channel was added."""
        if self.phase is not Phase.OPEN:
            return ()
        place = {} if outcome.cursor is None else {"cursor": outcome.cursor}
        answer = frames.reply(request_id, ok=True, channel=outcome.channel, resume=outcome.resume, **place)
        return (Send(answer), *self._replay_or_release(replays=outcome.resume is Resume.OK))

    def subscribe_refused(self, request_id: str | int | None, channel: str, refusal: Refusal) -> Sequence[Action]:
        """A channel was not added. The connection goes on, with the events that were held back."""
        if self.phase is not Phase.OPEN:
            return ()
        self.queue.release()
        return (Send(not_ok(request_id, refusal, channel)),)

    def replayed(self, now: float) -> None:
        """The replay is over: the events in the queue follow."""
        self._seen = now
        if self.phase is Phase.OPEN:
            self.queue.release()

    def replay_failed(self, retry_after_ms: int) -> Sequence[Now]:
        """The replay broke off. The client must resume from its last cursor, or it would miss the rest."""
        if self.phase is Phase.CLOSED:
            return ()
        return (
            Send(frames.goaway(retry_after_ms)),
            *self._fail("replay_interrupted", "resume from the last cursor", INTERNAL_ERROR, retryable=True),
        )

    def refreshed(self, request_id: str | int | None, identity: Identity) -> Sequence[Action]:
        """The newer token is valid; it must belong to the same user."""
        if self.phase is not Phase.OPEN:
            return ()
        if identity.user_id != self.user_id:
            refusal = Refusal("forbidden", "the token is another user's", close_code=CloseCode.FORBIDDEN)
            return self.sign_in_refused(refusal)
        self._expires_at = identity.expires_at
        return (Send(frames.reply(request_id, ok=True)),)

    def refresh_refused(self, request_id: str | int | None, refusal: Refusal) -> Sequence[Action]:
        """The newer token is refused; the older one counts until it expires."""
        return (Send(not_ok(request_id, refusal)),) if self.phase is Phase.OPEN else ()

    def membership_ended(self, workspace_id: str) -> Sequence[Now]:
        """The user left the workspace; the subscription has ended."""
        if self.phase is not Phase.OPEN:
            return ()
        refusal = Refusal("forbidden", "no longer a member of this workspace; the subscription has ended")
        return (Send(channel_refused(workspace_channel(workspace_id), refusal)),)

    def one_too_many(self, most: int) -> Sequence[Now]:
        """The user has older connections, as many as are allowed: another gateway admitted one at the same moment."""
        return self.sign_in_refused(too_many_connections(most))

    def overflowed(self) -> Sequence[Now]:
        """The queue is full."""
        return self._close(CloseCode.SLOW, "events were not read quickly enough: resume from the last cursor")

    def go_away(self, retry_after_ms: int) -> Sequence[Now]:
        """The connection will be closed soon."""
        return () if self.phase is Phase.CLOSED else (Send(frames.goaway(retry_after_ms)),)

    def drained(self, reason: str = "the gateway is going away") -> Sequence[Now]:
        """Close the connection."""
        return self._close(CloseCode.DRAIN, reason)

    def lost(self) -> None:
        """The connection is gone."""
        self.phase = Phase.CLOSED
        self.queue.close()

    def tick(self, now: float, *, cursor: str | None) -> Sequence[Now]:
        """Time has passed. `cursor` is the stream's position when the client has been sent everything before it."""
        if now < self.deadline:
            return ()
        if self.phase is not Phase.OPEN:
            return self._fail("sign_in_timeout", "no sign-in in time", CloseCode.SIGN_IN, retryable=True)
        if now >= self._expires_at:
            return self._fail("token_expired", "sign in again", CloseCode.SIGN_IN, retryable=True)
        if self.is_too_old(now):  # ages differ from connection to connection, so nobody has to wait
            return (*self.go_away(0), *self.drained("the connection is old: reconnect"))
        if self._is_silent and not self.queue.is_paused:
            self._seen = now
        if now - self._seen >= 2 * self._limits.ping_seconds:
            return self._close(CloseCode.NO_PONG, "no sign of life")
        self._ping_at = now + self._limits.ping_seconds
        return (Send(frames.ping(cursor if self.queue.flowing else None)),)

    # How it is decided

    def _handle(self, found: ClientInput) -> Sequence[Action]:  # noqa: PLR0911 -- one return per case
        if isinstance(found, Pong):
            return ()
        spoken, self._spoken = self._spoken, True
        match self.phase:
            case Phase.ARRIVED:
                if not isinstance(found, Hello) or found.credential is None:
                    return self._fail("sign_in_required", "the first frame is hello with a token", CloseCode.SIGN_IN)
                self.phase = Phase.VERIFYING
                self._stashed = found
                return (VerifySignIn(found.credential),)
            case Phase.GREETING:
                if isinstance(found, Hello):  # a credential in it is not needed and not looked at
                    return self._join(found)
                self._stashed = found
                return self._join(Hello())
            case Phase.OPEN:
                if isinstance(found, Hello) and not spoken:
                    self._late = True
                    return self._join(found)
                return self._command(found)
            case _:
                return ()

    def _command(self, found: ClientInput) -> Sequence[Action]:  # noqa: PLR0911 -- one return per case
        match found:
            case Subscribe(channel=channel, id=request_id, resume=resume):
                workspace_id = workspace_of(channel)
                if workspace_id is not None:
                    if resume is not None and not is_cursor(resume):
                        refusal = Refusal("invalid_cursor", "resume is not a cursor of this platform")
                        return (Send(not_ok(request_id, refusal, channel)),)
                    return (AddChannel(workspace_id, id=request_id, resume=resume),)
                if channel == ME:
                    return (Send(frames.reply(request_id, ok=True, channel=ME, resume=Resume.NEW)),)
                return (Send(not_ok(request_id, UNKNOWN_CHANNEL, channel)),)
            case Unsubscribe(channel=channel, id=request_id):
                workspace_id = workspace_of(channel)
                if workspace_id is None:
                    return (Send(not_ok(request_id, UNKNOWN_CHANNEL, channel)),)
                return (DropChannel(workspace_id), Send(frames.reply(request_id, ok=True, channel=channel)))
            case Refresh(credential=credential, id=request_id):
                return (VerifyRefresh(credential, id=request_id),)
            case _:
                return self._fail("bad_frame", "hello comes once, and first", CloseCode.BAD_FRAME)

    def _join(self, hello: Hello) -> Sequence[Action]:
        if not self._late:
            self.phase = Phase.JOINING
        address = self._address or Hello()
        channels = hello.channels or address.channels
        self.queue.coalesces = hello.coalesce and address.coalesce
        self._resumed = address.resume if hello.resume is None else hello.resume
        return (Join(user_id=self.user_id, channels=channels, resume=self._resumed, late=self._late),)

    def _replay_or_release(self, *, replays: bool) -> Sequence[Action]:
        if replays:
            self.queue.hold()
            return (Replay(),)
        self.queue.release()
        return ()

    def _too_many(self) -> Sequence[Now]:
        return self._fail("too_many_frames", "slow down", CloseCode.BACK_OFF, retryable=True)

    def _fail(self, code: str, message: str, close_code: int, *, retryable: bool = False) -> Sequence[Now]:
        return (Send(frames.error(code, message, retryable=retryable)), *self._close(close_code, message))

    def _close(self, code: int, reason: str) -> Sequence[Now]:
        if self.phase is Phase.CLOSED:
            return ()
        self.phase = Phase.CLOSED
        self.queue.close()
        return (Close(int(code), reason),)
