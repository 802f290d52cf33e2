"""Which events are recorded, and how often."""

import pytest

from kubernetes_emulator.proxy import Fault
from taskbell.operator.events import Events


@pytest.fixture
def clock(still_clock):
    """Time that a test sets."""
    return still_clock


@pytest.fixture
async def tell(cluster, clock, place):
    """Record that an object was scaled."""
    owner, teller = await place.make(), Events(cluster, clock=clock, reporter="test")
    return lambda message: teller.record(owner, "ScaledUp", message)


def writes(proxy):
    """Method and count of every write."""
    return [(call.method, call.body["count"]) for call in proxy.writes(path_part="/events")]


async def test_the_same_event_is_counted(tell, proxy, clock, events):
    """An event that repeats within half an hour raises a count; later it is a new event."""
    for _ in range(3):
        await tell("from 1 to 2")
    await tell("from 2 to 3")
    clock.pass_by(2000)
    await tell("from 1 to 2")
    assert writes(proxy) == [("POST", 1), ("PATCH", 2), ("PATCH", 3), ("POST", 1), ("POST", 1)]
    assert sorted((event["message"], event["count"]) for event in await events()) == [
        ("from 1 to 2", 1),
        ("from 1 to 2", 3),
        ("from 2 to 3", 1),
    ]


async def test_an_event_that_was_lost_is_created_again(tell, proxy, events):
    """An event that the API server refuses does not fail the pass, and is created at its next repetition."""
    proxy.faults.append(Fault(method="POST", path_ends="/events", status=403))
    for _ in range(3):
        await tell("from 1 to 2")
    assert writes(proxy) == [("POST", 1), ("POST", 1), ("PATCH", 2)]
    assert [event["count"] for event in await events()] == [2]


async def test_the_memory_of_events_is_bounded(tell, proxy, monkeypatch):
    """Only a limited number of latest events is remembered; one from before them is created again."""
    monkeypatch.setattr("taskbell.operator.events._MOST_REMEMBERED", 10)
    for number in range(11):
        await tell(f"from {number}")
    proxy.calls.clear()
    await tell("from 10")
    await tell("from 0")
    assert writes(proxy) == [("PATCH", 2), ("POST", 1)]
