"""The hub, the recent events, the queue and the wheel, with plain values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskbell.gateway.hub import Hub
from taskbell.gateway.intake import created_at
from taskbell.gateway.live import LiveEvent
from taskbell.gateway.recent import RecentEvents, StreamEvent
from taskbell.gateway.replay import Missed
from taskbell.gateway.send_queue import QueueOverflow, SendQueue
from taskbell.gateway.unsent import Unsent
from taskbell.gateway.wheel import TimerWheel
from taskbell.kit.ids import new_id


class Client:
    """A receiver that keeps what it gets."""

    def __init__(self, user_id):
        self.user_id = user_id
        self.frames = []
        self.ended = []
        self.renewed = 0

    def deliver(self, event):
        """Keep its frame."""
        self.frames.append(event.frame)

    def membership_ended(self, workspace_id):
        """Keep it."""
        self.ended.append(workspace_id)

    def stream_renewed(self):
        """Count."""
        self.renewed += 1


def hub(max_events=100):
    """A hub at the beginning of epoch 1."""
    made = Hub(RecentEvents(max_events=max_events, max_bytes=10**6))
    made.begin(epoch=1, position=0)
    return made


def test_the_hub_drops_what_it_has_passed():
    """A reader that reads again from further back does no harm."""
    routing, client = hub(), Client("u")
    routing.register(client)
    assert [routing.route(StreamEvent(sequence, "w", "task.updated", "u", b"{}")) for sequence in (1, 2, 1, 2, 3)] == [
        1,
        1,
        0,
        0,
        1,
    ]
    assert len(client.frames) == 3


@pytest.mark.feature("P14")
def test_a_personal_event_reaches_its_audience_alone():
    """Who subscribes to the workspace gets no notification of another person, now or later from memory."""
    routing, subscriber, addressed = hub(), Client("u"), Client("v")
    for client in (subscriber, addressed):
        routing.register(client)
        routing.subscribe(client, "w")
    assert routing.route(StreamEvent(1, "w", "notification.created", "v", b"{}")) == 1
    assert (len(subscriber.frames), len(addressed.frames)) == (0, 1)
    (past,) = routing.recent.after(0)
    wanted = {
        user: Missed(after=0, until=1, user_id=user, workspaces=frozenset({"w"}), member_of=frozenset({"w"}))
        for user in ("u", "v")
    }
    assert [wanted[user].wants(past) for user in ("u", "v")] == [False, True]


def test_an_event_for_both_channels_comes_once():
    """Subscriber and addressee in one person get one frame."""
    routing, both, addressed = hub(), Client("u"), Client("v")
    for client in (both, addressed):
        routing.register(client)
    routing.subscribe(both, "w")
    assert routing.route(StreamEvent(1, "w", "task.updated", "x,u,v", b"{}")) == 2
    assert both.frames == addressed.frames
    assert [frame[2:] for frame in both.frames] == [b'{"t":"event","cursor":"1-1","event":{}}']


def test_leaving_forgets_everything():
    """A hub without connections holds nothing of them."""
    routing, client = hub(), Client("u")
    routing.register(client)
    routing.subscribe(client, "w")
    routing.leave(client, ["w", "other"])
    routing.leave(client, ["w"])
    assert routing.route(StreamEvent(1, "w", "task.updated", "u", b"{}")) == 0
    assert (routing._users, routing._workspaces) == ({}, {})


def test_a_removal_is_remembered_for_checks_under_way():
    """A membership read before the removal's event is outdated; one read after it is not."""
    routing, client = hub(), Client("u")
    routing.register(client)
    routing.subscribe(client, "w")
    routing.route(StreamEvent(1, "w", "task.updated", "", b"{}"))
    routing.remove_member("w", "u")
    assert client.ended == ["w"]
    assert routing.removed_since(0, "w", "u")
    assert not routing.removed_since(1, "w", "u")
    assert not routing.removed_since(0, "w", "v")


def test_another_stream_sends_everybody_away():
    """Only connections that saw an earlier stream are notified, once each."""
    routing, client = hub(), Client("u")
    routing.register(client)
    routing.begin(epoch=2, position=9)
    assert (client.renewed, routing.cursor) == (1, "2-9")


