"""`taskbell-operator simulate`: loads are read or refused, the operator's own decisions run, and a browser shows it."""

import json
import math
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from taskbell.operator.simulation import loads
from taskbell.operator.simulation.loads import LoadNotUnderstood, by_chance, recorded
from taskbell.operator.simulation.manifest import PoolNotUnderstood, only_backlog, read_pool
from taskbell.operator.simulation.model import Workers, simulate
from taskbell.operator.simulation.page import render

CHROMIUM = Path("/usr/bin/chromium")
MANIFEST = {
    "apiVersion": "taskbell.dev/v1alpha1",
    "kind": "WorkerPool",
    "metadata": {"name": "delivery"},
    "spec": {
        "targetRef": {"name": "delivery"},
        "replicas": {"min": 1, "max": 20},
        "signals": [{"name": "backlog", "jetStream": {"stream": "S", "consumer": "c", "backlogPerReplica": 500}}],
    },
}


def manifest(**spec):
    """The text of a manifest with other fields in its spec."""
    return json.dumps(MANIFEST | {"spec": MANIFEST["spec"] | spec})


def simulated(load, *, pool=None, **given_workers):
    """Run a load through a pool."""
    _, spec = read_pool(pool or manifest())
    assumed = {"pace": 50.0, "start_up": 20, "in_flight": 64, "max_ack_pending": 0, "interval": 15, "first": 1}
    return simulate(*only_backlog(spec), load, Workers(**(assumed | given_workers)))


# --- loads


@pytest.mark.parametrize(
    "text",
    [
        "time,arrivals\n0,0\n2,10\n4,20\n",
        "100.0,5\n\n102,10\n104,2e1\n",
        '{"time": 7, "arrivals": 1}\n{"time": 9, "arrivals": 10}\n{"time": 11, "arrivals": 20, "more": true}\n',
        "Time, Arrivals\r\n2026-11-20T12:00:00Z,0\r\n2026-11-20T14:00:02+02:00,10\r\n2026-11-20T12:00:04,20\r\n",
        '\ufeff"0","0"\n"2","10"\n"4","20"',
    ],
)
def test_recordings(text):
    """Seconds or instants, with or without a header, CSV or JSON: messages are spread over the time between rows."""
    assert recorded(text.splitlines()) == [5.0, 5.0, 10.0, 10.0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "fewer than two rows"),
        ("time,arrivals\n0,1\n", "fewer than two rows"),
        ("0,1\n1\n", "line 2: expected time,arrivals, found '1'"),
        ("0,1\n1,2,3\n", "line 2: expected time,arrivals"),
        ("0,1\n0,1\n", "line 2: the time does not increase"),
        ("5,1\n4,1\n", "line 2: the time does not increase"),
        ("0,1\n1,-1\n", "line 2: '-1' is no number of arrivals"),
        ("0,1\n1,nan\n", "line 2: 'nan' is no number of arrivals"),
        ("0,1\n1,many\n", "line 2: 'many' is no number of arrivals"),
        ("0,1\n1,1e10\n", "no number of arrivals"),
        ("0,1\nnoon,1\n", "line 2: 'noon' is neither seconds nor an instant"),
        ("0,1\n604801,1\n", "line 2: a recording lasts 7 days at most"),
        ('{"time": 0, "arrivals": 1}\n{"time": 1}\n', "line 2: expected time,arrivals"),
        ('{"time": 0, "arrivals": true}\n', "line 1: 'True' is no number of arrivals"),
        ('{"time": null, "arrivals": 1}\n', "line 1: 'None' is neither"),
        ('0,"1\n', "line 1: expected time,arrivals"),
    ],
)
def test_what_is_no_recording_is_refused(text, said):
    """The message names the line and what is wrong with it."""
    with pytest.raises(LoadNotUnderstood) as refused:
        recorded(text.splitlines())
    assert said in str(refused.value)


