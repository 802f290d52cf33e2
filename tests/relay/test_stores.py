"""What PostgreSQL and JetStream say of themselves reaches the metrics, with the rights that the relay has."""

import asyncio

import asyncpg
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from taskbell.contract.nats_users import ADMINISTRATOR, Program, permissions, user_of
from taskbell.contract.subjects import DEAD_LETTER_STREAM, DELIVERY_CONSUMER, STREAM
from taskbell.local.embedded.nats import NatsServer, NatsUser
from taskbell.relay.stores.metrics import PostgresCollector
from taskbell.relay.stores.repository import measuring
from taskbell.relay.stores.watch import watch_jetstream
from taskbell.testing.waiting import eventually

pytestmark = pytest.mark.feature("M47")


def samples(text):
    """The samples of an exposition: name and labels with their value."""
    return {
        (found.name, *sorted(found.labels.values())): found.value
        for family in text_string_to_metric_families(text)
        for found in family.samples
    }


async def shown(database):
    """The metrics of one measurement of PostgreSQL."""
    registry, collector = CollectorRegistry(), PostgresCollector()
    registry.register(collector)
    async with measuring(database.relay_url) as postgres:
        collector.show(await postgres.look())
    return samples(generate_latest(registry).decode())


async def test_sizes_and_rows_are_counted_over_all_partitions(database, table):
    """A table is one series, however many partitions it has; what its default partition holds is told."""
    await table.write_many(5)
    await table.connection.execute(
        "INSERT INTO events (id, workspace_id, type, subject_id, audience, data)"
        " VALUES ('00000000-0000-7000-8000-000000000000', gen_random_uuid(), 'x', gen_random_uuid(), '{}', '{}')"
    )
    await table.connection.execute("DELETE FROM events WHERE type = 'task.created'")

    async def counted():
        found = await shown(database)
        rows = [found["taskbell_relay_table_rows", *labels] for labels in (("dead", "events"), ("events", "live"))]
        return found if rows == [5, 1] else None

    found = await eventually(counted, "the statistics are counted")
    assert found["taskbell_relay_table_outside_rows", "events"] == 1
    assert found["taskbell_relay_table_partitions", "events"] >= 4
    assert found["taskbell_relay_table_bytes", "events", "indexes"] > 0
    assert ("taskbell_relay_table_partitions", "users") not in found
    assert found["taskbell_relay_database_bytes",] > sum(
        value for name, value in found.items() if name[0] == "taskbell_relay_table_bytes"
    )


async def test_connections_locks_and_open_transactions_are_seen_without_special_rights(database, table):
    """The relay's role sees whose connections there are, that somebody waits for a lock, and an open transaction."""
    one, two = await asyncpg.connect(database.owner_url), await asyncpg.connect(database.owner_url)
    held, waiting = one.transaction(), None
    try:
        await held.start()
        await one.execute("LOCK TABLE users")
        await one.execute("SELECT pg_current_xact_id()")
        waiting = asyncio.create_task(two.fetchval("SELECT count(*) FROM users"))
        for _ in range(3):
            await table.write()

        async def waits():
            found = await shown(database)
            return found if found["taskbell_relay_database_waiting_locks",] >= 1 else None

        found = await eventually(waits, "a lock is waited for")
        assert found["taskbell_relay_database_held_back_transactions",] >= 3
        assert found["taskbell_relay_database_connections", "taskbell_owner"] >= 3
        assert found["taskbell_relay_database_connections", "taskbell_relay"] >= 1
        assert found["taskbell_relay_database_most_connections",] >= 20
        assert found["taskbell_relay_database_transactions_total", "committed"] >= 3
        assert found["taskbell_relay_database_log_bytes_total",] > 0
    finally:
        await held.rollback()
        if waiting is not None:
            await waiting
        await one.close()
        await two.close()


