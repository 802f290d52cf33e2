from __future__ import annotations

import dataclasses
import html
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskbell.capacity import __main__ as check
from taskbell.capacity import service
from taskbell.capacity.arguments import parse
from taskbell.capacity.conservation import Conservation, Place
from taskbell.capacity.interrupts import Interrupts
from taskbell.capacity.page import render, render_million
from taskbell.capacity.plan import KINDS, Plan, limits
from taskbell.capacity.processor import Sample, used_between
from taskbell.capacity.report import (
    BELOW_MINIMUM,
    FAILED,
    INTERRUPTED,
    NOT_CONSERVED,
    PASSED,
    Surroundings,
    document,
    exit_status,
    progress_line,
    verdict,
)
from taskbell.capacity.run import run
from taskbell.capacity.steps import (
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
        "quiet_seconds": 5,
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


def _conserved(*, lost=0, frames=3) -> Conservation:
    tasks = Place("tasks", expected=3, found=3 - lost, lost=lost, examples=["lost: run-0"][:lost])
    counts = {"created": 3, "uncertain": 0, "events": 3, "frames": frames, "notifications": 3, "double": 0}
    return Conservation(**counts, lost=lost, places=[tasks])


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
    assert f"errors: 5 of {100 * len(KINDS)}" in broken_limits(_step(kinds={"get": failing}), limits())[0]
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
    precision=st.floats(1.01, 10),
)
def test_the_load_grows_then_narrows_and_always_ends(outcomes, first, growth, most, precision):
    """Whatever breaks: a broken step is tried once more, no step asks what is known, and the end comes."""
    plan = _plan(first_users=first, growth=growth, most_users=most, precision=precision)
    steps: list[Step] = []
    for is_broken in outcomes:
        users = next_users(plan, steps, seconds_left=1000)
        if users is None:
            break
        assert users <= most
        broke = breaking_step(steps)
        if steps and steps[-1].broken and not (len(steps) > 1 and steps[-2].users == steps[-1].users):
            assert users == steps[-1].users
        elif steps:
            assert held_users(steps) < users < (broke.users if broke else most + 1)
        steps.append(_step(users, number=len(steps) + 1, broken=("x",) if is_broken else ()))
    else:
        pytest.fail("the load did not end")
    broke, held = breaking_step(steps), held_users(steps)
    if broke is None:
        assert held == most
    elif held:
        assert held < broke.users <= max(held * precision, held + 1)


def test_the_result_is_narrowed_between_what_held_and_what_broke():
    """Steps in between are tried until the users that held and those that broke differ by the precision at most."""
    steps = [_step(67, number=1), _step(101, number=2, broken=("x",)), _step(101, number=3, broken=("x",))]
    tried = []
    while (users := next_users(_plan(precision=1.08), steps, seconds_left=1000)) is not None:
        tried.append(users)
        steps.append(_step(users, number=len(steps) + 1, broken=() if users < 90 else ("x",)))
    assert tried == [82, 91, 91, 86]
    broke = breaking_step(steps)
    assert broke is not None
    assert (held_users(steps), broke.users) == (86, 91)


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


# --- the verdict and the report


def test_the_exit_status_follows_from_conservation_and_the_minimum():
    """0 only if nothing is lost or double and the minimum held; a loss weighs more than a slow platform."""
    held, broken = [_step(20)], [_step(20, broken=("get: p99",))]
    assert verdict(_plan(minimum_users=20), held, _conserved()) == PASSED
    assert verdict(_plan(minimum_users=21), held, _conserved()) == BELOW_MINIMUM
    assert verdict(_plan(minimum_users=20), broken, _conserved()) == BELOW_MINIMUM
    assert verdict(_plan(), broken, _conserved(lost=1)) == NOT_CONSERVED
    assert [exit_status(judged) for judged in (PASSED, NOT_CONSERVED, BELOW_MINIMUM)] == [0, 1, 3]


def test_a_run_that_did_not_come_to_its_end_passes_nothing():
    """Interrupted, a part that died, or nothing to count: status 2; what was found lost until then is a verdict."""
    steps = [_step(20)]
    assert verdict(_plan(), steps, _conserved(), ended_by=INTERRUPTED) == INTERRUPTED
    assert verdict(_plan(), steps, _conserved(), ended_by="the listeners ended early") == FAILED
    assert verdict(_plan(), steps, None, ended_by="the platform ended") == FAILED
    assert verdict(_plan(), steps, _conserved(lost=1), ended_by=INTERRUPTED) == NOT_CONSERVED
    assert [exit_status(judged) for judged in (INTERRUPTED, FAILED)] == [2, 2]


def _report(steps=None, *, conservation=None, failures=None, ended_by=""):
    if steps is None:
        slow = {"get": dataclasses.replace(FAST, p99_ms=900.0)}
        broken = ("get: p99 900 ms, the limit is 300 ms",)
        steps = [_step(10 * 2**n, number=n + 1) for n in range(4)]
        steps += [_step(160, number=n, kinds=slow, broken=broken) for n in (5, 6)]
    if conservation is None and not ended_by:
        conservation = _conserved()
    return document(_plan(), steps, conservation, _surroundings(), ended_by=ended_by, failures=failures or [])


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


