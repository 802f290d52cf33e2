"""The attack: its verdict, its command line, its receivers, and one short run of all kinds on a real platform."""

import asyncio
import json
import os
import subprocess
import sys

import httpx
import pytest

from attack.arguments import parse
from attack.honest import Hook, Waited, p95
from attack.hostile import KINDS
from attack.memory import limits
from attack.receivers import answer_at_once, hint_forever, receiving
from attack.report import Findings, Waits, table
from taskbell.capacity.conservation import Conservation

_MIB = 2**20


def _findings(**changes):
    kept = Conservation(created=5, uncertain=0, events=5, frames=5, notifications=5, lost=0, double=0, places=[])
    values = {
        "waits": [Waits(name="requests", calm_ms=50.0, attacked_ms=149.0)],
        "errors": {},
        "memory": {"api": 500 * _MIB},
        "limits": {"api": 512 * _MIB},
        "conservation": kept,
        "undelivered": 0,
        "outcomes": {"guesses": {"401": 3, "503": 2}},
        "broken": {},
    }
    return Findings(**{**values, **changes})


def test_a_platform_that_withstands_has_no_complaints():
    """Nothing is complained of while errors are zero, waits within threefold, memory within limits, nothing lost."""
    assert _findings().complaints() == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"errors": {"get: 503": 1}}, "honest users got 1 times get: 503"),
        (
            {"waits": [Waits(name="requests", calm_ms=50.0, attacked_ms=151.0)]},
            "requests: p95 50.0 ms in peace, 151.0 ms under attack",
        ),
        (
            {"waits": [Waits(name="events", calm_ms=5.0, attacked_ms=None)]},
            "events: p95 5.0 ms in peace, None ms under attack",
        ),
        ({"memory": {"api": 513 * _MIB}}, "api held 513 MiB; its limit is 512 MiB"),
        (
            {
                "conservation": Conservation(
                    created=5, uncertain=0, events=4, frames=4, notifications=5, lost=1, double=0, places=[]
                )
            },
            "1 lost, 0 double",
        ),
        ({"undelivered": 2}, "the honest webhook did not get 2 events"),
        ({"outcomes": {"bodies": {"500": 1}}}, "bodies was answered 1 times with 500"),
        ({"outcomes": {"bodies": {}}}, "the attack bodies reached nothing"),
        ({"broken": {"bodies": "KeyError('x')"}}, "the attack bodies broke: KeyError('x')"),
    ],
)
def test_each_harm_is_complained_of(change, complaint):
    """Each harm alone makes the platform fail, and is named."""
    assert _findings(**change).complaints() == [complaint]


def test_a_few_milliseconds_are_never_too_slow():
    """Three times a p95 that nobody feels is no complaint."""
    assert not Waits(name="requests", calm_ms=4.0, attacked_ms=90.0).is_too_slow


def test_the_table_names_every_figure():
    """People see each wait, each part's memory and each kind's outcomes."""
    shown = table(_findings())
    for part in ("requests", "50.0 ms", "500 of 512 MiB", "guesses", "401 x3"):
        assert part in shown


def test_a_percentile_is_of_its_phase():
    """Samples before and after do not count, and a phase without samples has no percentile."""
    samples = [(1.0, 900.0), (10.0, 5.0), (11.0, 7.0), (20.0, 900.0)]
    assert p95(samples, since=10.0, until=20.0) == 7.0
    assert p95(samples, since=12.0, until=20.0) is None


def test_limits_are_those_of_the_chart():
    """Every part has a limit of at least 64 MiB."""
    found = limits()
    assert {"api", "relay", "gateway", "delivery", "nats", "postgres"} == found.keys()
    assert min(found.values()) >= 64 * _MIB


@pytest.mark.parametrize(
    "given", [["--seconds", "nan"], ["--seconds", "9"], ["--kind", "kindness"], ["--second", "30"]]
)
def test_a_wrong_command_line_is_refused(given, capsys):
    """Wrong values, unknown kinds and abbreviations end with status 2 and a line that names them."""
    with pytest.raises(SystemExit) as ended:
        parse(given)
    assert ended.value.code == 2
    assert given[0] in capsys.readouterr().err


def test_the_help_describes_every_kind(capsys):
    """Each kind is in `--help` with its sentence."""
    with pytest.raises(SystemExit):
        parse(["--help"])
    shown = capsys.readouterr().out
    for name, kind in KINDS.items():
        assert name in shown
        assert kind.__doc__ in shown


async def test_the_honest_receiver_counts_what_comes():
    """An event that comes twice is one delivery."""
    waited = Waited()
    hook = Hook(waited)
    event = {"id": "e", "time": "2026-01-01T00:00:00Z"}
    async with receiving(answer_at_once(hook.take)) as url, httpx.AsyncClient() as client:
        for _ in range(2):
            assert (await client.post(url, json=event)).status_code == 200
    assert hook.events == {"e": 2}
    assert len(waited.deliveries) == 1


async def test_the_hinting_receiver_never_answers():
    """It sends interim responses only."""
    async with receiving(hint_forever) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(url).port)
        writer.write(b"POST /hook HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        sent = await reader.readexactly(200_000)
        writer.close()
    assert set(sent.split(b"\r\n")[0::3][:100]) == {b"HTTP/1.1 103 Early Hints"}


@pytest.mark.timeout(240)
def test_the_platform_withstands_all_kinds_at_once(loadtests, tmp_path):
    """Next to all kinds of hostile users, honest ones get no error and lose nothing, and no process exceeds its limit.

    How long they wait is measured by `make attack`, not tested.
    """
    command = [sys.executable, "-m", "attack", "--seconds", "30", "--output", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(loadtests)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (tmp_path / "report.json").exists(), done.stderr
    found = json.loads((tmp_path / "report.json").read_text())
    assert [one for one in found["complaints"] if " p95 " not in one] == []
    created = next(place for place in found["conservation"]["places"] if place["name"] == "tasks")
    assert created["found"] > 3