async def test_an_index_that_is_rebuilt_keeps_nobody_waiting(database, table):
    """While an index is rebuilt, its table counts no bytes of indexes, and everything else is told."""
    indexes = "taskbell_relay_table_bytes", "events", "indexes"
    await table.write()
    assert (await shown(database))[indexes] > 0
    owner = await asyncpg.connect(database.owner_url)
    names = await owner.fetch(
        "SELECT indexrelid::regclass::text FROM pg_index JOIN pg_inherits ON inhrelid = indrelid"
        " WHERE inhparent = 'events'::regclass"
    )
    rebuilding = owner.transaction()
    try:
        await rebuilding.start()
        for (name,) in names:
            await owner.execute(f"REINDEX INDEX {name}")
        found = await shown(database)
        assert found[indexes] == 0
        assert found["taskbell_relay_table_bytes", "indexes", "tasks"] > 0
    finally:
        await rebuilding.rollback()
        await owner.close()


async def test_the_active_relay_tells_of_both_stores_and_stops_when_it_ends(relay, table, stream):
    """Streams and consumers are told by name; a relay that ended exports nothing of them."""
    await table.write_many(7)

    def exported():
        found = samples(generate_latest().decode())
        streams = {("taskbell_relay_stream_messages", name) for name in (STREAM, DEAD_LETTER_STREAM)}
        complete = streams | {("taskbell_relay_database_bytes",)} <= set(found)
        return found if complete else None

    async with relay():
        found = await eventually(exported, "both are measured")
        assert found["taskbell_relay_stream_messages", DEAD_LETTER_STREAM] == 0
        assert found["taskbell_relay_jetstream_bytes",] >= 0
        assert ("taskbell_relay_consumer_messages", "delivery-redrive", "pending") in found
        assert ("taskbell_relay_consumer_messages", DELIVERY_CONSUMER, "pending") not in found
    assert exported() is None
    assert "taskbell_relay_stream_messages" not in generate_latest().decode()


async def test_a_stream_that_grows_is_seen_at_the_next_look(monkeypatch, relay, table, stream):
    """Messages, bytes and the last sequence follow the stream."""
    monkeypatch.setattr("taskbell.relay.supervision._STORES_EVERY", 0.05)
    async with relay():
        await table.write_many(7)

        def grown():
            found = samples(generate_latest().decode())
            return found if found.get(("taskbell_relay_stream_messages", STREAM)) == 7 else None

        found = await eventually(grown, "the stream's messages are told")
        assert found["taskbell_relay_stream_last_sequence", STREAM] == 7
        assert found["taskbell_relay_stream_bytes", STREAM] > 0


@pytest.mark.parametrize("former", [False, True], ids=["own rights", "former rights"])
async def test_the_relays_user_of_nats_may_ask_and_a_former_one_does_no_harm(tmp_path, former):
    """The user's permissions suffice; with those of an earlier release nothing is told, and the watch goes on."""
    rights = permissions(Program.RELAY)
    if former:
        rights["publish"]["allow"] = [subject for subject in rights["publish"]["allow"] if subject != "$JS.API.INFO"]
    name = user_of(Program.RELAY)
    users = {name: NatsUser(account=ADMINISTRATOR, password="secret", permissions=rights)}
    server = NatsServer(tmp_path / "nats", accounts={ADMINISTRATOR: "secret"}, users=users)
    with server.running(tmp_path / "nats.log"), capture_logs() as logs:
        watching = asyncio.create_task(watch_jetstream(server.url(name), every=0.05))
        try:
            if former:
                await eventually(lambda: [entry for entry in logs if entry["event"] == "jetstream_not_measured"])
                assert not watching.done()
                assert "taskbell_relay_jetstream_bytes" not in generate_latest().decode()
            else:
                await eventually(lambda: "taskbell_relay_jetstream_bytes" in generate_latest().decode())
                assert not [entry for entry in logs if entry["event"] == "jetstream_not_measured"]
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