def test_what_broke_is_told_in_a_breath():
    """A step that broke every limit is one line on the terminal and one sentence in the summary, not ten."""
    broken = [f"{kind}: p99 900 ms, the limit is 300 ms" for kind in KINDS]
    steps = [_step(10), _step(20, number=2, broken=broken)]
    for said in (_report(steps)["summary"], progress_line(steps[1])):
        assert f"{broken[0]}; {broken[1]}; {broken[2]}; and {len(KINDS) - 3} more" in said
        assert broken[3] not in said


def test_the_page_loads_nothing_and_shows_the_plots():
    """One file that works from a disk: no script, nothing from elsewhere, four plots in the page's own colours."""
    text = render(_report())
    page = _read(text)
    assert page.tags.count("svg") == 4
    assert "script" not in page.tags
    assert all(address.startswith(("data:", "#")) for address in page.loads)
    assert "#0101" not in text
    assert re.findall(r"url\((?!#)", text) == []
    identifiers = re.findall(r'\bid="([^"]+)"', text)
    assert len(identifiers) == len(set(identifiers))
    assert "get: p99 900 ms" in "".join(page.texts)


def test_the_page_escapes_what_it_was_told():
    """What came from elsewhere, like the text of a failure, is shown and never interpreted."""
    failure = {"kind": "get", "status": 500, "reason": "<script>alert(1)</script>", "count": 3}
    page = render(_report(failures=[failure]))
    assert "<script" not in page
    assert "get5003<script>alert(1)</script>" in "".join(_read(page).texts)


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
    conservation = _conserved() if is_whole else _conserved(lost=1)
    _read(render(json.loads(json.dumps(_report(steps, conservation=conservation)))))


@pytest.mark.parametrize(
    ("conservation", "says"),
    [(None, "Nothing could be counted: the platform ended: <x>"), (_conserved(frames=None), "not known at every")],
)
def test_a_partial_report_says_what_it_lacks(conservation, says):
    """A run that ended early has a page, too: with its verdict, the steps it finished, and what was not counted."""
    report = json.loads(json.dumps(_report(conservation=conservation, ended_by="the platform ended: <x>")))
    text = " ".join(_read(render(report)).texts)
    assert "did not come to its end" in text
    assert says in text
    assert (report["verdict"], len(report["steps"])) == ("failed", 6)


_MILLION = {
    "verdict": "passed",
    "tasks": 1_000_000,
    "summary": "1,000,000 created",
    "sums": dict.fromkeys(("created", "rows", "events", "frames", "notifications"), 1_000_000),
    "places": [{"name": "rows", "expected": 1, "found": 1, "lost": 0, "double": 0, "examples": []}],
    "stages": [{"name": "create", "meaning": "POST", "seconds": 2000.0, "items": 1_000_000, "per_second": 500.0}],
    "killed": ["relay", "gateway"],
    "starts": 2,
    "failures": {"status 503": 4},
    "connections": {"listeners": 40, "reconnects": 2, "gaps": 0, "strange": 0},
    "cpu_us_per_create": {"api": 900, "postgres": 700},
    "surroundings": {"at": "2026-11-22T04:00:00+00:00", "machine": "Linux, 2 cores", "python": "3.11"},
}


def test_the_page_shows_the_newest_million():
    """What `make million` counted is a part of the page, and a page of its own; without one there is nothing of it."""
    text = " ".join(_read(render(_report(), million=_MILLION)).texts)
    assert "1,000,000 tasks" in text
    assert "relay, gateway" in text
    assert "1,000,000 tasks" in " ".join(_read(render_million(_MILLION)).texts)
    assert "1,000,000" not in render(_report())


def test_the_page_of_an_installation_says_what_it_leaves_out():
    """Measured from outside, a report names the installation and what needs its inside."""
    report = _report()
    assert (report["target"], report["left_out"]) == (None, [])
    report = document(
        _plan(), [_step()], _conserved(), _surroundings(), failures=[], target="https://tasks.example.com"
    )
    text = " ".join(_read(render(json.loads(json.dumps(report)))).texts)
    assert "Measured from outside at https://tasks.example.com" in text
    assert "processor time of the parts" in text


def test_limits_of_the_installation_are_told_from_those_of_the_machine():
    """A share of 429 that bounds the result is said in the summary; a few of them are not."""
    for limited, told in ((1000, True), (1, False)):
        report = _report([_step(limited=limited)])
        assert report["limited"] is told
        assert ("limits by user bound this result" in report["summary"]) is told


