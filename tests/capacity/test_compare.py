"""`taskbell capacity compare`: what is worse by more than noise, and what cannot be compared."""

import copy
import json

import pytest

from taskbell.capacity.compare import NotComparable, compare, main

FIGURES = {"count": 1000, "rps": 100.0, "p50_ms": 5.0, "p95_ms": 20.0, "p99_ms": 40.0, "errors": 0}
STEP = {
    "users": 80,
    "broken": [],
    "rps": 200.0,
    "kinds": {"get": FIGURES, "create": FIGURES},
    "event_latency": FIGURES,
    "processor": {"platform": 0.8},
}
REPORT = {
    "verdict": "passed",
    "summary": "",
    "held_users": 100,
    "target": None,
    "scenario": {"name": "everyday"},
    "plan": {"listener_share": 0.15, "limits": {"error_share": 0.001}},
    "surroundings": {"machine": "Linux, 2 cores"},
    "conservation": {"lost": 0, "double": 0},
    "steps": [STEP],
}


def _changed(**changes):
    report = copy.deepcopy(REPORT)
    report["steps"][0] |= changes.pop("step", {})
    return {**report, **changes}


def _verdicts(after, noise=0.15):
    return {one.name: one.verdict for one in compare(REPORT, after, noise=noise)}


def test_two_equal_runs_are_equal():
    """A report is neither better nor worse than itself."""
    assert set(_verdicts(REPORT).values()) == {"equal"}


@pytest.mark.parametrize(("users", "verdict"), [(86, "equal"), (84, "worse"), (114, "equal"), (120, "better")])
def test_users_are_compared_with_noise(users, verdict):
    """Within the noise nothing is said; beyond it fewer users are worse and more are better."""
    assert _verdicts(_changed(held_users=users))["users held"] == verdict


@pytest.mark.parametrize(("p99", "verdict"), [(51.0, "equal"), (53.0, "worse"), (27.0, "better")])
def test_durations_may_differ_by_twice_the_noise(p99, verdict):
    """A p99 with the same users, fewer than held at most: longer is worse."""
    kinds = {"get": FIGURES | {"p99_ms": p99}, "create": FIGURES}
    assert _verdicts(_changed(step={"kinds": kinds}))["get: p99 ms at 80 users"] == verdict


EDGE = STEP | {"users": 100, "kinds": {"get": FIGURES | {"p99_ms": 70.0}, "create": FIGURES}}


def _files(folder, **reports):
    for name, report in reports.items():
        (folder / name).write_text(json.dumps(report))
    return [str(folder / name) for name in reports]


def test_the_edge_of_the_capacity_says_nothing_of_durations(tmp_path):
    """Two runs that differ only in the p99 with the most users are equal: there it doubles by chance."""
    late = EDGE | {"kinds": {"get": FIGURES | {"p99_ms": 190.0}, "create": FIGURES}}
    assert main(_files(tmp_path, a=REPORT | {"steps": [STEP, EDGE]}, b=REPORT | {"steps": [STEP, late]})) == 0


def test_a_slower_platform_is_worse_before_its_edge(tmp_path, capsys):
    """A platform that is slower with 80 % of the users is worse, though as many held, and as slow at the edge."""
    slow = STEP | {"kinds": {"get": FIGURES | {"p99_ms": 60.0}, "create": FIGURES}}
    assert main(_files(tmp_path, a=REPORT | {"steps": [STEP, EDGE]}, b=REPORT | {"steps": [slow, EDGE]})) == 1
    assert "get: p99 ms at 80 users" in capsys.readouterr().out


def test_without_a_step_before_the_edge_durations_are_left_out_aloud(tmp_path, capsys):
    """A run that began near its edge has nothing to compare but the users held, and that is said."""
    only = _files(tmp_path, a=REPORT | {"steps": [EDGE]}, b=REPORT | {"steps": [EDGE]})
    assert main(only) == 0
    assert "Durations are not compared" in capsys.readouterr().out


def test_a_few_milliseconds_and_a_few_requests_say_nothing():
    """2 ms instead of 1 ms is no doubling, and a p99 of fifty requests is left out."""
    fast = [{"get": FIGURES | {"p99_ms": p99, "count": count}} for p99, count in ((1.0, 1000), (4.0, 1000), (9.0, 50))]
    before = _changed(step={"kinds": fast[0]})
    (one,) = [one for one in compare(before, _changed(step={"kinds": fast[1]}), noise=0.1) if "get" in one.name]
    assert one.verdict == "equal"
    assert not [one for one in compare(before, _changed(step={"kinds": fast[2]}), noise=0.1) if "get" in one.name]


def test_cpu_a_request_is_compared():
    """The platform's processor time for a request, of a platform whose processes are known."""
    assert _verdicts(_changed(step={"processor": {"platform": 1.0}}))["platform: ms of CPU a request"] == "worse"


def test_a_loss_is_worse_whatever_the_noise():
    """One lost event is worse, however much noise is granted."""
    assert _verdicts(_changed(conservation={"lost": 1, "double": 0}), noise=10)["lost or double"] == "worse"


@pytest.mark.parametrize(
    "other",
    [
        {"scenario": {"name": "pollers"}},
        {"surroundings": {"machine": "Linux, 4 cores"}},
        {"target": "https://tasks.example.com"},
        {"verdict": "failed"},
    ],
)
def test_what_measured_something_else_is_not_compared(other):
    """Other users, another machine, another installation, a run without an end: no verdict."""
    with pytest.raises(NotComparable):
        compare(REPORT, _changed(**other), noise=0.15)


def test_the_exit_status_tells_the_verdict(tmp_path, capsys):
    """0: nothing is worse; 1: something is; 2: no two reports."""
    files = {"a": REPORT, "b": _changed(held_users=50), "c": {"verdict": "passed"}}
    for name, report in files.items():
        (tmp_path / name).write_text(json.dumps(report))
    status = {name: main([str(tmp_path / "a"), str(tmp_path / name)]) for name in (*files, "none")}
    assert status == {"a": 0, "b": 1, "c": 2, "none": 2}
    shown = capsys.readouterr()
    assert "users held" in shown.out
    assert "worse" in shown.out
    assert len(shown.err.splitlines()) == 2
