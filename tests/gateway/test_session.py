"""The session as a state machine: whatever happens, in whatever order, it keeps its promises."""

import contextlib
import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from taskbell.contract.frames import CloseCode, Resume
from taskbell.gateway.actions import (
    AddChannel,
    Close,
    DropChannel,
    Identity,
    Join,
    Joined,
    Refusal,
    Replay,
    Send,
    Subscribed,
    VerifyRefresh,
    VerifySignIn,
)
from taskbell.gateway.frames import text_frame
from taskbell.gateway.inputs import Credential, FrameMalformed, Hello, read, read_address, workspace_of
from taskbell.gateway.live import LiveEvent
from taskbell.gateway.recent import StreamEvent
from taskbell.gateway.send_queue import QueueOverflow
from taskbell.gateway.session import Phase, Session, SessionLimits

WORKSPACE = "0198c0de-0000-7000-8000-000000000001"

cursors = st.one_of(st.none(), st.text(max_size=12), st.just("1-5"), st.just("2-0"), st.integers())
channels = st.one_of(st.just("me"), st.just(f"workspace:{WORKSPACE}"), st.text(max_size=20), st.integers())
request_ids = st.one_of(st.none(), st.integers(), st.text(max_size=10), st.floats(), st.lists(st.integers()))
sensible = st.one_of(
    st.fixed_dictionaries(
        {"t": st.just("hello")},
        optional={
            "token": st.one_of(st.text(max_size=5), st.integers()),
            "ticket": st.text(max_size=5),
            "resume": cursors,
            "channels": st.one_of(st.lists(channels, max_size=5), st.text(max_size=3)),
        },
    ),
    st.fixed_dictionaries(
        {"t": st.sampled_from(["subscribe", "unsubscribe"]), "channel": channels},
        optional={"id": request_ids, "resume": cursors},
    ),
    st.fixed_dictionaries({"t": st.just("refresh"), "token": st.text(max_size=5)}, optional={"id": request_ids}),
    st.just({"t": "pong"}),
)
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=10,
)
messages = st.one_of(
    sensible.map(json.dumps),
    anything.map(json.dumps),
    st.text(max_size=30),
    st.binary(max_size=30),
)


def payload(frame):
    """The JSON value of a server frame."""
    return orjson.loads(frame)


