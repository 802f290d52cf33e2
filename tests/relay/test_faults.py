"""Sudden ends, pauses and losses: nothing is lost, nothing is stored twice, order holds."""

import asyncio
import shutil
import signal

import asyncpg
import httpx
import nats
import pytest
import structlog

from taskbell.contract.subjects import METADATA_EPOCH, STREAM
from taskbell.kit.probes.health import examine
from taskbell.kit.trace import Tracing
from taskbell.local import db
from taskbell.local.embedded import nats as embedded_nats
from taskbell.local.embedded.nats import NatsServer
from taskbell.local.embedded.postgres import PostgresServer
from taskbell.relay import supervision
from taskbell.relay.relay import Relay
from taskbell.relay.repository import Events
from taskbell.relay.settings import RelaySettings
from taskbell.relay.supervision import Supervision
from taskbell.store import migrate, roles
from taskbell.testing.waiting import DEADLINE, eventually


async def test_death_between_publishing_and_saving_repeats_nothing(relay, table, stream, monkeypatch):
    """A relay that dies with acknowledged but unsaved events leaves them to be found in the stream by the next.

    Deduplication by id would hide a repetition; so the test also counts what was sent.
    """
    await table.write_many(3)
    async with relay():
        await stream.holds(3)

    async def never(*_, **__):
        return None

    first = await table.write_many(5)
    with monkeypatch.context() as patch:
        patch.setattr(Events, "save", never)
        async with relay():
            await stream.holds(8)
    assert await table.connection.fetchval("SELECT stream_sequence FROM relay_state") == 3
    second = await table.write_many(2)
    async with relay():
        assert (await stream.holds(10))[3:] == first + second
    assert await stream.length() == 10


async def test_killed_relays_lose_nothing_and_repeat_nothing(relay_process, table, stream):
    """Three kills with SIGKILL in the middle of the work: every event is in the stream once, tasks in order."""
    written = []

    async def write():
        async with table.session() as own:
            for _ in range(300):
                written.append(await table.write(own))
                await asyncio.sleep(0.01)

    writing = asyncio.create_task(write())
    for kill in range(3):
        process = await relay_process(RELAY_SAVE_EVERY="PT2S")
        await stream.holds(20 + 60 * kill)
        process.send(signal.SIGKILL)
        await process.ended()
        await table.expire_lease()
    await relay_process()
    await writing
    ids = await stream.holds(300)
    assert ids == written


async def test_one_relay_is_active_and_the_other_takes_over(relay_process, table, stream):
    """The standby publishes nothing until the active one has died and its lease is over; then it takes over."""
    first = await relay_process()
    name = await eventually(table.holder)
    second = await relay_process()
    await table.write()
    await stream.holds(1)
    async with httpx.AsyncClient() as client:

        async def ready():
            try:
                answers = [await client.get(f"http://127.0.0.1:{p.port}/readyz") for p in (first, second)]
            except httpx.TransportError:
                return False
            return all(answer.status_code == 200 for answer in answers)

        await eventually(ready)
        metrics = (await client.get(f"http://127.0.0.1:{first.port}/metrics")).text
        assert "taskbell_relay_lease_held 1.0" in metrics
        metrics = (await client.get(f"http://127.0.0.1:{second.port}/metrics")).text
        assert "taskbell_relay_lease_held 0.0" in metrics
    assert await table.holder() == name
    first.send(signal.SIGKILL)
    await first.ended()
    await table.expire_lease()
    last = await table.write()
    assert (await stream.holds(2))[-1] == last
    assert await table.holder() != name


async def test_a_relay_that_is_asked_to_stop_gives_the_lease_back(relay_process, table, stream):
    """SIGTERM ends it cleanly, and a standby need not wait for the lease to expire."""
    first = await relay_process(RELAY_LEASE_TTL="PT1M")
    await eventually(table.holder)
    await table.write()
    await stream.holds(1)
    first.send(signal.SIGTERM)
    assert await first.ended() == 0
    assert await table.holder() is None
    await relay_process(RELAY_LEASE_TTL="PT1M")
    await eventually(table.holder)


async def test_a_paused_relay_cannot_append_when_it_resumes(relay_process, table, stream):
    """Frozen while active, replaced, resumed: order and uniqueness hold, and it becomes the standby."""
    first = await relay_process()
    name = await eventually(table.holder)
    written = [await table.write()]
    await stream.holds(1)
    first.send(signal.SIGSTOP)
    await table.expire_lease()
    await relay_process()
    written += [await table.write() for _ in range(20)]
    assert await stream.holds(21) == written

    async def taken_over():
        return await table.holder() not in {None, name}

    await eventually(taken_over)
    first.send(signal.SIGCONT)
    for _ in range(50):
        written.append(await table.write())
        await asyncio.sleep(0.01)
    assert await stream.holds(71) == written
    assert await table.holder() != name


