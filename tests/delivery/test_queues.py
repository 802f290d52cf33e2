"""What the ledger finds when one receiver has a large backlog."""

from datetime import timedelta

from taskbell.delivery.lookout import Lookout
from taskbell.delivery.repository import open_ledger
from taskbell.kit.ids import new_id

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
