"""What is told of an object, and how often."""

import pytest

from kubernetes_emulator.proxy import Fault
from taskbell.operator.events import Events


@pytest.fixture
def clock(still_clock):
    """Time as the test sets it."""
    return still_clock


@pytest.fixture
async def tell(cluster, clock, place):
    """Tell of an object that it was scaled."""
    owner, teller = await place.make(), Events(cluster, clock=clock, reporter="test")
    return lambda message: teller.record(owner, "ScaledUp", message)


def writes(proxy):
    """Method and count of every write."""
    return [(call.method, call.body["count"]) for call in proxy.writes(path_part="/events")]


async def test_the_same_event_is_counted(tell, proxy, clock, events):
    """What is told again within half an hour raises the count of its event; later it is a new one."""
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


async def test_an_event_that_was_lost_is_not_counted_on(tell, proxy, events):
    """What the API server did not take is told anew the next time, and never fails the pass."""
    proxy.faults.append(Fault(method="POST", path_ends="/events", status=403))
    for _ in range(3):
        await tell("from 1 to 2")
    assert writes(proxy) == [("POST", 1), ("POST", 1), ("PATCH", 2)]
    assert [event["count"] for event in await events()] == [2]


async def test_the_memory_of_events_is_bounded(tell, proxy, monkeypatch):
    """Only the latest different ones, as many as the bound says, are counted; one from before them is told anew."""
    monkeypatch.setattr("taskbell.operator.events._MOST_REMEMBERED", 10)
    for number in range(11):
        await tell(f"from {number}")
    proxy.calls.clear()
    await tell("from 10")
    await tell("from 0")
    assert writes(proxy) == [("PATCH", 2), ("POST", 1)]