@given(lines=st.lists(st.text() | st.from_regex(r"\A[0-9]{1,6},[0-9]{1,4}\Z") | st.just('{"time": 3, "arrivals": 4}')))
def test_any_text_is_a_recording_or_refused(lines):
    """No text does anything else than be read, within the bounds, or raise `LoadNotUnderstood`."""
    try:
        load = recorded(lines)
    except LoadNotUnderstood as refused:
        assert str(refused)  # noqa: PT017 -- either outcome is right, but never another error
        return
    assert 0 < len(load) <= loads.LONGEST
    assert all(math.isfinite(count) and count >= 0 for count in load)


@given(
    steps=st.lists(st.tuples(st.floats(0.01, 500), st.floats(0, 1e6)), min_size=1, max_size=30),
    began=st.floats(-1e6, 1e9),
)
def test_a_recording_loses_no_message(steps, began):
    """All messages after the first row arrive, whatever the times are."""
    rows, at = [f"{began!r},17"], began
    for span, count in steps:
        at += span
        rows.append(f"{at!r},{count!r}")
    assert sum(recorded(rows)) == pytest.approx(sum(count for _, count in steps), rel=1e-6, abs=1e-6)


def test_shapes():
    """A ramp ends at its peak, a spike lasts as long as told, a wave begins and ends at its least."""
    assert loads.ramp(1, 3, 3) == [1, 2, 3]
    assert loads.spike(1, 9, 5, begins=1, lasts=2) == [1, 9, 9, 1, 1]
    wave = loads.wave(10, 30, 101, period=100)
    assert (wave[0], wave[50], wave[100]) == pytest.approx((10, 30, 10))


@given(rate=st.floats(0, 500), seed=st.integers(0, 2**32))
def test_chance_repeats_and_keeps_the_rate(rate, seed):
    """The same seed gives the same load, and on average as many messages arrive as without chance."""
    load = by_chance(loads.constant(rate, 400), seed)
    assert load == by_chance(loads.constant(rate, 400), seed)
    assert abs(sum(load) - rate * 400) <= 7 * math.sqrt(rate * 400) + 1


# --- the pool


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there is no WorkerPool in the manifest"),
        ("kind: [", "the manifest is neither YAML nor JSON"),
        ("\x00", "the manifest is neither YAML nor JSON"),
        ("kind: WorkerPool", "spec: Input should be"),
        (manifest(replicas={"min": 5, "max": 4}), "spec.replicas: min must not exceed max"),
        (manifest(replicas={"max": 0}), "spec.replicas.max: Input should be greater than or equal to 1"),
        (manifest(replicaz={"max": 1}), "unknown fields: spec.replicaz"),
        (manifest(signals=[{"name": "s", "jetstream": {}}]), "unknown fields: spec.signals[0].jetstream"),
        (manifest() + "\n---\n" + manifest(), "several pools; choose one by --name: delivery, delivery"),
    ],
)
def test_what_is_no_pool_is_refused(text, said):
    """The message says what is wrong, and where."""
    with pytest.raises(PoolNotUnderstood) as refused:
        read_pool(text)
    assert said in str(refused.value)
    assert "http" not in str(refused.value)


@given(text=st.text() | st.recursive(st.none() | st.text(), lambda v: st.dictionaries(st.text(), v)).map(json.dumps))
def test_any_text_is_a_pool_or_refused(text):
    """No manifest does anything else than be read or raise `PoolNotUnderstood`."""
    with pytest.raises(PoolNotUnderstood):
        read_pool(f'{{"kind": "WorkerPool", "spec": {text}}}')