async def test_a_deleted_stream_is_rebuilt_under_a_new_epoch(relay, table, stream):
    """What NATS lost is republished from PostgreSQL in order, and cursors of before are recognisable as such."""
    written = [await table.write() for _ in range(30)]
    async with relay(relay_stream_check="PT0.2S"):
        await stream.holds(30)
        assert await stream.epoch() == 1
        await stream.client.jetstream().delete_stream(STREAM)

        async def rebuilt():
            return await stream.epoch() == 2 and await stream.length() == 30

        await eventually(rebuilt)
        written.append(await table.write())
        assert await stream.holds(31) == written


async def test_a_stream_deleted_while_no_relay_ran_is_rebuilt(relay, table, stream):
    """The same is noticed at the start, and so is a stream that somebody else made in its place."""
    written = [await table.write() for _ in range(3)]
    async with relay():
        await stream.holds(3)
    await stream.client.jetstream().delete_stream(STREAM)
    async with relay():
        assert await stream.holds(3) == written
    assert await stream.epoch() == 2
    await stream.client.jetstream().delete_stream(STREAM)
    await stream.client.jetstream().add_stream(name=STREAM, subjects=["taskbell.events.>"])
    async with relay():
        assert await stream.holds(3) == written
    assert await stream.epoch() == 3


async def test_events_of_somebody_else_in_the_stream_do_not_stop_the_relay(relay, table, stream):
    """A foreign message moves the end of the stream; the relay finds the new end and goes on."""
    async with relay():
        first = await table.write()
        await stream.holds(1)
        await stream.client.jetstream().publish("taskbell.events.x.y", b"{}", headers={"Nats-Msg-Id": "foreign"})
        second = await table.write()
        assert await stream.holds(3) == [first, "foreign", second]


async def test_a_lost_database_session_is_opened_again(relay, table, stream, database):
    """Sessions that the server ends are replaced, and nothing is missed."""
    async with relay():
        first = await table.write()
        await stream.holds(1)
        await _end_sessions(database)
        second = await table.write()
        assert await stream.holds(2) == [first, second]


async def _end_sessions(database):
    superuser = await asyncpg.connect(database.superuser_url)
    ended = await superuser.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'taskbell-relay' AND datname = current_database()"
    )
    await superuser.close()
    assert len(ended) == 2


@pytest.fixture
def own_nats(tmp_path):
    """A NATS server of this test's own, that can be killed and started again with its data."""
    return NatsServer(tmp_path / "nats", accounts={"a": "secret"})


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
async def test_nats_away_and_back_with_its_data(relay, table, own_nats, tmp_path, end):
    """While NATS is away the relay is not ready; when it is back everything follows in order, same epoch."""
    own_nats.stop_signal = end
    log = tmp_path / "nats.log"

    async def ids():
        client = await nats.connect(own_nats.url("a"), allow_reconnect=False)
        try:
            context = client.jetstream()
            info = await context.stream_info(STREAM)
            found = [
                (await context.get_msg(STREAM, seq=sequence)).headers["Nats-Msg-Id"]
                for sequence in range(1, info.state.last_seq + 1)
            ]
        finally:
            await client.close()
        return found, info.config.metadata[METADATA_EPOCH]

    written = [await table.write()]
    async with relay(nats_url=own_nats.url("a")) as supervision:

        async def well():
            return (await examine(supervision.checks())).ok

        async def unwell():
            return not await well()

        async def all_there():
            try:
                return (await ids())[0] == written
            except nats.js.errors.NotFoundError:
                return False

        for _ in range(2):
            with own_nats.running(log):
                await eventually(well)
                await eventually(all_there)
            written.extend([await table.write() for _ in range(10)])
            await eventually(unwell)
        with own_nats.running(log):
            await eventually(all_there)
            assert (await ids())[1] == "1"


async def test_a_relay_that_cannot_reach_nats_stops(relay, own_nats, monkeypatch):
    """It does not wait for the pause before the next attempt, here an hour."""
    monkeypatch.setattr(supervision, "_FIRST_PAUSE", 3600)
    with structlog.testing.capture_logs() as logged:
        async with relay(nats_url=own_nats.url("a")):
            await eventually(lambda: any(entry["event"] == "relay_interrupted" for entry in logged))


