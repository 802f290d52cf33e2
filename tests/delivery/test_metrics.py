"""What a worker measures, by channel."""

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from taskbell.delivery.alerts import CHANNELS
from taskbell.delivery.repository import open_ledger
from taskbell.kit.ids import new_id

pytestmark = pytest.mark.feature("K14", "M47")

_WAITING = """
INSERT INTO deliveries (event_id, channel, endpoint_id, workspace_id, event_type, payload, give_up_at, due_at, state)
SELECT taskbell.new_id(), $1, $2, $2, 'task.created', '{}', now() + interval '1 day', now() - $3 * interval '1 second',
  $4 FROM generate_series(1, $5)
"""


async def test_what_is_due_is_told_by_channel(platform, database):
    """Each channel has its count and the age of its oldest; what is not due, or has ended, is not counted."""
    fill = platform.connection.execute
    await fill(_WAITING, "fcm", new_id(), 3600, "pending", 2)
    await fill(_WAITING, "fcm", new_id(), 60, "retrying", 1)
    await fill(_WAITING, "email", new_id(), 10, "pending", 1)
    await fill(_WAITING, "apns", new_id(), -3600, "pending", 1)
    await fill(_WAITING, "slack", new_id(), 3600, "withdrawn", 1)
    async with open_ledger(database.delivery_url, pool_size=1, emails_per_hour=20, channels=CHANNELS) as ledger:
        found = await ledger.backlog()
    assert {channel: count for channel, (count, _) in found.items()} == {"fcm": 3, "email": 1}
    assert 3600 <= found["fcm"][1] < 3700
    assert 10 <= found["email"][1] < 110


def test_every_series_exists_from_the_start():
    """A channel has its series before its first fault: a rate of one that begins with a fault misses it."""
    families = {family.name: family for family in text_string_to_metric_families(generate_latest().decode())}
    for name in ("due", "oldest_due_seconds", "attempts", "given_up"):
        samples = families[f"taskbell_delivery_{name}"].samples
        assert {sample.labels["channel"] for sample in samples} == set(CHANNELS), name
    for name in ("deferred", "spared", "channel_paused_ratio"):
        samples = families[f"taskbell_delivery_{name}"].samples
        assert {sample.labels["channel"] for sample in samples} == set(CHANNELS) - {"webhook"}, name
    reasons = {sample.labels["reason"] for sample in families["taskbell_delivery_given_up"].samples}
    assert reasons == {"refused", "expired", "gone", "unsendable"}
