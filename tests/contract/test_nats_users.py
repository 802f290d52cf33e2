"""The rights of each program on NATS, tried against a real server with each program's credentials."""

import asyncio
import contextlib

import nats
import pytest
from nats.js.api import ConsumerConfig, StreamConfig

from taskbell.contract import subjects
from taskbell.contract.nats_users import ADMINISTRATOR, RIGHTS, Program, permissions, user_of
from taskbell.contract.subjects import DEAD_LETTER_STREAM, DELIVERY_CONSUMER, STREAM
from taskbell.delivery.app import DEAD_LETTERS
from taskbell.kit.nats_bus import connect, inbox_prefix
from taskbell.kit.nats_counters import Counters
from taskbell.kit.nats_dead_letters import DeadLetters
from taskbell.kit.nats_once import OneTimeNames
from taskbell.kit.nats_provision import Provision
from taskbell.kit.nats_replay import StreamReplays
from taskbell.local.embedded.nats import NatsServer, NatsUser
from taskbell.relay.stream import PROVISION
from taskbell.testing.waiting import eventually

WORKSPACE = "018f0000-0000-7000-8000-000000000000"
EVENT = f"taskbell.events.{WORKSPACE}.task.created"
NOT_THE_RELAY = [program for program in Program if program is not Program.RELAY]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server with the users of all programs."""
    folder = tmp_path_factory.mktemp("users")
    users = {
        user_of(program): NatsUser(account=ADMINISTRATOR, password="secret", permissions=permissions(program))
        for program in Program
    }
    server = NatsServer(folder / "nats", accounts={ADMINISTRATOR: "secret"}, users=users)
    with server.running(folder / "nats.log"):
        yield server


@pytest.fixture
async def connected(server):
    """Connections by program, and the list of what the server denied."""
    async with contextlib.AsyncExitStack() as stack:

        async def connection(user):
            denied = []

            async def note(error):
                denied.append(str(error))

            url = server.url(user)
            client = await nats.connect(url, inbox_prefix=inbox_prefix(url), error_cb=note)
            stack.push_async_callback(client.close)
            return client, denied

        yield connection


@pytest.fixture
async def stores(connected):
    """What the relay makes, made by the relay."""
    relay, denied = await connected(user_of(Program.RELAY))
    context = relay.jetstream()
    with contextlib.suppress(nats.js.errors.NotFoundError):
        await context.delete_stream(STREAM)
    await context.add_stream(StreamConfig(name=STREAM, subjects=["taskbell.events.>"], metadata={"epoch": "1"}))
    await Provision(relay, PROVISION).ensure()
    assert await Provision(relay, PROVISION).is_complete()
    await context.publish(EVENT, b"{}")
    assert denied == []
    return context


async def _refused(client, denied, wanted, body=b"{}"):
    """Publish to each subject, and wait until the server has refused all."""
    for subject in wanted:
        await client.publish(subject, body)
    await client.flush()
    await eventually(lambda: len(denied) == len(wanted), "the refusals")
    refused = {text.rpartition(' to "')[2].rstrip('"') for text in denied}
    assert refused == {subject.lower() for subject in wanted}


@pytest.mark.parametrize("program", NOT_THE_RELAY)
async def test_nobody_but_the_relay_writes_into_the_event_stream(program, connected, stores):
    """Neither by publishing, nor by a change of a stream, nor by a consumer that has the server write there."""
    client, denied = await connected(user_of(program))
    before = (await stores.stream_info(STREAM)).state.last_seq
    streams = (STREAM, DEAD_LETTER_STREAM, f"KV_{subjects.TICKET_BUCKET}", subjects.RATE_STREAM)
    verbs = ("CREATE", "UPDATE", "DELETE", "PURGE", "MSG.DELETE")
    administration = [f"$JS.API.STREAM.{verb}.{stream}" for verb in verbs for stream in (*streams, "MINE")]
    if program is Program.DELIVERY:  # what its own workers gave up may be redriven and removed
        administration.remove(f"$JS.API.STREAM.MSG.DELETE.{DEAD_LETTER_STREAM}")
    await _refused(client, denied, [EVENT, *administration])
    context = client.jetstream(timeout=0.2)
    configs = [
        ConsumerConfig(name=name, durable_name=name, deliver_subject=EVENT)
        for name in ("mine", DELIVERY_CONSUMER, subjects.REDRIVE_CONSUMER)
    ]
    made = [context.add_consumer(stream, config) for stream in streams for config in configs]
    for answer in await asyncio.gather(*made, return_exceptions=True):
        assert isinstance(answer, TimeoutError | nats.js.errors.APIError)
    assert (await stores.stream_info(STREAM)).state.last_seq == before


@pytest.mark.parametrize("program", [program for program in NOT_THE_RELAY if program is not Program.DELIVERY])
async def test_nobody_takes_the_work_of_the_delivery_workers(program, connected, stores):
    """Neither the shared consumers, nor their messages, nor what is redriven."""
    client, denied = await connected(user_of(program))
    wanted = [
        f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{DELIVERY_CONSUMER}",
        f"$JS.API.CONSUMER.DELETE.{STREAM}.{DELIVERY_CONSUMER}",
        f"$JS.API.CONSUMER.CREATE.{STREAM}.{DELIVERY_CONSUMER}",
        f"$JS.API.CONSUMER.CREATE.{STREAM}.{DELIVERY_CONSUMER}.taskbell.events.>",
        f"$JS.API.CONSUMER.CREATE.{STREAM}",  # the form without a name takes one from the body
        f"$JS.ACK.{STREAM}.{DELIVERY_CONSUMER}.1.1.1.1.0",
        subjects.DEAD_LETTER_SUBJECT,
        subjects.REDRIVE_SUBJECT,
    ]
    await _refused(client, denied, wanted)


@pytest.mark.parametrize("program", list(Program))
async def test_nobody_listens_to_the_answers_of_others(program, connected):
    """Not even the relay: an inbox belongs to one user."""
    client, denied = await connected(user_of(program))
    wanted = ["_INBOX.>", f"_INBOX.{ADMINISTRATOR}.>", ">", "$JS.EVENT.ADVISORY.>", "taskbell.events.>", "$KV.>"]
    for subject in wanted:
        await client.subscribe(subject)
    await client.flush()
    await eventually(lambda: len(denied) == len(wanted), "the refusals")


async def test_every_program_can_do_its_work(connected, stores, server):
    """The calls that the adapters make, with the user of the program that makes them; the server denies none."""
    refusals = []
    gateway, denied = await connected(user_of(Program.GATEWAY))
    refusals.append(denied)
    replays = StreamReplays(gateway, stream=STREAM, epoch_key="epoch")
    async with replays.open(subjects=["taskbell.events.>"], after=0, until=1) as replay:
        assert [len(batch) async for batch in replay.batches()] == [1]
    tickets = OneTimeNames(gateway, bucket=subjects.TICKET_BUCKET)
    assert [await tickets.use("a"), await tickets.use("a")] == [True, False]
    api, denied = await connected(user_of(Program.API))
    refusals.append(denied)
    counters = Counters(api, PROVISION.counters)
    assert [await counters.add("a", 2), await counters.add("a", 3)] == [2, 5]
    delivery, denied = await connected(user_of(Program.DELIVERY))
    refusals.append(denied)
    config = ConsumerConfig(name=DELIVERY_CONSUMER, durable_name=DELIVERY_CONSUMER, filter_subject="taskbell.events.>")
    await delivery.jetstream().add_consumer(STREAM, config)
    (message,) = await (await delivery.jetstream().pull_subscribe_bind(DELIVERY_CONSUMER, STREAM)).fetch(1, timeout=5)
    await message.ack_sync()
    await delivery.jetstream().publish(subjects.DEAD_LETTER_SUBJECT, b"{}")
    operator, denied = await connected(user_of(Program.OPERATOR))
    refusals.append(denied)
    assert (await operator.jetstream().consumer_info(STREAM, DELIVERY_CONSUMER)).num_ack_pending == 0
    assert [refused for denied in refusals for refused in denied] == []


async def test_a_connection_has_the_inbox_of_its_user(server):
    """Without a name, or with a token, it has the one that all share: a token must not be told in a subject."""
    assert inbox_prefix("nats://taskbell-api:x@a:4222,nats://taskbell-api:x@b:4222") == "_INBOX.taskbell-api"
    assert inbox_prefix("nats://a:4222") == inbox_prefix("nats://token@a:4222") == "_INBOX"
    assert inbox_prefix("nats://a*b:x@a:4222") == "_INBOX"
    client = await connect(server.url(user_of(Program.SWEEPER)), name="test")
    assert client.new_inbox().startswith(f"_INBOX.{user_of(Program.SWEEPER)}.")
    await client.close()


def test_every_program_has_rights_and_none_has_all():
    """Deny by default: a program that is not in the list could do nothing."""
    assert set(RIGHTS) == set(Program)
    for program in Program:
        assert not {">", "*", "$JS.>", "$JS.API.>"} & set(permissions(program)["publish"]["allow"])


@pytest.mark.usefixtures("stores")
async def test_dead_letters_are_listed_and_redriven_in_a_pod_of_the_workers(connected):
    """`taskbell deadletters` has enough rights under the user of the delivery workers."""
    client, denied = await connected(user_of(Program.DELIVERY))
    letters = DeadLetters(client, DEAD_LETTERS)
    await letters.keep(identity="1", subject=EVENT, headers={}, data=b"{}", reason="it is broken", deliveries=5)
    (letter,) = [each for each in await letters.page(limit=1_000) if each.reason == "it is broken"]
    assert await letters.redrive(letter)
    assert letter not in await letters.page(limit=1_000)
    assert denied == []
