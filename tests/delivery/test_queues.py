"""What the ledger finds when one receiver has a large backlog."""

import json
from datetime import timedelta

import asyncpg
import pytest

from taskbell.delivery.lookout import Lookout
from taskbell.delivery.repository import open_ledger
from taskbell.kit.ids import new_id
from taskbell.kit.postgres.statements import load

_FILL = """
INSERT INTO deliveries (event_id, channel, endpoint_id, workspace_id, event_type, payload, give_up_at, due_at)
SELECT taskbell.new_id(), $1, $2, $3, 'task.created', '{}', now() + interval '1 day', now() - $4 * interval '1 second'
FROM generate_series(1, $5)
"""
_LEASE = timedelta(minutes=1)


async def test_a_full_queue_neither_hides_nor_slows_others(platform, database):
    """Among 3,000 older rows of one webhook, a webhook and an e-mail are found and taken."""
    fill = platform.connection.execute
    hog, mine, mail, later, user = (new_id() for _ in range(5))
    await fill(_FILL, "webhook", hog, new_id(), 3600, 3_000)
    await fill(_FILL, "webhook", mine, new_id(), 1, 2)
    await fill(_FILL, "email", user, mail, 1, 1)
    await fill(_FILL, "webhook", later, new_id(), -3600, 5)
    async with open_ledger(database.delivery_url, pool_size=1, emails_per_hour=20, channels=()) as ledger:
        queues, more = await Lookout(ledger).look()
        assert ({queue.id for queue in queues}, more) == ({hog, mine, mail}, False)
        of_hog, of_mine, of_later = (("webhook", webhook) for webhook in (hog, mine, later))
        claims = await ledger.claim({of_hog: 3, of_mine: 8, ("email", mail): 8, of_later: 8}, lease=_LEASE)
        assert sorted(claim.queue_key for claim in claims) == sorted([of_hog] * 3 + [of_mine] * 2 + [("email", mail)])
        assert await ledger.claim({of_mine: 8}, lease=_LEASE) == []


_FILL_DEFERRED = """
INSERT INTO deliveries (event_id, channel, endpoint_id, workspace_id, event_type, payload, give_up_at, due_at, deferred)
SELECT taskbell.new_id(), 'fcm', lpad(to_hex(n % $2), 32, '0')::uuid, $1, 'notification.created', '{}',
  now() + interval '1 day', now() - interval '1 second', true
FROM generate_series(1, $3::int) n
"""


def _nodes(plan):
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


async def _rows_read(database, queue, *, places):
    """How many rows of the ledger the claim of a queue reads, whether it uses them or not."""
    statement = load("taskbell.delivery", "claim_due")
    arguments = statement.arguments(
        {"channels": [queue[0]], "queues": [queue[1]], "places": [places], "lease": timedelta(minutes=1)}
    )
    connection = await asyncpg.connect(database.delivery_url)
    try:
        text = await connection.fetchval(
            f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) {statement.text}", *arguments, timeout=60
        )
    finally:
        await connection.close()
    return sum(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        for node in _nodes(json.loads(text)[0]["Plan"])
        if node.get("Relation Name", "").startswith("deliveries") and "Scan" in node["Node Type"]
    )


@pytest.mark.feature("P15")
async def test_the_claim_of_a_queue_reads_only_that_queue(platform, database):
    """Among 300,000 due rows of another workspace the claim of a queue reads what it takes."""
    hog, mine = new_id(), new_id()
    await platform.connection.execute(_FILL, "fcm", new_id(), hog, 3600, 300_000)
    await platform.connection.execute(_FILL, "fcm", new_id(), mine, 1, 20)
    await platform.connection.execute("ANALYZE deliveries")
    assert await _rows_read(database, ("fcm", mine), places=10) <= 60


@pytest.mark.feature("P15")
async def test_what_becomes_one_is_read_for_one_endpoint(platform, database):
    """100,000 alerts waited for 1,000 devices of a workspace: to take those of one device reads about these hundred."""
    workspace = new_id()
    await platform.connection.execute(_FILL_DEFERRED, workspace, 1_000, 100_000)
    await platform.connection.execute("ANALYZE deliveries")
    assert await _rows_read(database, ("fcm", workspace), places=1) <= 500
