"""Coalescing: a slow client gets the newest event of each task, and its view is right all the same."""

import asyncio
import uuid
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from taskbell.contract.events import EventRecord, envelope, omits_state, subject_of
from taskbell.contract.frames import CloseCode
from taskbell.gateway.frames import text_of
from taskbell.gateway.live import LiveEvent
from taskbell.gateway.newest import Newest
from taskbell.gateway.recent import StreamEvent
from taskbell.gateway.send_queue import QueueOverflow, SendQueue
from taskbell.gateway.unsent import Unsent
from taskbell.kit.ids import new_id

WORKSPACE = new_id()
TASKS = [new_id() for _ in range(3)]
ME, OTHER = str(new_id()), str(new_id())
STATES = ["task.updated", "task.status_changed", "task.moved", "task.assigned"]
KEPT = ["notification.created", "comment.created", "member.added", "task.deleted", "task.commented"]


def record(kind, task, data):
    """An event as PostgreSQL holds it."""
    return EventRecord(
        id=new_id(),
        workspace_id=WORKSPACE,
        type=kind,
        subject_id=task,
        actor_id=None,
        audience=(),
        traceparent=None,
        created_at=datetime.now(UTC),
        data=orjson.dumps(data).decode(),
    )


class World:
    """Tasks that change, and what the stream holds of it."""

    def __init__(self):
        self.tasks = {}
        self.stream = []

    def change(self, kind, number, *, text, audience, facts=1):
        """Change a task by events of one version, of which only the first tells a new text."""
        task = TASKS[number]
        if kind not in STATES and kind not in {"task.created", "task.deleted"}:
            payload = envelope(record(kind, task, {"id": str(task)}))
            self.stream.append(StreamEvent(len(self.stream) + 1, str(WORKSPACE), kind, audience, payload))
            return
        state = self.tasks.setdefault(str(task), {"id": str(task), "version": 0, "description": "", "n": 0})
        state["version"] += 1
        state["n"] += 1
        if text is not None:
            state["description"] = f"{text}#{state['version']}"
        kinds = [kind, *STATES[1 : 1 + facts]] if kind in STATES else [kind]
        for place, one in enumerate(kinds):
            data = dict(state)
            tells = text is not None and place == 0
            if not tells and len(state["description"]) > 10:
                del data["description"]
                data["omitted"] = ["/description"]
            elif tells:
                data |= {"previous": {}, "omitted": ["/previous/description"]}
            payload = envelope(record(one, task, data))
            event = StreamEvent(len(self.stream) + 1, str(WORKSPACE), one, audience, payload)
            self.stream.append(event)
        if kind == "task.deleted":
            del self.tasks[str(task)]


class View:
    """A client's copy, kept as the documentation says."""

    def __init__(self):
        self.tasks = {}
        self.others = []
        self.gone = set()
        self.cursor = 0
        self.events = 0

    def take(self, frame):
        """Apply a frame; return for how many events it stands."""
        assert int(frame["cursor"].partition("-")[2]) > self.cursor
        self.cursor = int(frame["cursor"].partition("-")[2])
        event, data = frame["event"], frame["event"]["data"]
        if event["type"] == "task.deleted":
            self.tasks.pop(data["id"], None)
            self.gone.add(data["id"])
        elif event["type"] in {"task.created", *STATES}:
            known = self.tasks.get(data["id"], {})
            if data["version"] >= known.get("version", 0):
                fields = {name: value for name, value in data.items() if name not in {"previous", "omitted"}}
                self.tasks[data["id"]] = {**known, **fields}
        if event["type"] in KEPT:
            self.others.append(event["id"])
        self.events += 1 + frame.get("coalesced", 0)


def version_of(task):
    """The version in which a task got its text, as far as is known."""
    return int(task.get("description", "").rpartition("#")[2] or 0)


def frames_in(data):
    """The frames in a text that a connection was written."""
    found = []
    while data:
        size, start = data[1], 2
        if size >= 126:
            start = {126: 4, 127: 10}[size]
            size = int.from_bytes(data[2:start])
        found.append(orjson.loads(data[start : start + size]))
        data = data[start + size :]
    return found