def test_the_pool_is_found_among_others():
    """A list, as `kubectl get -o yaml` prints it, and several documents; status and other kinds do not disturb."""
    other = {"kind": "Deployment", "metadata": {"name": "delivery"}}
    second = MANIFEST | {"metadata": {"name": "second"}, "status": {"replicas": 3}}
    text = yaml.safe_dump_all([other, {"kind": "List", "items": [MANIFEST, other, second]}])
    assert read_pool(text, name="second") == ("second", read_pool(manifest())[1])


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"engine": "Manual"}, "engine Manual"),
        ({"signals": [{"name": "sockets", "webSocket": {}}]}, "has no jetStream signal"),
        ({"signals": [MANIFEST["spec"]["signals"][0] | {"name": name} for name in "ab"]}, "by --signal: a, b"),
    ],
)
def test_pools_without_one_backlog_are_refused(spec, said):
    """Only a pool that the operator sizes by a backlog can be simulated."""
    _, pool = read_pool(manifest(**spec))
    with pytest.raises(PoolNotUnderstood, match=said):
        only_backlog(pool)


# --- the simulation


@pytest.mark.feature("K6")
def test_a_spike_scales_the_pool_and_drains():
    """A spike grows the pool by the policies to its bound; afterwards nothing is left and the pool is small again."""
    load = loads.spike(100, 2000, 5400, begins=600, lasts=300)
    run = simulated(load)
    summary = run.summary(load)
    assert summary["max_pods"] == 20
    assert 600 <= summary["max_backlog_at"] < 905
    assert summary["seconds_at_max"] > 300
    assert run.pods[-1] <= 5
    assert summary["left"] <= 200
    assert summary["completed"] + summary["left"] == pytest.approx(summary["arrived"], abs=2)
    assert summary["pod_hours"] == pytest.approx(sum(run.pods) / 3600, abs=0.01)
    assert summary["scaled_up"] + summary["scaled_down"] == len(run.changes)
    sizes = [1] + [change.size for change in run.changes]
    assert all(after <= max(2 * before, before + 4) for before, after in pairwise(sizes))
    assert run.changes[0].reason.startswith("from 1 to ")


@given(
    rates=st.lists(st.floats(0, 5000), min_size=1, max_size=8),
    first=st.integers(0, 30),
    pace=st.floats(0.1, 1000),
    limit=st.integers(0, 200),
    start_up=st.integers(0, 60),
)
def test_no_message_is_lost_or_done_before_it_arrives(rates, first, pace, limit, start_up):
    """Whatever the load and the pods: what arrived is completed or waits, and sizes stay within the bounds."""
    load = [rate for rate in rates for _ in range(60)]
    run = simulated(load, first=first, pace=pace, max_ack_pending=limit, start_up=start_up)
    assert run.completed + run.backlog[-1] == pytest.approx(sum(load))
    assert all(0 <= age <= second + 1 for second, age in enumerate(run.age))
    assert all(1 <= size <= 20 for size in run.pods)
    assert all((backlog > 1e-3) <= (age > 0) for backlog, age in zip(run.backlog, run.age, strict=True))


def test_the_age_is_that_of_the_oldest_message():
    """Without pods that work, the first message waits from its arrival on."""
    run = simulated([0.0] * 10 + [5.0] + [0.0] * 20, start_up=3600, first=0)
    assert run.age[9] == 0
    assert run.age[10:] == list(range(1, 22))


@pytest.mark.feature("K6")
def test_an_old_message_grows_the_pool():
    """`maxMessageAge` counts in the simulation, too: few messages that take long get more pods."""
    source = {"stream": "S", "consumer": "c", "backlogPerReplica": 1000, "drainTarget": "60m"}
    load = loads.constant(2.0, 1200)
    peaks = []
    for limit in ({}, {"maxMessageAge": "5s"}):
        pool = manifest(signals=[{"name": "backlog", "jetStream": source | limit}])
        peaks.append(simulated(load, pool=pool, pace=0.5, in_flight=1).summary(load)["max_pods"])
    assert peaks[1] > peaks[0]


# --- the page and the command


