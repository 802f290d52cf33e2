from __future__ import annotations

import ast
import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import psutil
import pytest
from capacity import __main__ as check
from capacity import service
from capacity.arguments import parse
from capacity.conservation import Evidence, FeedItem, Heard, conserve
from capacity.page import render
from capacity.plan import KINDS, Plan, limits
from capacity.processor import Sample, used_between
from capacity.report import BELOW_MINIMUM, NOT_CONSERVED, PASSED, Surroundings, document, exit_status, verdict
from capacity.steps import (
    Figures,
    Processor,
    Step,
    breaking_step,
    broken_limits,
    held_users,
    is_disturbed,
    is_saturated,
    next_users,
    percentile,
    summarize,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from taskbell.contract.cursors import EventCursor

CHROMIUM = Path("/usr/bin/chromium")
FAST = Figures(count=100, rps=10, p50_ms=5, p95_ms=10, p99_ms=20)
NOTHING = Figures(count=0, rps=0, p50_ms=None, p95_ms=None, p99_ms=None)


def _plan(**changes) -> Plan:
    values = {
        "first_users": 10,
        "growth": 1.5,
        "most_users": 1000,
        "minimum_users": 10,
        "settle_seconds": 1,
        "hold_seconds": 5,
        "load_seconds": 300,
        "teams": 4,
        "listener_share": 0.2,
        "limits": limits(),
    }
    return Plan(**values | changes)


def _step(users=10, *, number=1, broken=(), kinds=None, **changes) -> Step:
    values = {
        "number": number,
        "users": users,
        "listeners": 5,
        "started": 100.0,
        "ended": 110.0,
        "kinds": dict.fromkeys(KINDS, FAST) | (kinds or {}),
        "event_latency": FAST,
        "generator_lag_ms": 3.0,
        "broken": broken,
        "processor": Processor(cores=2, platform=1, generator=0.3, listeners=0.1, others=0.05, by_part={"api": 1.0}),
    }
    return Step(**values | changes)


def _surroundings(**changes) -> Surroundings:
    values = {"at": "2026-11-20T12:00:00+00:00", "machine": "Linux, 2 cores", "python": "3.11", "seconds": 99.0}
    return Surroundings(**values | {"listeners": 4, "reconnects": 1, "gaps": 0} | changes)


# --- judging steps


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1))
def test_a_percentile_is_the_least_value_that_covers_its_share(values, share):
    """Nearest rank: that share of the values is not greater, and no smaller value of them would do."""
    ordered = sorted(values)
    found = percentile(ordered, share)
    assert sum(value <= found for value in ordered) >= share * len(ordered) - 1e-6
    assert sum(value < found for value in ordered) < share * len(ordered) + 1e-6