changes = st.lists(
    st.tuples(
        st.sampled_from([*STATES * 3, "task.created", *KEPT]),
        st.integers(0, 2),
        st.sampled_from([None, None, "short", "long " * 4, "a long one " * 3, '"omitted":["/description"]']),
        st.sampled_from(["", ME, OTHER, f"{OTHER},{ME}"]),
        st.integers(0, 2),
        st.booleans(),
    ),
    max_size=60,
)


def slowly(steps, bound, part):
    """Return a world that changed, and the view of a client that read now and then until its connection ended.

    At its end it has got a part of what waited.
    """
    world, view, sent = World(), View(), 0
    queue = SendQueue(max_messages=bound, max_bytes=10**6)
    queue.reader = ME
    queue.release()
    queue.pause()
    for kind, number, text, audience, facts, reads in steps:
        world.change(kind, number, text=text, audience=audience, facts=facts)
        try:
            for event in world.stream[sent:]:
                queue.keep(LiveEvent(1, event))
        except QueueOverflow:
            return world, view
        sent = len(world.stream)
        assert len(queue) <= bound
        if reads:
            queue.resume()
            while data := queue.take():
                for frame in frames_in(data):
                    view.take(frame)
            assert view.events == sent
            queue.pause()
    for event in list(queue.waiting())[:part]:
        view.take(orjson.loads(text_of(event.frame)))
    return world, view


def resume(view, events):
    """Give a view the events after its cursor, as a replay does."""
    for event in events:
        if event.sequence > view.cursor:
            view.take(orjson.loads(text_of(LiveEvent(1, event).frame)))


@pytest.mark.feature("F3")
@given(steps=changes, bound=st.integers(1, 20), part=st.integers(0, 10))
@settings(max_examples=300, deadline=None)
def test_a_view_is_right_whatever_gave_way(steps, bound, part):
    """A client that reads now and then, and resumes after its end, has the state, and all that is not about it."""
    world, view = slowly(steps, bound, part)
    resume(view, world.stream)
    assert view.tasks == world.tasks
    assert view.others == [orjson.loads(event.payload)["id"] for event in world.stream if event.type in KEPT]


@given(steps=changes, bound=st.integers(1, 20), part=st.integers(0, 10))
@example(
    steps=[
        ("task.updated", 0, None, ME, 0, False),
        *[("notification.created", 1, None, ME, 0, False)] * 2,
        ("task.updated", 0, None, OTHER, 0, False),
        ("notification.created", 1, None, ME, 0, False),
    ],
    bound=4,
    part=2,
)
@settings(max_examples=300, deadline=None)
def test_who_resumes_with_fewer_channels_misses_nothing_of_them(steps, bound, part):
    """An event that is addressed to the client gives way only to one that is, too."""
    world, view = slowly(steps, bound, part)
    addressed, mine = [event for event in world.stream if ME in event.audience], View()
    resume(view, addressed)
    resume(mine, addressed)
    for task, state in mine.tasks.items():
        if task not in view.gone:
            assert view.tasks[task]["version"] >= state["version"]
            assert version_of(view.tasks[task]) >= version_of(state)


@given(steps=changes, bound=st.integers(1, 1500))
@settings(max_examples=100, deadline=None)
def test_all_queues_count_what_gave_way(steps, bound):
    """The bytes that wait in all queues are counted rightly, and a queue coalesces before its connection is closed."""
    world, unsent = World(), Unsent(at_most=10**9)
    queues = [SendQueue(max_messages=limit, max_bytes=10**6, unsent=unsent) for limit in (3, 10, 1000)]
    for kind, number, text, audience, facts, _ in steps:
        world.change(kind, number, text=text, audience=audience, facts=facts)
    for event in (LiveEvent(1, event) for event in world.stream):
        for queue in queues:
            try:
                queue.keep(event)
            except QueueOverflow:
                queue.close()
        waiting = {id(one): len(one) for queue in queues for one in queue.waiting()}
        assert unsent.size == sum(waiting.values())
        assert all(queue.size == sum(len(one) for one in queue.waiting()) for queue in queues)
    for queue in queues:
        queue.close()
    assert (unsent.size, unsent._holders) == (0, {})


