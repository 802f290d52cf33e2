"""Many workers claim from one queue at the same time."""

import asyncio
from datetime import timedelta

from taskbell.delivery.repository import open_ledger
from taskbell.kit.ids import new_id
from taskbell.local import db

_FILL = """
INSERT INTO deliveries (event_id, channel, endpoint_id, workspace_id, event_type, payload, give_up_at, due_at)
SELECT taskbell.new_id(), 'fcm', $1, $2, 'task.created', '{}', now() + interval '1 day', now() - interval '1 second'
FROM generate_series(1, $3)
"""


async def test_claims_at_the_same_time_neither_fail_nor_take_a_row_twice(platform, database):
    """Eight workers claim rows of one queue and give them back: PostgreSQL goes on, and no row is in two hands."""
    workspace = new_id()
    await platform.connection.execute(_FILL, new_id(), workspace, 400)
    held = set()
    taken = 0

    async def work(ledger):
        nonlocal taken
        for _ in range(60):
            claims = await ledger.claim({("fcm", workspace): 8}, lease=timedelta(minutes=1))
            ids = {claim.id for claim in claims}
            assert not ids & held
            held.update(ids)
            taken += len(ids)
            await asyncio.sleep(0)
            held.difference_update(ids)
            for claim in claims:
                await ledger.give_back(claim)

    async with open_ledger(database.delivery_url, pool_size=8, emails_per_hour=20, channels={"fcm"}) as ledger:
        await asyncio.gather(*(work(ledger) for _ in range(8)))
    assert taken > 400


async def test_a_claim_prunes_no_partitions_while_it_runs(database):
    """PostgreSQL 18.4 may crash in a statement that does, and that checks a row again which was changed meanwhile."""
    async with db.connected(database.delivery_url) as connection:
        assert await connection.fetchval("SHOW enable_partition_pruning") == "off"
