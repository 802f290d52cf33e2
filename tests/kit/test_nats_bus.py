"""Pokes between programs over a real NATS."""

import pytest

from taskbell.kit.nats_bus import Pokes, connect
from taskbell.testing.waiting import eventually


@pytest.fixture
async def pokes(nats_url):
    """Sends and hears."""
    client = await connect(nats_url, name="pokes")
    yield Pokes(client)
    await client.close()


async def test_pokes_that_come_together_are_few_and_the_last_is_sent(pokes):
    """The first goes at once, those of the next 10 ms are one; `settle` waits for it. Each subject has its own."""
    heard = []
    await pokes.listen("poke.a", lambda: heard.append("a"))
    await pokes.listen("poke.b", lambda: heard.append("b"))
    await pokes.check()
    for subject in ("poke.a", "poke.a", "poke.b"):
        await pokes.send(subject)
    await pokes.settle()
    await eventually(lambda: sorted(heard) == ["a", "a", "b"], "both of one subject, and the one of the other")
    for _ in range(1000):
        await pokes.send("poke.a")
    await pokes.settle()
    await eventually(lambda: len(heard) >= 5, "one of these and the last")
    assert len(heard) < 500, "most were joined"