class SessionMachine(RuleBasedStateMachine):
    """Plays client, shell, hub and clock against a session; writes down what would be on the wire."""

    def __init__(self):
        super().__init__()
        self.now = 1000.0
        self.session = Session(
            connection_id="c",
            limits=SessionLimits(ping_seconds=25, age_seconds=300, queue_messages=5, queue_bytes=400),
            now=self.now,
        )
        self.questions = []
        self.wire = []
        self.closes = []
        self.offered = 0
        self.late_hellos = 0

    def perform(self, actions):
        """Do what a shell does, but leave its questions open."""
        for action in actions:
            match action:
                case Send(frame=frame):
                    self.wire.append(payload(frame)["t"])
                case Close():
                    self.closes.append(action)
                case DropChannel():
                    pass
                case _:
                    self.questions.append(action)
        self.flush()

    def flush(self):
        """Write what the queue lets go."""
        if self.session.queue.take():
            self.wire.append("event")

    @rule(
        credential=st.sampled_from([None, Credential("x"), Credential("y", is_ticket=True)]),
        address=st.sampled_from(["/ws", "/ws?resume=1-5&channels=me,x", "/ws?resume=1&resume=2"]),
    )
    @precondition(lambda self: self.session.phase is Phase.ARRIVED and not self.wire)
    def arrive(self, credential, address):
        """The connection brings a credential and a hello in its address, or not."""
        self.perform(self.session.arrive(credential, address))

    @rule(message=messages)
    @precondition(lambda self: not self.questions)
    def receive(self, message):
        """The client sends something."""
        self.perform(self.session.receive(message, self.now))
        self.late_hellos += any(isinstance(question, Join) and question.late for question in self.questions)

    @rule()
    @precondition(lambda self: not self.questions)
    def end_greeting(self):
        """The grace is over."""
        self.perform(self.session.greeting_over())

    @rule(granted=st.booleans(), resume=st.sampled_from(Resume), same=st.booleans(), ttl=st.floats(0, 100))
    @precondition(lambda self: self.questions)
    def answer(self, granted, resume, same, ttl):
        """The shell answers the oldest question."""
        question = self.questions.pop(0)
        refusal = Refusal("no", "no")
        session = self.session
        user = "u" if same else "other"
        match question:
            case VerifySignIn():
                actions = (
                    session.signed_in(Identity("u", self.now + ttl)) if granted else session.sign_in_refused(refusal)
                )
            case VerifyRefresh(id=request_id):
                identity = Identity(user, self.now + ttl)
                actions = (
                    session.refreshed(request_id, identity) if granted else session.refresh_refused(request_id, refusal)
                )
            case Join():
                joined = Joined(1, "1-5", resume, ("me",), (("x", refusal),), replays=resume is Resume.OK)
                actions = session.joined(joined) if granted else session.sign_in_refused(refusal)
            case AddChannel(id=request_id):
                found = Subscribed("workspace:x", "1-5", resume)
                actions = (
                    session.subscribed(request_id, found)
                    if granted
                    else session.subscribe_refused(request_id, "workspace:x", refusal)
                )
            case Replay():
                assert not session.queue.flowing
                if granted:
                    session.replayed(self.now)
                    actions = ()
                else:
                    actions = session.replay_failed(5)
        self.perform(actions)

    @rule(seconds=st.floats(0, 40))
    def pass_time(self, seconds):
        """The wheel calls, or the time is not yet."""
        self.now += seconds
        self.perform(self.session.tick(self.now, cursor="1-5"))

    @rule()
    def offer(self):
        """The hub delivers an event."""
        self.offered += 1
        if self.session.queue.flowing:
            self.wire.append("event")
            return
        try:
            self.session.queue.keep(LiveEvent(1, StreamEvent(self.offered, "w", "task.updated", "", b"{}")))
        except QueueOverflow:
            self.perform(self.session.overflowed())

    @rule(pause=st.booleans())
    def press_back(self, pause):
        """The transport is full, or has room."""
        (self.session.queue.pause if pause else self.session.queue.resume)()
        self.flush()

    @rule(what=st.sampled_from(["membership", "goaway", "drain", "seen", "lost"]))
    def happen(self, what):
        """The rest of the world."""
        match what:
            case "membership":
                self.perform(self.session.membership_ended(WORKSPACE))
            case "goaway":
                self.perform(self.session.go_away(10))
            case "drain":
                self.perform(self.session.drained())
            case "seen":
                self.session.seen(self.now)
            case "lost":
                self.session.lost()

    @invariant()
    def welcome_comes_before_events(self):
        """No event is written before the welcome; there is a second one only for a `hello` that comes after it."""
        if "event" in self.wire:
            assert self.wire.index("welcome") < self.wire.index("event")
        assert self.wire.count("welcome") <= 1 + self.late_hellos <= 2

    @invariant()
    def it_closes_once_and_for_good(self):
        """A session closes once; a closed one keeps nothing and waits for nothing."""
        assert len(self.closes) <= 1
        if self.session.phase is Phase.CLOSED:
            assert len(self.session.queue) == 0
            assert not self.session.queue.flowing
            assert self.session.deadline == float("inf")
        elif self.closes:
            raise AssertionError("closed, but goes on")

    @invariant()
    def close_reasons_fit_a_control_frame(self):
        """A control frame has at most 125 bytes, two of which are the code (RFC 6455, section 5.5)."""
        assert all(len(close.reason.encode()) <= 123 and 1000 <= close.code < 5000 for close in self.closes)

    @invariant()
    def the_queue_is_bounded(self):
        """However slow the client."""
        assert len(self.session.queue) <= 5


TestSessionMachine = SessionMachine.TestCase
TestSessionMachine.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)


@given(messages)
def test_any_message_is_read_or_refused(message):
    """Reading never fails in any other way than by its own error."""
    with contextlib.suppress(FrameMalformed):
        read(message)


@given(st.binary(max_size=70_000))
def test_a_frame_says_its_length(content):
    """The header of a text frame is that of RFC 6455 at every size."""
    frame = text_frame(content)
    assert frame[0] == 0x81
    assert frame.endswith(content)
    length, start = frame[1], 2
    if length >= 126:
        start = 4 if length == 126 else 10
        length = int.from_bytes(frame[2:start])
    assert (length, len(frame)) == (len(content), start + len(content))


@pytest.mark.parametrize(
    ("channel", "workspace"),
    [
        (f"workspace:{WORKSPACE}", WORKSPACE),
        (f"workspace:{WORKSPACE.upper()}", WORKSPACE),
        (f"workspace:{{{WORKSPACE}}}", None),
        ("workspace:" + WORKSPACE.replace("-", ""), None),
        ("workspace:*", None),
        ("workspace:", None),
        ("me", None),
    ],
)
def test_a_workspace_has_one_form(channel, workspace):
    """Only the canonical form of an id names a workspace; wildcards and braces never get as far as a subject."""
    assert workspace_of(channel) == workspace