async def test_a_crash_of_postgresql_repeats_nothing_and_loses_nothing(settings, stream, tmp_path):
    """The server dies without a shutdown while it writes: after its recovery every committed event is there once."""
    server = PostgresServer(tmp_path / "postgres", password="secret", durable=False)
    server.stop_signal = signal.SIGQUIT  # immediate: no checkpoint, sessions are cut
    log = tmp_path / "postgres.log"
    committed = []

    async def write(count):
        connection = await asyncpg.connect(server.url(roles.OWNER, "secret", "taskbell"))
        await connection.execute("SET synchronous_commit = on")  # the relay's own saves do not wait for the disk
        insert = (
            "INSERT INTO events (workspace_id, type, subject_id, audience, data)"
            " VALUES (gen_random_uuid(), 'task.created', gen_random_uuid(), '{}', '{}') RETURNING id::text"
        )
        committed.extend([await connection.fetchval(insert) for _ in range(count)])
        await connection.close()

    with server.running(log):
        await db.ensure_roles(server.url(), dict.fromkeys(roles.ROLES, "secret"))
        await db.ensure_database(server.url())
        await migrate.upgrade_async(server.url(roles.OWNER, "secret", "taskbell"))
        values = settings.model_dump() | {"database_url": server.url(roles.RELAY, "secret", "taskbell")}
        supervision = Supervision(RelaySettings(**values), holder="test", tracing=Tracing(service="test"))
        running = asyncio.create_task(supervision.run())
        await write(20)
        await stream.holds(20)
        await write(20)
    with server.running(log):
        await write(20)
        await stream.holds(60)
        supervision.stop()
        await asyncio.wait_for(running, DEADLINE)
    assert await stream.ids() == committed


@pytest.mark.parametrize("how", ["delete", "purge"])
async def test_a_stream_that_lost_messages_is_rebuilt_under_a_new_epoch(relay, table, stream, how):
    """A hole and a beginning that is gone too early are seen while the relay runs, busy or not."""
    written = [await table.write() for _ in range(5)]
    async with relay(relay_stream_check="PT0.2S"):
        await stream.holds(5)
        written.append(await table.write())  # the look at the stream, at the start, may have been before the others
        await stream.holds(6)
        context = stream.client.jetstream()
        await (context.delete_msg(STREAM, 3) if how == "delete" else context.purge_stream(STREAM))
        assert await stream.holds(6, epoch=2) == written


async def test_no_sequence_is_used_twice_in_an_epoch_after_a_loss_of_power(
    relay, table, own_nats, tmp_path, monkeypatch
):
    """Relay and NATS end suddenly; NATS lost its newest messages, the database the newest position.

    Readers saw messages 5 to 8. If the relay gave these sequences to other events, they would never see those.
    """
    log, url = tmp_path / "nats.log", own_nats.url("a")
    boots = iter(["first", "first", "second", "third"])
    monkeypatch.setattr(embedded_nats, "boot_id", lambda: next(boots))

    async def holds(count, *, epoch):
        client = await nats.connect(url)
        context = client.jetstream()

        async def enough():
            try:
                info = await context.stream_info(STREAM)
            except nats.js.errors.NotFoundError:
                return False
            return info.state.messages >= count and info.config.metadata[METADATA_EPOCH] == str(epoch)

        await eventually(enough)
        await client.close()

    await table.write_many(3)
    with own_nats.running(log):
        async with relay(nats_url=url):
            await holds(3, epoch=1)
    await table.write_many(1)
    store, before = own_nats.data_dir / "store", tmp_path / "before"
    with monkeypatch.context() as patch:
        patch.setattr(Relay, "_end", lambda _: asyncio.sleep(0))
        patch.setattr(Relay, "_save_when_due", lambda _, **__: asyncio.sleep(0))
        with own_nats.running(log):
            async with relay(nats_url=url):
                await holds(4, epoch=1)
                await asyncio.to_thread(shutil.copytree, store, before)
                await table.write_many(4)
                await holds(8, epoch=1)
    assert await table.connection.fetchval("SELECT stream_sequence FROM relay_state") == 3
    await asyncio.to_thread(shutil.rmtree, store)
    await asyncio.to_thread(shutil.move, before, store)
    await table.write_many(2)
    for _ in range(2):  # the second time everything ended as it should: no new epoch
        with own_nats.running(log):
            async with relay(nats_url=url):
                await holds(10, epoch=2)
