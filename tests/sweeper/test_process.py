"""The sweeps as processes: their output, exit statuses and ends; killed at random they lose and double nothing."""

import json
import os
import random
import signal
import sys
from datetime import timedelta
from urllib.parse import urlsplit

import psutil
import pytest

from taskbell.sweeper.command import main
from taskbell.testing.waiting import eventually

REMINDERS = int(os.environ.get("REMINDERS_UNDER_KILLS", "4000"))
"""How many fall due at once in the test of kills; 100,000 in the acceptance."""


def _sockets_of(process):
    """The TCP connections of a process."""
    return psutil.Process(process.pid).net_connections("tcp")


async def _ended(process):
    """Wait for the end of a process; its status, standard output and standard error."""
    output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


async def test_a_sweep_prints_its_summary(database, plan, spawn):
    """One JSON object on standard output, status 0."""
    await plan(3)
    status, output, _ = await _ended(await spawn(database.sweeper_url, "--kind", "due", "--json"))
    report = json.loads(output)
    assert status == 0
    assert (report["kind"], report["fired"], report["told"]) == ("due", 3, 3)
    status, output, _ = await _ended(await spawn(database.sweeper_url))
    assert status == 0
    assert "fired: 0" in output


@pytest.mark.parametrize(
    "arguments", [["--shard", "2/2"], ["--until", "60"], ["--kind", "fresh"], ["--shard", "x"], ["--until", "+1d"]]
)
def test_wrong_arguments_are_refused(monkeypatch, capsys, arguments):
    """Status 2, and a line that says how it is written."""
    monkeypatch.setattr(sys, "argv", ["taskbell-sweeper", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert arguments[0] in capsys.readouterr().err


async def test_without_a_database_it_says_so(database, spawn, free_port):
    """Status 1 and one line when PostgreSQL is away; 2 when a setting is wrong."""
    url = f"postgresql://taskbell_sweeper:x@127.0.0.1:{free_port}/taskbell"
    for kind in ("due", "maintenance"):
        status, _, errors = await _ended(await spawn(url, "--kind", kind))
        assert (status, errors.count("\n")) == (1, 1), errors
    status, _, errors = await _ended(await spawn(url, TASKBELL_REMINDER_BATCH_SIZE="0"))
    assert status == 2
    assert "TASKBELL_REMINDER_BATCH_SIZE" in errors


async def test_without_nats_it_fires_all_the_same(database, plan, spawn, free_port):
    """NATS only wakes the relay: where it is away, or its name unknown, a sweep does its work and ends in time."""
    for host in (f"127.0.0.1:{free_port}", "nowhere.invalid:4222"):
        await plan(3)
        process = await spawn(database.sweeper_url, "--json", TASKBELL_NATS_URL=f"nats://{host}")
        status, output, _ = await _ended(process)
        assert (status, json.loads(output)["fired"]) == (0, 3)


async def test_it_ends_when_asked(database, plan, spawn, left):
    """SIGTERM ends a sweep that stays, with its summary and status 0."""
    await plan()
    process = await spawn(database.sweeper_url, "--until", "+1h", "--json")
    await left(0)
    process.send_signal(signal.SIGTERM)
    status, output, _ = await _ended(process)
    assert (status, json.loads(output)["fired"]) == (0, 1)


@pytest.mark.feature("H10", "H14", "H15", "H16", "P19")
@pytest.mark.timeout(600)
async def test_killed_sweeps_lose_and_double_nothing(database, plan, spawn, owner, fired, left):
    """Four sweeps at once, two killed at random moments while they fire: each reminder fires once, none is lost."""
    chance = random.Random()
    small = {"TASKBELL_REMINDER_BATCH_SIZE": str(max(50, REMINDERS // 200))}
    sweeps = [await spawn(database.sweeper_url, "--until", "+1h", "--json", **small) for _ in range(4)]

    port = urlsplit(database.sweeper_url).port

    def all_are_connected():  # by their sockets: behind a pooler PostgreSQL sees fewer sessions
        return all(any(each.raddr and each.raddr.port == port for each in _sockets_of(sweep)) for sweep in sweeps)

    await eventually(all_are_connected)
    tasks = await plan(REMINDERS, fires_in=timedelta(seconds=2))  # all of them look ahead, and begin at once
    for number, victim in enumerate(sweeps[:2], 1):
        await left(REMINDERS - int(REMINDERS * chance.uniform(0.1, 0.4) * number))
        victim.kill()
        await _ended(victim)
        assert victim.returncode == -signal.SIGKILL
    assert await owner.fetchval("SELECT count(*) FROM reminders") > 0, "the kills came while there was work"
    await left(0)
    for survivor in sweeps[2:]:
        survivor.send_signal(signal.SIGTERM)
    reports = [json.loads((await _ended(survivor))[1]) for survivor in sweeps[2:]]
    assert any(report["fired"] for report in reports)
    assert not any(report["repeated"] for report in reports)
    told = [task for task, _ in await fired()]
    assert len(told) == REMINDERS
    assert set(told) == set(tasks)
    assert await owner.fetchval("SELECT count(*) FROM job_log") == REMINDERS
    assert await owner.fetchval("SELECT count(*) FROM events WHERE type = 'notification.created'") == REMINDERS