@pytest.fixture
def command(tmp_path):
    """Run `taskbell-operator simulate` in a folder with a pool."""
    (tmp_path / "pool.yaml").write_text(yaml.safe_dump(MANIFEST))

    def run(*arguments, stdin=""):
        return subprocess.run(
            [sys.executable, "-m", "taskbell.operator", "simulate", *arguments],
            cwd=tmp_path,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )

    return run


@pytest.mark.feature("K6")
def test_the_command(command, tmp_path):
    """It needs no cluster and no settings: it prints the summary and writes the picture."""
    (tmp_path / "load.csv").write_text("time,arrivals\n0,0\n60,6000\n120,60\n")
    ended = command("pool.yaml", "--pace", "50", "--load", "load.csv", "--json")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout)["arrived"] == 6060
    page = (tmp_path / "simulation.html").read_text()
    assert page.count("<svg") == 4
    assert "//" not in page.replace("<!doctype html>", "")
    spike = ["--shape", "spike", "--rate", "10", "--peak", "500", "--at", "1m", "--for", "2m", "--duration", "10m"]
    outputs = {
        command("-", "--pace", "50", *spike, "--html", "a.html", stdin=manifest()).stdout,
        command("pool.yaml", "--pace", "50", *spike, "--html", "a.html").stdout,
    }
    (text,) = outputs
    assert "greatest backlog: " in text
    assert "picture: a.html" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pool.yaml", "--rate", "5"], "required: --pace"),
        (["pool.yaml", "--pace", "5"], "give --load FILE, or --shape with --rate"),
        (["pool.yaml", "--pace", "5", "--rate", "1", "--load", "x"], "exclude each other"),
        (["pool.yaml", "--pace", "0", "--rate", "1"], "'0' is not a number from 0.001"),
        (["pool.yaml", "--pace", "nan", "--rate", "1"], "'nan' is not a number"),
        (["pool.yaml", "--pace", "5", "--rate", "1", "--duration", "8d"], "'8d' is not a time such as 90s"),
        (["pool.yaml", "--pace", "5", "--rate", "1", "--name", "x"], "there is no WorkerPool x"),
        (["missing.yaml", "--pace", "5", "--rate", "1"], "missing.yaml"),
        (["pool.yaml", "--pace", "5", "--load", "pool.yaml"], "line 1: expected time,arrivals"),
        (["pool.yaml", "--pace", "5", "--rate", "1", "--html", "missing/a.html"], "the picture was not written"),
    ],
)
def test_wrong_arguments_are_refused(command, arguments, said):
    """Status 2 and one line that says what is wrong; no traceback."""
    ended = command(*arguments)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_page_of_anything_is_whole():
    """Names are escaped, and a load of one second or without any message has its drawings, too."""
    for load in ([0.0], [0.0] * 700, [1e9] * 3):
        run = simulated(load)
        page = render("<script>", "a & b", load, run, run.summary(load), most=20)
        assert "<script>" not in page
        assert page.count("<svg") == 4
        assert "nan" not in page
        assert "inf" not in page


def test_a_browser_shows_the_picture(tmp_path):
    """A real browser lays the page out: each drawing has a size, and nothing is written to its console."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not there (Debian: apt-get install chromium)")
    load = loads.spike(100, 2000, 1800, begins=600, lasts=300)
    run = simulated(load)
    page = tmp_path / "simulation.html"
    page.write_text(render("WorkerPool delivery", "a spike", load, run, run.summary(load), most=20))
    options = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    options += " --disable-component-update --disable-sync --enable-logging=stderr --window-size=1200,1600"
    chromium = [str(CHROMIUM), *options.split(), f"--user-data-dir={tmp_path / 'profile'}"]
    picture = tmp_path / "page.png"
    shown = subprocess.run(
        [*chromium, f"--screenshot={picture}", page.as_uri()], capture_output=True, text=True, timeout=90, check=True
    )
    assert "CONSOLE" not in shown.stderr
    assert len(picture.read_bytes()) > 30_000