def test_nothing_measured_has_no_percentile():
    """A kind without requests has no figures, and breaks no limit by itself."""
    figures = summarize([], seconds=10)
    assert (figures.count, figures.rps, figures.p99_ms) == (0, 0.0, None)
    assert broken_limits(_step(kinds={"get": figures}), limits()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_a_limit_of_its_own(kind):
    """A p99 above the kind's limit breaks the step and is named; one on the limit does not."""
    limit = limits().p99_ms[kind]
    on_it = dataclasses.replace(FAST, p99_ms=limit)
    above = dataclasses.replace(FAST, p99_ms=limit + 1)
    assert broken_limits(_step(kinds={kind: on_it}), limits()) == []
    (said,) = broken_limits(_step(kinds={kind: above}), limits())
    assert said.startswith(f"{kind}: p99")


def test_errors_late_events_missing_events_and_silence_break_a_step():
    """The other limits: share of errors, latency of events, no frame at all for created tasks, no answer at all."""
    failing = dataclasses.replace(FAST, errors=5)
    late = dataclasses.replace(FAST, p99_ms=1001)
    assert "errors: 5 of 600" in broken_limits(_step(kinds={"get": failing}), limits())[0]
    assert "events: p99 1,001 ms" in broken_limits(_step(event_latency=late), limits())[0]
    assert "no frame came" in broken_limits(_step(event_latency=NOTHING), limits())[0]
    assert broken_limits(_step(kinds=dict.fromkeys(KINDS, NOTHING), event_latency=NOTHING), limits()) == [
        "no request was answered"
    ]


# --- what comes next


@settings(max_examples=50)
@given(
    outcomes=st.lists(st.booleans(), min_size=400, max_size=400),
    first=st.integers(1, 50),
    growth=st.floats(1.05, 10),
    most=st.integers(50, 5000),
)
def test_the_load_grows_until_a_limit_breaks_twice_and_always_ends(outcomes, first, growth, most):
    """Whatever breaks: users never shrink, never exceed the most, a broken step is tried once more, the end comes."""
    plan = _plan(first_users=first, growth=growth, most_users=most)
    steps: list[Step] = []
    for is_broken in outcomes:
        users = next_users(plan, steps, seconds_left=1000)
        if users is None:
            break
        assert users <= most
        if steps:
            assert users == steps[-1].users if steps[-1].broken else users > steps[-1].users
        steps.append(_step(users, number=len(steps) + 1, broken=("x",) if is_broken else ()))
    else:
        pytest.fail("the load did not end")
    last = steps[-1]
    assert (last.users == most and not last.broken) or (last.broken and steps[-2].users == last.users)
    assert breaking_step(steps) is (last if last.broken else None)
    assert held_users(steps) == max((step.users for step in steps if not step.broken), default=0)


def test_no_step_begins_that_could_not_end_in_time():
    """The load is bounded by the time it was given."""
    plan = _plan()
    assert next_users(plan, [], seconds_left=plan.step_seconds - 0.1) is None
    assert next_users(plan, [], seconds_left=plan.step_seconds) == 10


def test_saturation_blames_the_generator_only():
    """A generator that is busy or late was the limit; a busy platform is none; neighbours are a disturbance."""

    def step(lag=1.0, **used):
        values = {"cores": 2, "platform": 0.5, "generator": 0.3, "listeners": 0.1, "others": 0.0} | used
        return _step(generator_lag_ms=lag, processor=Processor(**values))

    assert not is_saturated(step(platform=1.9), limits())
    assert is_saturated(step(generator=0.95), limits())
    assert is_saturated(step(listeners=0.95), limits())
    assert is_saturated(step(lag=151.0), limits())
    assert not is_saturated(_step(processor=None), limits())
    assert is_disturbed(step(others=1.0))
    assert not is_disturbed(step(platform=1.9, others=0.1))


def test_processor_time_is_taken_over_the_whole_step():
    """Between the samples around a step; what no part used, and the machine did, is others'."""
    samples = [
        Sample(float(at), {"api": at * 0.5, "generator": at * 0.2, "listeners": at * 0.1}, at * 1.5) for at in range(10)
    ]
    used = used_between(samples, 2.5, 6.5)
    assert (round(used.platform, 6), round(used.generator, 6), round(used.others, 6)) == (0.5, 0.2, 0.7)
    assert used_between(samples[:1], 0, 1) is None


# --- conservation


def _evidence(tasks: int = 3, *, workspaces: int = 2, listeners: int = 2) -> Evidence:
    """A world in which every task was created, changed once, and reached everybody."""
    rows, event_rows, feed = [], [], {f"w{number}": [] for number in range(workspaces)}
    for number in range(tasks):
        task, workspace = f"task-{number}", f"w{number % workspaces}"
        rows.append((task, f"run-{number}"))
        for place, kind in enumerate(("task.created", "task.updated")):
            event = f"event-{number}-{place}"
            event_rows.append((event, kind, task))
            feed[workspace].append(FeedItem(EventCursor(1, 10 + number * 2 + place), event, kind, task))
    return Evidence(
        attempted={title for _, title in rows},
        acknowledged={title: task for task, title in rows},
        rows=rows,
        event_rows=event_rows,
        feed=feed,
        heard=[
            Heard(workspace, EventCursor(1, 5), [item.event for item in items])
            for workspace, items in feed.items()
            for _ in range(listeners)
        ],
        assigned={"run-0": 1},
        notified={"task-0": 1},
    )


@given(tasks=st.integers(0, 20), workspaces=st.integers(1, 4), listeners=st.integers(1, 3))
def test_a_whole_world_is_conserved(tasks, workspaces, listeners):
    """Where everything arrived once, all counts are equal and nothing is lost or double."""
    evidence = _evidence(tasks, workspaces=workspaces, listeners=listeners)
    if not tasks:
        evidence = dataclasses.replace(evidence, assigned={}, notified={})
    found = conserve(evidence)
    assert found.holds, found
    assert found.created == found.events == found.frames == tasks
    assert found.notifications == (1 if tasks else 0)
    assert found.uncertain == 0


@settings(max_examples=200)
@given(data=st.data())
def test_frames_are_counted_exactly(data):
    """However many frames are taken away or repeated: just so many are lost, and just so many are double."""
    evidence = _evidence(data.draw(st.integers(1, 8)), listeners=2)
    heard, lost, double = [], 0, 0
    for listener in evidence.heard:
        times = [data.draw(st.integers(0, 3)) for _ in listener.events]
        lost += times.count(0)
        double += sum(number - 1 for number in times if number > 1)
        events = [event for event, number in zip(listener.events, times, strict=True) for _ in range(number)]
        heard.append(dataclasses.replace(listener, events=data.draw(st.permutations(events))))
    found = conserve(dataclasses.replace(evidence, heard=heard))
    assert (found.lost, found.double) == (lost, double)


@settings(max_examples=100)
@given(data=st.data())
def test_rows_and_feed_are_counted_exactly(data):
    """The same for rows of events that were not published, or published twice, seen by listeners or not."""
    evidence = _evidence(data.draw(st.integers(1, 8)))
    times = {event: data.draw(st.integers(0, 3)) for event, _, _ in evidence.event_rows}
    feed = {
        workspace: [item for item in items for _ in range(times[item.event])]
        for workspace, items in evidence.feed.items()
    }
    found = conserve(dataclasses.replace(evidence, feed=feed))
    assert found.lost == list(times.values()).count(0)
    assert found.double == sum(number - 1 for number in times.values() if number > 1)


def _changed(**changes):
    return conserve(dataclasses.replace(_evidence(), **changes))


def test_an_acknowledged_task_without_a_row_is_lost():
    """A 201 is a promise; a row under another id breaks it as well."""
    whole = _evidence()
    promised = {**whole.acknowledged, "run-9": "task-9"}
    assert _changed(attempted=whole.attempted | {"run-9"}, acknowledged=promised).lost == 1
    assert _changed(acknowledged={**whole.acknowledged, "run-1": "task-0"}).lost == 1
    vanished = _changed(rows=whole.rows[1:], assigned={}, notified=None)
    assert (vanished.lost, vanished.double, vanished.created) == (1, 0, 2)


def test_a_request_that_made_two_tasks_is_double():
    """Titles are used once, so a second row with one is a second task; its own missing event is found too."""
    found = _changed(rows=[*_evidence().rows, ("task-9", "run-0")], assigned={}, notified=None)
    assert (found.double, found.lost) == (1, 1)


def test_a_task_without_an_answer_may_exist_or_not():
    """A creation that timed out is uncertain: its row is no surplus, its absence no loss; if it exists, it counts."""
    whole = _evidence()
    found = _changed(
        attempted=whole.attempted | {"run-9"},
        acknowledged={title: task for title, task in whole.acknowledged.items() if title != "run-2"},
    )
    assert (found.lost, found.double, found.uncertain, found.created) == (0, 0, 2, 3)


def test_a_task_without_its_event_is_lost_and_a_second_event_is_double():
    """Each row has one `task.created`."""
    rows = _evidence().event_rows
    assert conserve(dataclasses.replace(_evidence(), event_rows=rows[1:])).lost == 1
    place = _changed(event_rows=[*rows, ("event-x", "task.created", "task-0")]).places[1]
    assert (place.lost, place.double) == (0, 1)


def test_another_workspaces_frame_and_one_from_before_the_welcome_are_surplus():
    """A listener gets what it is entitled to, and nothing else."""
    whole = _evidence()
    stranger = whole.heard[-1].events[0]
    first = dataclasses.replace(whole.heard[0], events=[*whole.heard[0].events, stranger])
    found = _changed(heard=[first, *whole.heard[1:]])
    assert (found.lost, found.double) == (0, 1)
    assert "not entitled" in found.places[3].examples[0]
    late = dataclasses.replace(whole.heard[0], joined=EventCursor(1, 10))
    assert _changed(heard=[late, *whole.heard[1:]]).double == 1
    later = dataclasses.replace(late, events=whole.heard[0].events[1:])
    assert _changed(heard=[later, *whole.heard[1:]]).holds


def test_notifications_are_counted_where_they_exist():
    """None without the table; else one for each assignment."""
    assert _changed(notified=None).notifications is None
    assert _changed(notified={}).lost == 1
    assert _changed(notified={"task-0": 2}).double == 1
    assert _changed(notified={"task-0": 1, "task-1": 1}).double == 1


# --- the verdict and the report


def test_the_exit_status_follows_from_conservation_and_the_minimum():
    """0 only if nothing is lost or double and the minimum held; a loss weighs more than a slow platform."""
    conserved, lost = conserve(_evidence()), _changed(notified={})
    held, broken = [_step(20)], [_step(20, broken=("get: p99",))]
    assert verdict(_plan(minimum_users=20), held, conserved) == PASSED
    assert verdict(_plan(minimum_users=21), held, conserved) == BELOW_MINIMUM
    assert verdict(_plan(minimum_users=20), broken, conserved) == BELOW_MINIMUM
    assert verdict(_plan(), broken, lost) == NOT_CONSERVED
    assert [exit_status(judged) for judged in (PASSED, NOT_CONSERVED, BELOW_MINIMUM)] == [0, 1, 1]


def _report(steps=None, *, conservation=None, failures=None):
    if steps is None:
        slow = {"get": dataclasses.replace(FAST, p99_ms=900.0)}
        broken = ("get: p99 900 ms, the limit is 300 ms",)
        steps = [_step(10 * 2**n, number=n + 1) for n in range(4)]
        steps += [_step(160, number=n, kinds=slow, broken=broken) for n in (5, 6)]
    conservation = conservation or conserve(_evidence())
    return document(_plan(), steps, conservation, _surroundings(), failures=failures or {})


class _Page(HTMLParser):
    """Checks that elements nest, and collects what the page would load and show."""

    VOID = frozenset({"meta", "link", "br"})

    def __init__(self):
        super().__init__()
        self.open, self.loads, self.texts, self.tags = [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.loads += [value for name, value in attributes if name in {"src", "href", "xlink:href"}]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.loads += [value for name, value in attributes if name in {"src", "href", "xlink:href"}]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def _read(html: str) -> _Page:
    page = _Page()
    page.feed(html)
    page.close()
    assert page.open == []
    return page


def test_the_report_has_the_promised_fields():
    """Programs read `report.json`: these names do not change."""
    report = json.loads(json.dumps(_report()))
    assert {"verdict", "steps", "breaking_step", "saturated", "conservation"} <= report.keys()
    assert {"created", "events", "frames", "notifications", "lost", "double"} <= report["conservation"].keys()
    assert (report["verdict"], report["breaking_step"], report["held_users"]) == ("passed", 6, 80)
    step = report["steps"][0]
    assert {"users", "rps", "kinds", "errors", "event_latency", "processor", "saturated"} <= step.keys()
    assert {"p50_ms", "p95_ms", "p99_ms", "errors", "rps"} <= step["kinds"]["get"].keys()


def test_the_page_loads_nothing_and_shows_the_plots():
    """One file that works from a disk: no script, nothing from elsewhere, four plots in the page's own colours."""
    html = render(_report())
    page = _read(html)
    assert page.tags.count("svg") == 4
    assert "script" not in page.tags
    assert all(address.startswith(("data:", "#")) for address in page.loads)
    assert "#0101" not in html
    assert re.findall(r"url\((?!#)", html) == []
    identifiers = re.findall(r'\bid="([^"]+)"', html)
    assert len(identifiers) == len(set(identifiers))
    assert "get: p99 900 ms" in "".join(page.texts)


def test_the_page_escapes_what_it_was_told():
    """What came from elsewhere, like the text of a failure, is shown and never interpreted."""
    html = render(_report(failures={"get: <script>alert(1)</script>": 3}))
    assert "<script" not in html
    assert "3 get: <script>alert(1)</script>" in "".join(_read(html).texts)


_FIGURES = st.one_of(
    st.just(NOTHING),
    st.lists(st.floats(0, 1e7), min_size=1, max_size=5).map(lambda values: summarize(values, seconds=10, errors=1)),
)


@settings(max_examples=8, deadline=None)
@given(
    measured=st.lists(st.tuples(_FIGURES, _FIGURES, st.booleans(), st.booleans()), max_size=16),
    is_whole=st.booleans(),
)
def test_any_figures_give_a_page(measured, is_whole):
    """No step at all, steps without an answer, huge and zero durations, no samples of the processor: a page comes."""
    steps = [
        _step(
            number,
            number=number,
            kinds={"get": one},
            event_latency=two,
            broken=("get: x",) if is_broken else (),
            processor=_step().processor if is_sampled else None,
        )
        for number, (one, two, is_broken, is_sampled) in enumerate(measured, 1)
    ]
    conservation = conserve(_evidence()) if is_whole else _changed(notified={})
    _read(render(json.loads(json.dumps(_report(steps, conservation=conservation)))))


def test_a_browser_shows_the_page(tmp_path):
    """A real browser lays the page out: the plots have a size, and nothing is written to its console."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not there (Debian: apt-get install chromium)")
    page = tmp_path / "report.html"
    probe = (
        "<script>addEventListener('load', () => { document.title = [...document.querySelectorAll('svg')]"
        ".map(svg => svg.getBoundingClientRect()).map(b => b.width > 300 && b.height > 150)"
        ".concat(document.documentElement.scrollWidth <= innerWidth).join(); });</script>"
    )
    page.write_text(render(_report()).replace("</body>", f"{probe}</body>"))
    options = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    options += " --disable-component-update --disable-sync --enable-logging=stderr --window-size=1200,900"
    profile, picture = tmp_path / "profile", tmp_path / "report.png"
    chromium = [str(CHROMIUM), *options.split(), f"--user-data-dir={profile}"]
    shown = subprocess.run(
        [*chromium, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=90, check=True
    )
    assert "<title>true,true,true,true,true</title>" in shown.stdout
    assert "CONSOLE" not in shown.stderr
    subprocess.run([*chromium, f"--screenshot={picture}", page.as_uri()], capture_output=True, timeout=90, check=True)
    assert picture.read_bytes().startswith(b"\x89PNG")
    shutil.rmtree(profile, ignore_errors=True)


# --- the command line, and a real run


def _capacity(loadtests, *arguments, **options):
    environment = {**os.environ, "PYTHONPATH": str(loadtests)}
    command = [sys.executable, "-m", "capacity", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, **options)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--users", "5"], "unrecognized arguments: --users"),
        (["--growth", "1"], "argument --growth: '1' is not a number from 1.05 to 10"),
        (["--growth", "nan"], "'nan' is not a number"),
        (["--first-users", "-3"], "'-3' is not a whole number from 1 to 100000"),
        (["--first-users", "2.5"], "'2.5' is not a whole number"),
        (["--first-users", "50", "--most-users", "20"], "--first-users 50 is more than --most-users 20"),
        (["--minimum-users", "50", "--first-users", "5", "--most-users", "20"], "--minimum-users 50 is more than"),
        (["--minutes", "2", "--hold", "120"], "does not fit"),
        (["--output", __file__], "is not a folder"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(capsys, arguments, said):
    """Status 2 and a line that names the argument and its bounds; nothing is started."""
    with pytest.raises(SystemExit) as refused:
        parse(arguments)
    assert refused.value.code == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


@given(st.lists(st.sampled_from(["--growth", "--hold", "--errors", "7", "0.5", "x", "", "1e400", "-1"]), max_size=4))
def test_any_arguments_are_taken_or_refused(arguments):
    """Nothing but a plan or a refusal comes of a command line."""
    try:
        status = None if parse(arguments).plan.growth > 1 else "a plan that never grows"
    except SystemExit as refused:
        status = refused.code
    assert status in {None, 2}


def test_it_explains_itself(loadtests, tmp_path):
    """`--help` names every option and what the exit status means."""
    shown = _capacity(loadtests, "--help", timeout=60, cwd=tmp_path).stdout
    assert "--minimum-users" in shown
    assert "Exit status: 0" in shown
    assert list(tmp_path.iterdir()) == []


def test_it_is_a_black_box(loadtests):
    """From the project, the check imports the contract alone; it judges what clients see, not what modules say."""
    imported = set()
    for path in (loadtests / "capacity").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module)
    ours = {name for name in imported if name.split(".")[0] == "taskbell"}
    assert ours
    assert all(name.startswith("taskbell.contract.") for name in ours), ours


def test_a_run_that_cannot_be_made_ends_with_2(monkeypatch, capsys, tmp_path):
    """What keeps the check from running is said in one line, and is not taken for a verdict."""

    def refuse(command):
        raise service.PlatformNotStarted("the platform did not start: no space left")

    monkeypatch.setattr(check, "run", refuse)
    monkeypatch.setattr(check.signal, "signal", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["capacity", "--output", str(tmp_path)])
    assert check.main() == 2
    assert capsys.readouterr().err == "capacity: could not run: the platform did not start: no space left\n"
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_run_leaves_nothing_behind(loadtests, tmp_path):
    """Ctrl-C, twice: status 2, no report, no folder, and no platform that goes on running."""
    environment = {**os.environ, "PYTHONPATH": str(loadtests), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "capacity", "--output", str(tmp_path / "report")]
    run = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("*/data/*")):
        assert run.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    started = psutil.Process(run.pid).children(recursive=True)
    run.send_signal(signal.SIGINT)
    run.send_signal(signal.SIGINT)
    assert run.wait(60) == 2
    assert "interrupted" in run.stderr.read().splitlines()[-1]
    run.stderr.close()
    assert psutil.wait_procs(started, timeout=20)[1] == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.feature("K10")
@pytest.mark.timeout(150)
def test_a_short_run_on_a_real_platform_conserves_every_task(loadtests, tmp_path):
    """Two small steps: the platform starts, tasks are created, and each is found once at every place."""
    output = tmp_path / "report"
    options = "--first-users 15 --growth 2 --most-users 30 --settle 1 --hold 3 --teams 3 --minimum-users 0"
    options += " --reads-ms 60000 --polls-ms 60000 --writes-ms 60000 --events-ms 60000"
    done = _capacity(loadtests, *options.split(), "--output", str(output), timeout=140)
    assert done.returncode == 0, done.stderr
    report = json.loads((output / "report.json").read_text())
    conservation = report["conservation"]
    assert report["verdict"] == "passed"
    assert [step["users"] for step in report["steps"]] == [15, 30]
    assert conservation["created"] == conservation["events"] == conservation["frames"] > 0
    assert (conservation["lost"], conservation["double"]) == (0, 0)
    assert all(place["expected"] == place["found"] for place in conservation["places"])
    assert all(step["processor"]["by_part"]["api"] > 0 for step in report["steps"])
    assert "All percentiles" in (output / "report.html").read_text()
    assert "step  2" in done.stderr