def test_each_event_costs_the_same():
    """However many wait, adding one looks at no other but those that give way."""
    asked = []

    class Counting(LiveEvent):
        __slots__ = ()

        @property
        def state(self):
            asked.append(self.sequence)
            return super().state

    newest = Newest(ME)
    for number in range(5000):
        task = TASKS[number % 3] if number % 2 else new_id()
        payload = envelope(record("task.updated", task, {"id": str(task)}))
        newest.add(Counting(1, StreamEvent(number, str(WORKSPACE), "task.updated", "", payload)))
    assert asked == list(range(5000))
    assert len(newest) == 2503


@pytest.mark.parametrize(
    ("data", "omits"),
    [
        ({"omitted": ["/description"]}, True),
        ({"omitted": ["/previous/description", "/description"]}, True),
        ({"omitted": ["/previous/description"]}, False),
        ({"omitted": []}, False),
        ({"title": '"omitted":["/description"]'}, False),
        ({"title": '\\"omitted":["/description"]'}, False),
        ({"title": "omitted", "labels": ["omitted"]}, False),
        ({}, False),
    ],
)
def test_what_is_left_out_is_found_without_parsing(data, omits):
    """Only the key counts, whatever users write."""
    task = uuid.uuid4()
    text = envelope(record("task.updated", task, data))
    assert (omits_state(text), subject_of(text)) == (omits, str(task))


def coalesced():
    """How many events gave way in this process so far."""
    return REGISTRY.get_sample_value("taskbell_gateway_events_coalesced_total")


def closed_as_slow():
    """How many connections were closed with 4408 in this process so far."""
    return REGISTRY.get_sample_value("taskbell_gateway_closes_total", {"code": "4408"}) or 0


@pytest.mark.feature("F3", "P14")
async def test_a_slow_client_gets_the_newest_of_each_task(run_gateway, people, stream, listener):
    """It is not closed; the events that it gets say for how many they stand; notifications all come."""
    workspace, tasks = new_id(), [new_id() for _ in range(4)]
    user, channels = await people.user(workspaces=[workspace]), [f"workspace:{workspace}"]
    before, total = coalesced(), 400
    async with run_gateway(gateway_queue_messages=20) as running, listener(running, user, channels=channels) as slow:
        await slow.connect()
        slow.stop_reading()
        for number in range(total):
            personal = number % 100 == 50
            await stream.publish(
                workspace,
                number=number,
                subject=tasks[number % 4],
                event_type="notification.created" if personal else "task.updated",
                audience=[user] if personal else [],
                pad="x" * 60_000,
            )
        await running.hub.reached(total)
        slow.read_on()
        await slow.until(lambda: bool(slow.events) and slow.events[-1].cursor == f"1-{total}", "the last")
        assert slow.close_code is None
        stands_for = [1 + orjson.loads(received.text).get("coalesced", 0) for received in slow.events]
        assert sum(stands_for) == total
        assert len(slow.events) < total
        assert coalesced() - before == total - len(slow.events)
        received = [received.event["data"]["number"] for received in slow.events]
        assert received == sorted(received)
        assert {50, 150, 250, 350, *range(total - 4, total)} <= set(received)


async def test_a_client_may_want_every_event(run_gateway, people, stream, listener):
    """Then it is closed when it is too slow, and gets all of them when it resumes."""
    user, task = await people.user(), new_id()
    async with run_gateway(gateway_queue_messages=20) as running, listener(running, user) as slow:
        slow.url += "?coalesce=false"
        await slow.open()
        await slow.until(lambda: bool(slow.welcome), "a welcome")
        slow.stop_reading()
        number, before = 0, closed_as_slow()
        async with asyncio.timeout(60):
            while closed_as_slow() == before:
                await stream.publish(
                    new_id(), number=number, subject=task, event_type="task.updated", audience=[user], pad="x" * 60_000
                )
                number += 1
        slow.read_on()
        assert await slow.until_closed() == CloseCode.SLOW
        assert all("coalesced" not in orjson.loads(received.text) for received in slow.events)
