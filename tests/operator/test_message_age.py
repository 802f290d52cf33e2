"""A message that waits for too long asks for more pods: the pure rule, and the age as NATS tells it."""

import asyncio

import nats
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.js.api import ConsumerConfig

from taskbell.contract.nats_users import ADMINISTRATOR, Program, permissions, user_of
from taskbell.contract.subjects import STREAM
from taskbell.contract.worker_pools import JetStreamSignal, WorkerPoolSpec
from taskbell.kit.nats_consumers import Consumers
from taskbell.local.embedded.nats import NatsServer, NatsUser
from taskbell.operator.plan.need import Pace, Sample, age_need, read_backlog
from taskbell.operator.plan.scaling import Memory, decide
from taskbell.operator.signals import SignalReader

LIMIT = JetStreamSignal(stream="S", consumer="c", max_message_age="60s", activation=50)


def sample(oldest, *, pending=10, unacked=0, pods=4):
    """A consumer with an oldest message of so many seconds."""
    return Sample(at=0, pending=pending, unacked=unacked, delivered=0, pods=pods, oldest=oldest)


@given(
    st.one_of(st.none(), st.floats(0, 1e6)), st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 100),
)  # fmt: skip
def test_age_asks_in_proportion_and_never_for_less(oldest, pending, unacked, pods):
    """Up to the limit nothing, above it more pods than there are, at most twice as many; if nothing waits, nothing."""
    need = age_need(LIMIT, sample(oldest, pending=pending, unacked=unacked, pods=pods))
    if oldest is None or oldest <= 60 or not pending:
        assert need == 0
    else:
        assert max(1, pods) < need <= 2 * max(1, pods)
    without = JetStreamSignal(stream="S", consumer="c")
    assert age_need(without, sample(oldest, pending=pending, pods=pods)) == 0


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.integers(1, 100))
def test_an_older_message_never_asks_for_less(one, other, pods):
    """The need is monotone in the age."""
    younger, older = sorted((one, other))
    assert age_need(LIMIT, sample(younger, pods=pods)) <= age_need(LIMIT, sample(older, pods=pods))


def test_an_old_message_grows_a_pool_and_wakes_an_empty_one():
    """A few messages that nobody takes in time grow the pool, and start it below its activation."""
    given_ = {"targetRef": {"name": "x"}, "replicas": {"min": 0, "max": 30}}
    signal = {"name": "b", "jetStream": LIMIT.model_dump(by_alias=True, exclude_none=True)}
    spec = WorkerPoolSpec.model_validate(given_ | {"signals": [signal]})

    def size(oldest, pods):
        reading = read_backlog("b", LIMIT, sample(oldest, pods=pods), Pace(), max_unacked=0)
        return decide(spec, Memory(), [reading], current=pods, now=0)[0].size

    assert [size(oldest, 4) for oldest in (59, 66, 90, 120, 9000)] == [4, 4, 6, 8, 8]
    assert [size(oldest, 0) for oldest in (59, 61)] == [0, 2]


@pytest.fixture
def bus(tmp_path):
    """A server with the operator's own user."""
    rights = permissions(Program.OPERATOR)
    users = {user_of(Program.OPERATOR): NatsUser(account=ADMINISTRATOR, password="secret", permissions=rights)}
    server = NatsServer(tmp_path / "nats", accounts={ADMINISTRATOR: "secret"}, users=users)
    with server.running(tmp_path / "nats.log"):
        yield server


@pytest.fixture
async def stream(bus):
    """The event stream with a consumer of one kind of events."""
    client = await nats.connect(bus.url(ADMINISTRATOR))
    context = client.jetstream()
    await context.add_stream(name=STREAM, subjects=["events.>"])
    config = ConsumerConfig(durable_name="c", filter_subject="events.mine", ack_wait=600)
    await context.add_consumer(STREAM, config)
    yield context
    await client.close()


async def test_the_oldest_message_is_the_first_that_nobody_acknowledged(bus, stream):
    """With the operator's rights; others' messages, acknowledged and removed ones do not count, delivered ones do."""
    url = bus.url(user_of(Program.OPERATOR))
    stored = []
    for subject in ("events.other", "events.mine", "events.mine", "events.mine"):
        sequence = (await stream.publish(subject, b"x")).seq
        stored.append((await stream.get_msg(STREAM, sequence)).time.timestamp())
        await asyncio.sleep(0.01)
    async with Consumers(name="test") as consumers:

        async def oldest(*, with_oldest=True):
            facts = await consumers.look(url, stream=STREAM, consumer="c", with_oldest=with_oldest)
            return facts.pending, facts.oldest

        assert await oldest(with_oldest=False) == (3, None)
        assert await oldest() == (3, stored[1])
        pull = await stream.pull_subscribe_bind("c", STREAM)
        (first,) = await pull.fetch(1)
        assert await oldest() == (2, stored[1]), "it is delivered and not done"
        await first.ack_sync()
        assert await oldest() == (2, stored[2])
        await stream.delete_msg(STREAM, 3)
        assert (await oldest())[1] == stored[3]
        for message in await pull.fetch(2, timeout=1):
            await message.ack_sync()
        assert await oldest() == (0, None)


async def test_an_old_message_asks_for_pods(pools, cluster, still_clock, bus, stream):
    """A single message that waits for too long doubles the pool, and the status tells its age."""
    await stream.publish("events.mine", b"x")
    async with Consumers(name="test") as consumers:
        url = bus.url(user_of(Program.OPERATOR))
        place = pools(SignalReader(cluster, consumers, None, nats_url=url, clock=still_clock))
        await place.deploy(replicas=2)
        signal = {"stream": STREAM, "consumer": "c", "maxMessageAge": "10m"}
        await place.make(signals=[{"name": "b", "jetStream": signal}])
        assert await place.look() == 2
        assert await place.look(after=3600) == 4
        (read,) = (await place.status())["signals"]
        assert (read["value"], read["desired"]) == (1, 4)
        assert 3600 <= read["oldestMessageSeconds"] < 7200