@pytest.fixture
def chromium(tmp_path):
    """The command line of a real browser without a window."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not there (Debian: apt-get install chromium)")
    options = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    options += " --disable-component-update --disable-sync --enable-logging=stderr --window-size=1200,900"
    profile = tmp_path / "profile"
    yield [str(CHROMIUM), *options.split(), f"--user-data-dir={profile}"]
    shutil.rmtree(profile, ignore_errors=True)


def _browse(chromium, *arguments):
    return subprocess.run([*chromium, *arguments], capture_output=True, text=True, timeout=90, check=True)


@pytest.mark.parametrize(("width", "least"), [(1200, 300), (375, 250)])
def test_a_browser_shows_the_page(chromium, tmp_path, width, least):
    """A real browser lays it out, wide and as on a phone: plots have a size, nothing sticks out, its console is empty.

    The page is in a frame of that width: a window cannot be as narrow as a phone.
    """
    probe = (
        "<script>addEventListener('load', () => { parent.document.title = [...document.querySelectorAll('svg')]"
        f".map(svg => svg.getBoundingClientRect()).map(b => b.width > {least} && b.height > 150)"
        ".concat(document.documentElement.scrollWidth <= innerWidth, innerWidth).join(); });</script>"
    )
    inner = render(_report(), million=_MILLION).replace("</body>", f"{probe}</body>")
    page, picture = tmp_path / "report.html", tmp_path / "report.png"
    frame = f'<iframe style="border:0;width:{width}px;height:800px" srcdoc="{html.escape(inner)}"></iframe>'
    page.write_text(f"<!doctype html><meta charset=utf-8><title>-</title><body style=margin:0>{frame}</body>")
    shown = _browse(chromium, "--dump-dom", page.as_uri())
    assert f"<title>true,true,true,true,true,{width}</title>" in shown.stdout
    assert "CONSOLE" not in shown.stderr
    _browse(chromium, f"--screenshot={picture}", page.as_uri())
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_browser_prints_the_page(chromium, tmp_path):
    """On paper the whole page is there: a few sheets, and no table is wider than its sheet."""
    page, paper = tmp_path / "report.html", tmp_path / "report.pdf"
    # What print styles do to the layout is measured in a frame that is as wide as the sheet between its margins.
    styles = render(_report(), million=_MILLION).replace("@media print", "@media all")
    probe = (
        "<script>addEventListener('load', () => { parent.document.title ="
        " [...document.querySelectorAll('table')].filter(t => t.offsetParent)"
        ".every(t => t.getBoundingClientRect().right <= innerWidth + 1)"
        " && document.documentElement.scrollWidth <= innerWidth; });</script>"
    )
    inner = html.escape(styles.replace("</body>", f"{probe}</body>"))
    frame = f'<iframe style="border:0;width:688px;height:900px" srcdoc="{inner}"></iframe>'  # 182 mm
    page.write_text(f"<!doctype html><meta charset=utf-8><title>-</title>{frame}")
    assert "<title>true</title>" in _browse(chromium, "--dump-dom", page.as_uri()).stdout
    page.write_text(render(_report(), million=_MILLION))
    _browse(chromium, f"--print-to-pdf={paper}", page.as_uri())
    assert paper.read_bytes().startswith(b"%PDF")
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", paper.read_bytes())) <= 8


# --- the command line, and a real run


def _capacity(*arguments, **options):
    command = [sys.executable, "-m", "taskbell.capacity", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


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
        (["--output", f"{__file__}/report"], "cannot be made: "),
        (["--target", "tasks.example.com"], "--target tasks.example.com is not an address like https://"),
        (["--target", "https://me:secret@example.com"], "--target holds a password; give a token"),
        (["--target", "https://x", "--gateway", "https://x"], "--gateway https://x is not an address like wss://"),
        (["--target", "https://x", "--ca", "/nonexistent"], "--ca /nonexistent is not a file"),
        (["--target", "https://x", "--token-file", "/nonexistent"], "cannot be read: FileNotFoundError"),
        (["--target", "https://x", "--workspace", "y"], "--workspace needs the tokens of its users"),
        (["--token", "x"], "--token is for an installation: give --target, too"),
        (["--scenario", "nothing"], "invalid choice: 'nothing'"),
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


def test_it_explains_itself(tmp_path):
    """`--help` names every option and what the exit status means."""
    shown = _capacity("--help", timeout=60, cwd=tmp_path).stdout
    assert "--minimum-users" in shown
    assert "Exit status: 0" in shown
    assert list(tmp_path.iterdir()) == []


def test_a_report_of_an_earlier_run_is_not_taken_for_this_one(monkeypatch, tmp_path):
    """Whatever keeps a run from its report, the one before it is gone: nobody reads a verdict that is not there."""
    for name in ("report.json", "report.html"):
        (tmp_path / name).write_text("of yesterday")

    def refuse(folder):
        raise service.PlatformNotStarted("no space left")

    with pytest.raises(service.PlatformNotStarted):
        run(parse(["--output", str(tmp_path)]), Interrupts(), start=refuse)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_cannot_be_made_ends_with_2(monkeypatch, capsys, tmp_path):
    """What keeps the check from running is said in one line, and is not taken for a verdict."""

    def refuse(folder):
        raise service.PlatformNotStarted("no room")

    monkeypatch.setattr(check.Interrupts, "install", lambda _: None)
    monkeypatch.setattr(sys, "argv", ["capacity", "--output", str(tmp_path)])
    assert check.main(start=refuse) == 2
    assert capsys.readouterr().err == "capacity: starting the platform\ncapacity: could not run: no room\n"
    assert list(tmp_path.iterdir()) == []
