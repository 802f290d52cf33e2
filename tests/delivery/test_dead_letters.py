"""What cannot be processed or delivered is kept, shown and redriven."""

import asyncio
import json
import os
import subprocess
import sys

import pytest
from nats.js.errors import NotFoundError

from taskbell.contract.subjects import DEAD_LETTER_STREAM, DELIVERY_CONSUMER, STREAM
from taskbell.testing.waiting import eventually

pytestmark = pytest.mark.feature("P19")

_POISON = "ALTER TABLE deliveries ADD CONSTRAINT poison CHECK (event_type <> 'task.moved') NOT VALID"


async def _letters(stream):
    """How many messages lie in the stream of dead letters."""
    try:
        return (await stream.jetstream.stream_info(DEAD_LETTER_STREAM)).state.messages
    except NotFoundError:
        return 0


@pytest.fixture
def taskbell(database, nats_url):
    """Runs `taskbell deadletters` and returns what it prints as JSON."""

    async def run(*arguments, status=0):
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "taskbell.local", "deadletters", *arguments],
            env={**os.environ, "TASKBELL_DATABASE_URL": database.owner_url, "TASKBELL_NATS_URL": nats_url},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == status, done.stderr
        return json.loads(done.stdout) if status == 0 else done.stderr

    return run


async def test_an_event_that_always_fails_becomes_a_dead_letter_and_is_redriven(
    platform, receiver, run_worker, stream, taskbell
):
    """An event that the ledger refuses delays no other; once the cause is repaired, it is processed."""
    _, workspace = await platform.person()
    await platform.webhook(workspace, receiver.url)
    await platform.connection.execute(_POISON)
    async with run_worker(delivery_max_deliver=2):
        poison = await platform.event(workspace, event_type="task.moved")
        fine = await platform.event(workspace)
        await eventually(lambda: receiver.accepted() == {fine})

        await eventually(lambda: _letters(stream))
        (line,) = await taskbell("list", "--json")
        assert line["attempts"] == 2
        assert "poison" in line["reason"]
        assert line["what"].endswith("task.moved")
        shown = await taskbell("show", line["id"])
        assert json.loads(shown["payload"])["id"] == poison
        await platform.connection.execute("ALTER TABLE deliveries DROP CONSTRAINT poison")
        assert (await taskbell("redrive", line["id"], "--json"))["events"] == 1
        await eventually(lambda: receiver.accepted() == {fine, poison})
        info = await stream.jetstream.consumer_info(STREAM, DELIVERY_CONSUMER)
        assert (info.num_pending, info.num_ack_pending) == (0, 0)


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b"\xff\xfe", b'{"type": "task.created", "id": "x"}'])
async def test_whatever_is_no_event_becomes_a_dead_letter(platform, run_worker, stream, body):
    """Malformed messages do not end the worker; they are kept with their reason."""
    _, workspace = await platform.person()
    async with run_worker(delivery_max_deliver=1):
        await platform.raw(workspace, "task.created", body)

        await eventually(lambda: _letters(stream))
    letter = await stream.jetstream.get_msg(DEAD_LETTER_STREAM, seq=1)
    assert (letter.data or b"") == body
    assert letter.headers["Taskbell-Reason"]


async def test_the_server_keeps_what_nobody_lived_to_answer(platform, run_worker, stream, taskbell):
    """A message whose workers died every time: the server's own advisory becomes the dead letter, and redrives it."""
    _, workspace = await platform.person()
    async with run_worker(delivery_max_deliver=1):
        await platform.event(workspace)

        async def worked():
            try:
                info = await stream.jetstream.consumer_info(STREAM, DELIVERY_CONSUMER)
            except NotFoundError:
                return False
            return (info.num_pending, info.num_ack_pending) == (0, 0)

        await eventually(worked)
    # A worker that takes the only delivery there is and never answers; then the time to answer is over.
    config = (await stream.jetstream.consumer_info(STREAM, DELIVERY_CONSUMER)).config
    await stream.jetstream.add_consumer(STREAM, config.evolve(ack_wait=0.3))
    subscription = await stream.jetstream.pull_subscribe_bind(DELIVERY_CONSUMER, STREAM)
    lost = await platform.event(workspace)
    await subscription.fetch(1, timeout=5)

    async def advised():
        found = await _letters(stream)
        if not found:
            await stream.client.request(
                f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{DELIVERY_CONSUMER}", b'{"batch":1,"no_wait":true}', timeout=1
            )
        return found

    await eventually(advised)
    (line,) = await taskbell("list", "--json")
    assert "never answered" in line["reason"]
    assert json.loads((await taskbell("show", line["id"]))["payload"])["id"] == lost
    assert (await taskbell("redrive", "--all", "--json"))["events"] == 1


async def test_dead_deliveries_are_listed_and_redriven(platform, receiver, run_worker, taskbell):
    """What receivers refused for too long lies in the ledger; redriven, it arrives under the same id."""
    receiver.script = [500] * 50
    _, workspace = await platform.person()
    await platform.webhook(workspace, receiver.url)
    async with run_worker(delivery_retry_for="PT0.2S"):
        event_id, document = await platform.kept_event(workspace)

        async def dead():
            return await platform.states() == ["dead"]

        await eventually(dead)
        (line,) = await taskbell("list", "--json")
        assert line["reason"] == "answered 500"
        shown = await taskbell("show", line["id"])
        assert (shown["event_id"], shown["payload"]) == (event_id, document.decode())
        receiver.script = []
        assert (await taskbell("redrive", "--all", "--json"))["deliveries"] == 1
        await eventually(lambda: receiver.accepted() == {event_id})
    assert "no dead letter" in await taskbell("show", "event-999", status=1)
