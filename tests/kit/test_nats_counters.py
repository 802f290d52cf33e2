"""Counters that processes share, on a real NATS."""

from datetime import timedelta

import pytest

from taskbell.kit.nats_bus import BusUnavailable, connect
from taskbell.kit.nats_counters import Counters, CounterSpec, make_counters

SPEC = CounterSpec(stream="COUNTS", root="counts", max_age=timedelta(minutes=3))


@pytest.fixture
async def clients(nats_url):
    """Two connections."""
    made = [await connect(nats_url, name="test") for _ in range(2)]
    yield made
    for client in made:
        await client.close()


async def test_all_add_to_the_same_number(clients):
    """Each addition answers with the sum of all, also of nothing and of less; names are apart; the stream is made."""
    one, two = (Counters(client, SPEC) for client in clients)
    assert [await one.add("a.1", 3), await two.add("a.1", 4), await one.add("a.1", -2), await two.add("a.1", 0)] == [
        3,
        7,
        5,
        5,
    ]
    assert await two.add("b.1", 1) == 1
    await make_counters(clients[0], SPEC)
    assert await one.add("a.1", 1) == 6


async def test_what_does_not_answer_is_told(clients):
    """A stream that cannot be made, and a connection that is closed, are `BusUnavailable`."""
    impossible = CounterSpec(stream="not.a.name", root="elsewhere", max_age=timedelta(minutes=3))
    with pytest.raises(BusUnavailable):
        await Counters(clients[0], impossible).add("a", 1)
    await clients[1].close()
    with pytest.raises(BusUnavailable):
        await Counters(clients[1], SPEC).add("a", 1)
