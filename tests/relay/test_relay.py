"""What a running relay promises, against real servers."""

import asyncio
import json
import random
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from taskbell.contract.events import EventType
from taskbell.contract.subjects import RELAY_POKE, STREAM
from taskbell.kit.trace import Tracing
from taskbell.relay.repository import Events, Replays
from taskbell.relay.supervision import Supervision
from taskbell.testing.waiting import DEADLINE, eventually


@pytest.mark.feature("M43")
async def test_events_that_exist_before_the_first_start_are_published_in_order(relay, table, stream):
    """A new installation begins with everything that is in the table."""
    expected = [await table.write() for _ in range(5)]
    async with relay():
        assert await stream.holds(5) == expected


async def test_a_message_carries_what_readers_need(relay, table, stream):
    """Subject, deduplication id, audience and the CloudEvents envelope belong to the row."""
    written = await table.write(title="Wash the dishes")
    async with relay():
        await stream.holds(1)
    (message,) = await stream.messages()
    assert message.subject == f"taskbell.events.{uuid.UUID(int=7)}.task.created"
    assert message.headers["Nats-Msg-Id"] == written
    assert message.headers["Taskbell-Audience"] == f"{uuid.UUID(int=8)},{uuid.UUID(int=9)}"
    assert b'"title": "Wash the dishes"' in message.data


async def test_an_open_transaction_is_not_skipped_and_delays_nobody(relay, table, stream):
    """While one transaction stays open, later ones are published; when it commits, its own events follow."""
    async with relay(), table.session() as slow:
        transaction = slow.transaction()
        await transaction.start()
        late = await table.write(slow)
        early = [await table.write() for _ in range(3)]
        assert await stream.holds(3) == early
        await transaction.commit()
        assert await stream.holds(4) == [*early, late]


async def test_what_is_rolled_back_is_never_published(relay, table, stream):
    """Only committed facts reach the stream."""
    async with relay(), table.session() as other:
        transaction = other.transaction()
        await transaction.start()
        await table.write(other)
        await transaction.rollback()
        kept = await table.write()
        assert await stream.holds(1) == [kept]
        kept_too = await table.write()
        assert await stream.holds(2) == [kept, kept_too]


async def test_events_of_one_task_stay_in_order_under_concurrent_changes(relay, table, stream):
    """Many writers change few tasks, some holding their transaction open: each task's versions arrive ascending."""
    await table.connection.execute("CREATE TABLE counters (id int PRIMARY KEY, version int NOT NULL)")
    await table.connection.execute("INSERT INTO counters SELECT n, 0 FROM generate_series(0, 2) n")

    async def writer(seed):
        chance = random.Random(seed)
        async with table.session() as session:
            for _ in range(15):
                task = chance.randrange(3)
                transaction = session.transaction()
                await transaction.start()
                version = await session.fetchval(
                    "UPDATE counters SET version = version + 1 WHERE id = $1 RETURNING version", task
                )
                await table.write(session, subject=uuid.UUID(int=task), version=version, kind=EventType.TASK_UPDATED)
                await asyncio.sleep(chance.choice((0, 0, 0.002, 0.02)))
                await (transaction.rollback() if chance.random() < 0.1 else transaction.commit())

    async with relay():
        await asyncio.gather(*(writer(seed) for seed in range(6)))
        total = await table.connection.fetchval("SELECT sum(version) FROM counters")
        await stream.holds(total)
    seen = {task: [] for task in range(3)}
    for message in await stream.messages():
        data = json.loads(message.data)["data"]
        seen[uuid.UUID(data["id"]).int].append(data["version"])
    for versions in seen.values():
        assert versions == list(range(1, len(versions) + 1))


async def test_a_large_window_is_read_by_pages(relay, table, stream):
    """Far more events than a batch are published once each, in order of their ids, and then business is as usual."""
    expected = await table.write_many(1234)
    async with relay(relay_batch_size=100):
        assert await stream.holds(1234) == expected
        last = await table.write()
        assert (await stream.holds(1235))[-1] == last