def opened(*, expires_at=10_000.0, now=1000.0, resume=Resume.NEW, limits=None, lifetime=1.0):
    """A session that is signed in and joined."""
    session = Session(connection_id="c", limits=limits or SessionLimits(), now=now, lifetime=lifetime)
    session.arrive(Credential("x"))
    session.signed_in(Identity("u", expires_at))
    session.greeting_over()
    session.joined(Joined(1, "1-5", resume, ("me",), replays=resume is Resume.OK))
    return session


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("/ws", None),
        ("/ws?ticket=x", None),
        ("/ws?resume=1-5", Hello(resume="1-5")),
        ("/ws?ticket=x&channels=me,workspace%3Aa&resume=1-5", Hello(resume="1-5", channels=("me", "workspace:a"))),
        ("/ws?channels=", Hello()),
        ("/ws?coalesce=false", Hello(coalesce=False)),
        ("/ws?token=x&channels=me", Hello(channels=("me",))),
    ],
)
def test_an_address_may_be_a_hello(address, said):
    """A cursor and channels, never a credential; neither of the two means that a hello may come."""
    assert read_address(address) == said


@pytest.mark.parametrize(
    "query", ["resume=1-5&resume=1-6", "channels=a&channels=b", "coalesce=no", "resume=" + "1" * 200]
)
def test_a_malformed_hello_in_an_address_closes(query):
    """As in a frame."""
    session = Session(connection_id="c", limits=SessionLimits(), now=0)
    _, close = session.arrive(Credential("x"), f"/ws?{query}")
    assert close.code == CloseCode.BAD_FRAME


def test_a_hello_after_one_in_the_address_is_a_second_one():
    """A hello comes once."""
    session = Session(connection_id="c", limits=SessionLimits(), now=0)
    session.arrive(Credential("x"), "/ws?channels=me")
    assert session.signed_in(Identity("u", 100)) == (Join(user_id="u", channels=("me",), resume=None),)
    session.joined(Joined(1, "1-5", Resume.NEW, ("me",)))
    _, close = session.receive('{"t":"hello","resume":"1-5"}', 1)
    assert close.code == CloseCode.BAD_FRAME


def test_a_session_says_when_it_wants_to_be_called():
    """The deadline is the earliest of sign-in, ping and expiry; ticks before it do nothing."""
    session = Session(connection_id="c", limits=SessionLimits(), now=1000)
    assert session.deadline == 1005
    assert session.tick(1004.9, cursor=None) == ()
    assert [type(action) for action in session.tick(1005, cursor=None)] == [Send, Close]
    session = opened(expires_at=1010)
    assert session.deadline == 1010
    send, close = session.tick(1010, cursor="1-9")
    assert payload(send.frame)["code"] == "token_expired"
    assert close.code == CloseCode.SIGN_IN


@pytest.mark.feature("K3")
def test_an_old_session_makes_its_client_come_again():
    """From its share of the greatest age on, a session says goaway without a pause and closes as a drain does."""
    limits = SessionLimits(age_seconds=40)
    session = opened(limits=limits, lifetime=0.75)
    session.seen(1020)
    assert session.deadline == 1025
    session.tick(1025, cursor=None)
    assert session.deadline == 1030
    assert not session.is_too_old(1029)
    assert session.is_too_old(1030)
    goaway, close = session.tick(1030, cursor=None)
    assert payload(goaway.frame) == {"t": "goaway", "retry_after_ms": 0}
    assert close.code == CloseCode.DRAIN
    assert not session.is_too_old(1031), "it is closed"
    expired = opened(limits=limits, expires_at=1030)
    assert expired.tick(1040, cursor=None)[1].code == CloseCode.SIGN_IN, "who must sign in again is told so"


def test_a_ping_carries_the_cursor_only_when_nothing_waits():
    """While a replay runs, the stream's position is not the client's."""
    session = opened(resume=Resume.OK)
    (ping,) = session.tick(1025, cursor="1-9")
    assert payload(ping.frame) == {"t": "ping"}
    session.replayed(1026)
    (ping,) = session.tick(1050, cursor="1-9")
    assert payload(ping.frame) == {"t": "ping", "cursor": "1-9"}


def test_silence_of_two_intervals_closes():
    """Pings go out, nothing comes back: no pong. Any sign of life would do."""
    session = opened()
    session.tick(1025, cursor=None)
    (close,) = session.tick(1050, cursor=None)
    assert close.code == CloseCode.NO_PONG
    session = opened()
    session.tick(1025, cursor=None)
    session.seen(1030)
    assert isinstance(session.tick(1050, cursor=None)[0], Send)


def test_a_hello_with_two_credentials_is_malformed():
    """Token or ticket, not both."""
    session = Session(connection_id="c", limits=SessionLimits(), now=0)
    _, close = session.receive('{"t":"hello","token":"a","ticket":"b"}', 1)
    assert close.code == CloseCode.BAD_FRAME


def test_a_first_frame_without_credential_asks_to_sign_in():
    """Anything but a hello that says who it is closes with 4401."""
    for frame in ('{"t":"hello"}', '{"t":"subscribe","channel":"me"}'):
        session = Session(connection_id="c", limits=SessionLimits(), now=0)
        _, close = session.receive(frame, 1)
        assert close.code == CloseCode.SIGN_IN
