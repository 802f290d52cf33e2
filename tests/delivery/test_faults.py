"""Sudden ends and outages: at least once outwards, nothing lost, nothing twice without need."""

import signal

import asyncpg
import httpx
import pytest

from taskbell.delivery.repository import Ledger, LedgerUnavailable
from taskbell.testing.waiting import eventually

pytestmark = pytest.mark.feature("P19")


async def test_a_worker_killed_between_send_and_record_loses_nothing(platform, receiver, worker_process, database):
    """The receiver said yes, the ledger does not know: the next worker sends once more under the same id."""
    _, workspace = await platform.person()
    _, secret = await platform.webhook(workspace, receiver.url)
    brief = {"DELIVERY_LEASE": "PT2S", "WEBHOOK_TIMEOUT": "PT1.9S", "SMTP_TIMEOUT": "PT1.9S", "PUSH_TIMEOUT": "PT1.9S"}
    first = await worker_process(**brief)
    lock = await asyncpg.connect(database.superuser_url)
    # The event is taken before anything is locked; then its row is held so that its outcome cannot be written.
    receiver.gate.clear()
    event_id = await platform.event(workspace)
    await eventually(lambda: receiver.of(event_id))
    transaction = lock.transaction()
    await transaction.start()
    await lock.execute("SELECT 1 FROM deliveries FOR UPDATE")
    receiver.gate.set()
    await eventually(lambda: receiver.accepted() == {event_id})
    first.process.send_signal(signal.SIGKILL)
    await first.ended()
    # A statement that waits for a lock would be carried out although its sender is dead.
    await platform.connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = $1",
        "taskbell_delivery",
    )

    async def cut():
        return not await platform.connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = $1",
            "taskbell_delivery",
        )

    await eventually(cut)
    await transaction.rollback()
    await lock.close()
    assert await platform.states() == ["pending"]
    await worker_process()

    async def delivered():
        return await platform.states() == ["delivered"]

    await eventually(delivered)
    requests = receiver.of(event_id)
    assert len(requests) == 2
    assert all(request.verify(secret) for request in requests)
    assert requests[0].body == requests[1].body


async def test_kills_at_random_moments_lose_nothing(platform, receiver, worker_process):
    """Workers are killed in the middle of it, three times: every event reaches the receiver."""
    _, workspace = await platform.person()
    await platform.webhook(workspace, receiver.url)
    receiver.delay = 0.02
    events = {await platform.event(workspace) for _ in range(150)}
    for share in (20, 60, 100):
        victim = await worker_process(
            DELIVERY_LEASE="PT1S", WEBHOOK_TIMEOUT="PT0.9S", SMTP_TIMEOUT="PT0.9S", PUSH_TIMEOUT="PT0.9S"
        )
        await eventually(lambda share=share: len(receiver.accepted()) >= share)
        victim.process.send_signal(signal.SIGKILL)
        await victim.ended()
    await worker_process(DELIVERY_LEASE="PT1S", WEBHOOK_TIMEOUT="PT0.9S", SMTP_TIMEOUT="PT0.9S", PUSH_TIMEOUT="PT0.9S")
    await eventually(lambda: receiver.accepted() == events)

    async def all_delivered():
        return await platform.states() == ["delivered"] * len(events)

    await eventually(all_delivered)


async def test_two_workers_share(platform, receiver, run_worker, monkeypatch):
    """Two workers take what is due between them: every event is sent once, and both have sent some."""
    _, workspace = await platform.person()
    await platform.webhook(workspace, receiver.url)
    receiver.delay = 0.01
    takers = {}
    claim = Ledger.claim

    async def counted(ledger, granted, **options):
        found = await claim(ledger, granted, **options)
        takers[id(ledger)] = takers.get(id(ledger), 0) + len(found)
        return found

    monkeypatch.setattr(Ledger, "claim", counted)
    async with run_worker(), run_worker():
        events = {await platform.event(workspace) for _ in range(200)}
        await eventually(lambda: receiver.accepted() == events)
    assert len(receiver.requests) == len(events)
    assert min(takers.values()) > 0
    assert sum(takers.values()) == len(events)


async def test_an_outage_of_the_database_loses_nothing(platform, receiver, run_worker, database, servers, monkeypatch):
    """Sessions cut and none let in for a while: events wait in the stream, uncounted, and go on after it."""
    _, workspace = await platform.person()
    await platform.webhook(workspace, receiver.url)
    failures = []
    look = Ledger.oldest_due

    async def counted(ledger, **options):
        try:
            return await look(ledger, **options)
        except LedgerUnavailable as away:
            failures.append(away)
            raise

    monkeypatch.setattr(Ledger, "oldest_due", counted)
    superuser = await asyncpg.connect(servers.postgres_url())
    try:
        async with run_worker(delivery_max_deliver=2):
            before = await platform.event(workspace)
            await eventually(lambda: receiver.accepted() == {before})
            await superuser.execute(f'ALTER DATABASE "{database.name}" ALLOW_CONNECTIONS false')
            await superuser.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND usename = $2",
                database.name,
                "taskbell_delivery",
            )
            during = await _published(platform, workspace)
            await eventually(lambda: len(failures) >= 3, "several attempts of the worker")
            assert receiver.accepted() == {before}
            await superuser.execute(f'ALTER DATABASE "{database.name}" ALLOW_CONNECTIONS true')
            # A message whose worker was cut off in the middle comes again after the consumer's wait of 30 s.
            await eventually(lambda: receiver.accepted() == {before, *during}, within=90)
    finally:
        await superuser.execute(f'ALTER DATABASE "{database.name}" ALLOW_CONNECTIONS true')
        await superuser.close()


async def _published(platform, workspace):
    return [await platform.event(workspace) for _ in range(5)]


async def test_sigterm_gives_back_what_is_under_way(platform, receiver, worker_process, hang):
    """Asked to stop while a receiver hangs, a worker ends with status 0; the delivery is due at once."""
    _, workspace = await platform.person()
    await platform.webhook(workspace, receiver.url)
    receiver.script = [hang]
    worker = await worker_process(WEBHOOK_TIMEOUT="PT30S", DELIVERY_LEASE="PT60S", DELIVERY_DRAIN_TIMEOUT="PT0.2S")
    event_id = await platform.event(workspace)
    await eventually(lambda: receiver.of(event_id))
    async with httpx.AsyncClient() as client:
        base = f"http://127.0.0.1:{worker.port}"
        ready = await client.get(f"{base}/readyz")
        assert (ready.status_code, ready.json()["ok"]) == (200, True)
        assert (await client.get(f"{base}/livez")).text == "ok"
        assert "taskbell_delivery_in_flight 1.0" in (await client.get(f"{base}/metrics")).text
        assert (await client.get(f"{base}/else")).status_code == 404
    worker.process.send_signal(signal.SIGTERM)
    assert await worker.ended() == 0
    (row,) = await platform.deliveries()
    assert (row["state"], row["attempts"]) == ("pending", 0)
    await worker_process()
    await eventually(lambda: receiver.accepted() == {event_id})