async def test_a_large_window_is_resumed_where_it_was_left(relay, table, stream):
    """Stopped in the middle of a window, the relay neither skips nor repeats."""
    expected = await table.write_many(3000)
    async with relay(relay_batch_size=10):

        async def begun():
            return await stream.length() >= 100

        await eventually(begun)
    assert await stream.length() < 3000
    state = await table.connection.fetchrow("SELECT * FROM relay_state")
    assert state["window_snapshot"] is not None
    assert state["stream_sequence"] == await stream.length()
    async with relay():
        assert await stream.holds(3000) == expected
    assert len(await stream.ids()) == 3000


async def test_a_poke_ends_the_pause(relay, table, stream):
    """A relay that would look again only in an hour looks at once when it is poked."""
    async with relay(relay_poll_fastest="PT1H", relay_poll_slowest="PT1H", relay_lease_ttl="PT30S"):

        async def ready():
            return await stream.info()

        await eventually(ready)
        written = await table.write()

        async def poked():
            await stream.client.publish(RELAY_POKE, b"")
            return await stream.length() == 1

        await eventually(poked)
        assert await stream.ids() == [written]


async def test_the_trace_of_a_request_travels_with_its_event(relay, table, stream):
    """Header and envelope carry the traceparent of the row."""
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
    await table.write(traceparent=traceparent)
    async with relay():
        await stream.holds(1)
    (message,) = await stream.messages()
    assert message.headers["traceparent"] == traceparent
    assert traceparent.encode() in message.data


async def test_the_position_is_saved_when_the_relay_stops(relay, table, stream):
    """A clean end leaves nothing to find out, and nobody holding the lease."""
    await table.write_many(3)
    async with relay():
        await stream.holds(3)
    state = await table.connection.fetchrow("SELECT * FROM relay_state")
    assert state["stream_sequence"] == 3
    assert state["done_snapshot"] is not None
    assert state["lease_holder"] is None


async def test_the_stream_gets_its_configuration(relay, table, stream):
    """Another retention than the stream has is reconciled at the start, and messages are kept."""
    await table.write()
    async with relay():
        await stream.holds(1)
    async with relay(event_retention="P3D"):

        async def adjusted():
            return (await stream.info()).config.max_age == 3 * 86400

        await eventually(adjusted)
    info = await stream.info()
    assert info.config.allow_direct
    assert info.config.name == STREAM
    assert info.state.messages == 1


async def test_a_sampled_event_has_a_span_and_readers_continue_it(settings, table, stream):
    """The span is a child of the request's; header `traceparent` names the span, the envelope the request's."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    supervision = Supervision(settings, holder="test", tracing=Tracing(service="test", provider=provider))
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await table.write(traceparent=traceparent)
    running = asyncio.create_task(supervision.run())
    await stream.holds(1)
    supervision.stop()
    await asyncio.wait_for(running, DEADLINE)
    (span,) = exporter.get_finished_spans()
    (message,) = await stream.messages()
    assert f"{span.context.trace_id:032x}" == traceparent.split("-")[1]
    assert f"{span.parent.span_id:016x}" == traceparent.split("-")[2]
    assert message.headers["traceparent"].split("-")[2] == f"{span.context.span_id:016x}"
    assert traceparent.encode() in message.data


async def test_a_replay_leaves_out_no_transaction_that_commits_while_it_begins(relay, table, stream, monkeypatch):
    """An event older than the replay's instant that was never published is, though it commits half-way."""
    backlog = Events.backlog
    async with relay(), table.session() as slow:
        transaction = slow.transaction()
        await transaction.start()
        late = await table.write(slow)
        early = await table.write()
        await stream.holds(1)

        async def commit_after(events, position):
            found = await backlog(events, position)
            monkeypatch.undo()
            await transaction.commit()
            return found

        monkeypatch.setattr(Events, "backlog", commit_after)
        since = datetime.fromtimestamp((uuid.UUID(early).int >> 80) / 1000, UTC) + timedelta(milliseconds=2)
        await Replays(table.connection).request(since)
        assert await stream.holds(1, epoch=2) == [late]
        after = await table.write()
        assert await stream.holds(2, epoch=2) == [late, after]
