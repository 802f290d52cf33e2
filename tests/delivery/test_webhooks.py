"""Webhooks, from an event in the stream to the receiver's yes."""

from datetime import UTC, datetime, timedelta

import pytest

from taskbell.testing.waiting import eventually

pytestmark = pytest.mark.feature("M71")


async def test_each_event_arrives_until_the_receiver_says_yes(platform, receiver, run_worker, hang):
    """500, then silence, then 200: every event is tried until then, with one id and a valid signature each time."""
    receiver.script = [500, hang]
    _, workspace = await platform.person()
    webhook, secret = await platform.webhook(workspace, receiver.url)
    async with run_worker(webhook_timeout="PT1S"):
        events = [await platform.event(workspace) for _ in range(5)]
        await eventually(lambda: receiver.accepted() == set(events))
        await eventually(lambda: _all_delivered(platform, 5))
    for event_id in events:
        requests = receiver.of(event_id)
        assert [request.status for request in requests] == [500, hang, 200]
        assert {request.id for request in requests} == {event_id}
        assert all(request.verify(secret) for request in requests)
        assert all(request.event["id"] == event_id for request in requests)
        assert len({request.body for request in requests}) == 1
    rows = await platform.deliveries()
    assert [(row["endpoint_id"], row["attempts"], row["response_status"]) for row in rows] == [(webhook, 3, 200)] * 5


async def _all_delivered(platform, count):
    return await platform.states() == ["delivered"] * count


async def test_a_webhook_gets_the_types_it_wants_of_its_workspace(platform, receiver, run_worker):
    """Not other workspaces' events, unwanted types or personal events; and nothing while it is switched off."""
    user, workspace = await platform.person()
    _, other = await platform.person()
    await platform.webhook(workspace, receiver.url, event_types=["task.created"])
    await platform.webhook(workspace, receiver.url + "/off", enabled=False)
    await platform.webhook(other, receiver.url + "/all")
    async with run_worker():
        await platform.event(workspace, event_type="task.deleted")
        await platform.event(other, event_type="notification.created", audience=[user], data={"kind": "assigned"})
        await platform.event(other, event_type="notification.read", audience=[user])
        wanted = await platform.event(workspace)
        theirs = await platform.event(other, event_type="member.added")
        await eventually(lambda: receiver.accepted() == {wanted, theirs})
        await eventually(lambda: _all_delivered(platform, 2))
    assert {request.path for request in receiver.requests} == {"/hook", "/hook/all"}


async def test_an_event_is_stored_once_for_all_webhooks(platform, receiver, run_worker):
    """However many webhooks want a large event, the ledger holds no copy; each gets the bytes of the stream."""
    _, workspace = await platform.person()
    secrets = [(await platform.webhook(workspace, receiver.url))[1] for _ in range(5)]
    async with run_worker():
        event_id, document = await platform.kept_event(workspace, data={"description": "x" * 80_000})
        await eventually(lambda: _all_delivered(platform, 5))
    assert {request.body for request in receiver.of(event_id)} == {document}
    assert all(any(request.verify(secret) for request in receiver.requests) for secret in secrets)
    size = await platform.connection.fetchval("SELECT sum(pg_column_size(d.*)) FROM deliveries d")
    assert size < 5 * 500


async def test_a_message_cannot_refer_to_the_event_of_another_workspace(platform, receiver, run_worker):
    """Whoever forges a message with the id of a foreign event delivers their own words, not that event's."""
    _, theirs = await platform.person()
    _, workspace = await platform.person()
    await platform.webhook(workspace, receiver.url)
    foreign, document = await platform.kept_event(theirs, data={"title": "secret"})
    forged = document.replace(str(theirs).encode(), str(workspace).encode()).replace(b"secret", b"forged")
    async with run_worker():
        await platform.raw(workspace, "task.created", forged)
        await eventually(lambda: receiver.accepted() == {foreign})
    assert b"secret" not in receiver.requests[0].body


async def test_an_event_that_is_not_kept_any_more_ends_its_deliveries(platform, receiver, run_worker):
    """Without its document nothing can be sent; the log says why."""
    _, workspace = await platform.person()
    await platform.webhook(workspace, receiver.url)
    receiver.script = [500]
    async with run_worker(delivery_retry_first="PT1S", delivery_retry_longest="PT1S"):
        event_id, _ = await platform.kept_event(workspace)
        await eventually(lambda: receiver.of(event_id))
        await platform.connection.execute("DELETE FROM events")

        async def dead():
            return await platform.states() == ["dead"]

        await eventually(dead)
    assert (await platform.deliveries())[0]["error"] == "the event is not kept any more"


async def test_events_before_a_webhooks_time_are_not_for_it(platform, receiver, run_worker):
    """A replayed stream holds old events; a webhook made since gets none of them."""
    _, workspace = await platform.person()
    await platform.webhook(workspace, receiver.url)
    async with run_worker():
        await platform.event(workspace, at=datetime.now(UTC) - timedelta(hours=1))
        wanted = await platform.event(workspace)
        await eventually(lambda: receiver.accepted() == {wanted})
    assert len(await platform.deliveries()) == 1