@given(
    floor=st.integers(0, 5),
    sizes=st.lists(st.tuples(st.integers(1, 3), st.integers(0, 50)), max_size=30),
    max_events=st.integers(0, 10),
    max_bytes=st.integers(0, 3000),
    after=st.integers(0, 100),
)
def test_recent_events_are_whole_or_nothing(floor, sizes, max_events, max_bytes, after):
    """What follows a sequence is given in full, or it is said that the window is too short."""
    recent = RecentEvents(max_events=max_events, max_bytes=max_bytes)
    recent.clear(floor=floor)
    added = []
    sequence = floor
    for step, size in sizes:
        sequence += step
        added.append(StreamEvent(sequence, "w", "task.updated", "", b"x" * size))
        recent.add(added[-1])
    assert len(recent) <= max_events
    found = recent.after(after)
    expected = [event for event in added if event.sequence > after]
    assert found is None or found == expected
    if after >= sequence:
        assert found == []


def live(sequence=1, size=2):
    """An event of which nothing is known but its size."""
    return LiveEvent(1, StreamEvent(sequence, "w", "task.renamed", "", b"x" * size))


def test_a_queue_keeps_order_and_bounds():
    """Held, paused or behind, events wait in order; past the bound it overflows."""
    queue = SendQueue(max_messages=3, max_bytes=1000)
    events = [live(number) for number in range(5)]
    for event in events[:2]:
        queue.keep(event)
    assert queue.take() == b""
    queue.release()
    queue.pause()
    queue.keep(events[2])
    assert not queue.flowing
    queue.resume()
    assert queue.take() == b"".join(event.frame for event in events[:3])
    assert queue.flowing
    queue.pause()
    for event in events[:3]:
        queue.keep(event)
    with pytest.raises(QueueOverflow):
        queue.keep(events[3])
    queue.close()
    queue.keep(events[4])
    queue.resume()
    assert queue.take() == b""
    with pytest.raises(QueueOverflow):
        SendQueue(max_messages=3, max_bytes=1000).keep(live(size=1001))


class Slow:
    """A connection that never reads."""

    def __init__(self, unsent):
        self.queue = SendQueue(max_messages=1000, max_bytes=10**6, unsent=unsent)
        self.is_open = True

    @property
    def waiting_bytes(self):
        """What it has not read."""
        return self.queue.size

    def lighten(self):
        """Nothing gives way: the events are of a type that nobody knows."""
        assert self.queue.coalesce() == 0

    def too_slow(self):
        """Close it."""
        self.is_open = False
        self.queue.close()


@given(st.lists(st.tuples(st.sets(st.integers(0, 3)), st.integers(1, 400)), max_size=40), st.lists(st.integers(0, 3)))
def test_all_queues_together_are_bounded(deliveries, drained):
    """A frame counts once, wherever it waits; past the bound those with the most are closed, and no others."""
    unsent = Unsent(at_most=2000)
    crowd = [Slow(unsent) for _ in range(4)]
    unsent.connections = lambda: crowd
    for sequence, (receivers, size) in enumerate(deliveries):
        event = live(sequence, size)
        waiting = {one: crowd[one].waiting_bytes for one in range(4)}
        closed = {one for one in range(4) if not crowd[one].is_open}
        for one in receivers:
            crowd[one].queue.keep(event)
        unsent.make_room()
        distinct = {id(kept): len(kept) for slow in crowd for kept in slow.queue.waiting()}
        assert unsent.size == sum(distinct.values()) <= 2000
        for one in {one for one in range(4) if not crowd[one].is_open} - closed:
            assert all(waiting[one] + len(event) >= waiting[other] for other in range(4) if crowd[other].is_open)
    for one in drained:
        crowd[one].queue.release()
        while crowd[one].queue.take():
            pass
        assert crowd[one].waiting_bytes == 0
    for slow in crowd:
        slow.queue.close()
    assert (unsent.size, unsent._holders) == (0, {})


@given(st.lists(st.tuples(st.integers(0, 20), st.floats(0, 30)), max_size=40), st.lists(st.floats(0, 3), max_size=30))
def test_the_wheel_calls_each_item_after_its_time_and_once(wishes, steps):
    """The last wish of an item counts; nothing is called early, nothing is forgotten."""
    wheel = TimerWheel(resolution=0.1, now=0)
    wanted = {}
    for item, at in wishes:
        wheel.schedule(item, at)
        wanted[item] = at
    now = 0.0
    called = []
    for step in [*steps, 100]:
        now += step
        for item in wheel.due(now):
            assert wanted[item] <= now
            called.append(item)
    assert sorted(called) == sorted(wanted)
    assert len(wheel) == 0


def test_an_event_id_says_when_it_was_made():
    """UUIDv7 begins with milliseconds; other ids say nothing."""
    made = new_id()
    assert created_at(str(made)) == pytest.approx((made.int >> 80) / 1000)
    assert created_at("") is None
    assert created_at("not an id, but 7 is there") is None
    assert created_at("9f1b2c3d-0000-4000-8000-000000000001") is None
