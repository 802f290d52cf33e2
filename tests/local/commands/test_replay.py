"""`taskbell replay`, from its words to the new stream."""

import asyncio
import contextlib
import json
import os
import sys
import uuid
from datetime import UTC, datetime, timedelta

import asyncpg
import nats
import pytest
from typer import Typer
from typer.testing import CliRunner

from taskbell.contract.subjects import METADATA_EPOCH, STREAM
from taskbell.kit.ids import lowest_id
from taskbell.local.commands.replay import describe, instant_of, parse_instant, replay
from taskbell.relay.repository import ReplayProgress
from taskbell.testing.waiting import eventually

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def app():
    """The command alone."""
    application = Typer()
    application.command()(replay)
    return application


@contextlib.asynccontextmanager
async def relay_at_work(database, nats_url):
    """A relay in its own process."""
    environment = {
        **os.environ,
        "TASKBELL_DATABASE_URL": database.relay_url,
        "TASKBELL_NATS_URL": nats_url,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "taskbell.relay", "--host", "127.0.0.1", "--port", "0"), env=environment
    )
    try:
        yield
    finally:
        process.terminate()
        assert await process.wait() == 0


async def stream_ids(nats_url):
    """Epoch and event ids of the stream."""
    client = await nats.connect(nats_url)
    context = client.jetstream()
    info = await context.stream_info(STREAM)
    sequences = range(info.state.first_seq, info.state.last_seq + 1)
    ids = [(await context.get_msg(STREAM, seq=sequence)).headers["Nats-Msg-Id"] for sequence in sequences]
    await client.close()
    return int(info.config.metadata[METADATA_EPOCH]), ids


async def test_a_replay_publishes_everything_since_an_instant_under_a_new_epoch(database, nats_url, monkeypatch):
    """Older events stay out, younger ones come in order, and the report says how many."""
    connection = await asyncpg.connect(database.owner_url)
    now = datetime.now(UTC)
    made = [uuid.UUID(int=lowest_id(now - timedelta(hours=hours)).int + 1) for hours in (5, 4, 3, 2, 1)]
    await connection.executemany(
        "INSERT INTO events (id, workspace_id, type, subject_id, audience, data)"
        " VALUES ($1, $1, 'task.created', $1, '{}', '{}')",
        [(identity,) for identity in made],
    )
    monkeypatch.setenv("TASKBELL_DATABASE_URL", database.relay_url)
    async with relay_at_work(database, nats_url):
        position = "SELECT stream_sequence FROM relay_state"
        await eventually(lambda: connection.fetchval(position), "the relay", wanted=lambda found: found >= len(made))
        await connection.close()
        since = (now - timedelta(hours=3, minutes=30)).isoformat()
        done = await asyncio.to_thread(CliRunner().invoke, app(), ["--from", since, "--json"])
        assert done.exit_code == 0, done.output
        report = json.loads(done.stdout)
        epoch, ids = await stream_ids(nats_url)
    assert ids == [str(identity) for identity in made[2:]]
    assert (report["epoch"], report["published"]) == (epoch, 3)
    assert epoch == 2


async def test_a_replay_can_be_left_to_itself(database, monkeypatch):
    """Without waiting, the wish is noted and the command ends though no relay is there."""
    monkeypatch.setenv("TASKBELL_DATABASE_URL", database.owner_url)
    done = await asyncio.to_thread(CliRunner().invoke, app(), ["--from", "PT1H", "--no-wait"])
    assert done.exit_code == 0, done.output
    connection = await asyncpg.connect(database.owner_url)
    assert await connection.fetchval("SELECT replay_from FROM relay_state") is not None
    await connection.close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-20T08:00:00Z", datetime(2026, 11, 20, 8, tzinfo=UTC)),
        ("2026-11-20T08:00:00+02:00", datetime(2026, 11, 20, 6, tzinfo=UTC)),
        ("P1D", NOW - timedelta(days=1)),
        ("PT10M", NOW - timedelta(minutes=10)),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_instants_and_durations_are_understood(text, expected):
    """Both forms of --from."""
    assert parse_instant(text, now=NOW) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-20T08:00:00", "2027-01-01T00:00:00Z", "P", "P9999999999D"])
def test_other_texts_are_refused(text, monkeypatch):
    """In one line, before anything is touched."""
    with pytest.raises(ValueError, match="--from"):
        parse_instant(text, now=NOW)
    done = CliRunner().invoke(app(), ["--from", text])
    assert done.exit_code == 1
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("text", ["1969-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "P100Y", "P2000000D"])
def test_a_time_before_all_events_is_refused_with_the_first_that_is_not(text):
    """Nobody is left to guess how to replay everything."""
    with pytest.raises(ValueError, match=r"before 1970.*1970-01-01T00:00:00Z"):
        parse_instant(text, now=NOW)


@pytest.mark.parametrize("text", ["2026-01-01", "2026-01-01T08", "20260101T0800", "2026-W01-1"])
def test_the_advice_for_a_missing_offset_is_accepted(text):
    """What the refusal suggests is the same instant in UTC."""
    with pytest.raises(ValueError, match="offset") as refused:
        parse_instant(text, now=NOW)
    advised = parse_instant(str(refused.value).rsplit(" ", 1)[1], now=NOW)
    assert advised == datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_progress_is_told_in_one_line():
    """Waiting with and without a relay, begun, and half-way."""
    waiting = ReplayProgress(epoch=1, published=0, waiting=True, carrying=False, last_id=None, relay_active=True)
    half = ReplayProgress(epoch=2, published=7, waiting=False, carrying=True, last_id=lowest_id(NOW), relay_active=True)
    span = {"since": NOW - timedelta(hours=1), "until": NOW + timedelta(hours=1)}
    assert describe(waiting, **span) == "waiting for the relay to begin"
    assert describe(half, **span) == "epoch 2: 7 events, 50% of the time span"
    assert instant_of(lowest_id(NOW)) == NOW
