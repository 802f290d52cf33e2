"""Whole runs of the capacity check on a real platform: undisturbed, hurt, robbed, interrupted."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import asyncpg
import psutil
import pytest

from taskbell.testing.platform import Platform
from taskbell.testing.waiting import until

_OPTIONS = "--first-users 15 --growth 2 --most-users 30 --settle 0.5 --hold 2 --teams 2 --minimum-users 0 --errors 1"
_OPTIONS += " --quiet 2 --reads-ms 60000 --polls-ms 60000 --writes-ms 60000 --events-ms 60000"

_LONG = "--most-users", "1000", "--growth", "1.1"
_ELSEWHERE = str(Path(__file__).with_name("platform_elsewhere.py"))


class _Run:
    """A run of the check, in a folder of its own."""

    def __init__(self, folder: Path, *options: str, script: Sequence[str] = ("-m", "taskbell.capacity"), **more: str):
        self.output, self.temporary, self._log = folder / "report", folder / "tmp", folder / "said.log"
        self.temporary.mkdir()
        environment = {**os.environ, "TMPDIR": str(self.temporary), **more}
        environment["TASKBELL_API_WORKERS"] = "1"  # half of the time goes into starting the platform
        command = [sys.executable, *script, *_OPTIONS.split(), *options, "--output", str(self.output)]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(command, env=environment, stderr=log)
        self.started: list[psutil.Process] = []

    @property
    def said(self) -> str:
        return self._log.read_text()

    @property
    def report(self) -> dict:
        return json.loads((self.output / "report.json").read_text())

    @property
    def accounts(self) -> list[dict]:
        """Its users, while it runs."""
        (path,) = self.temporary.glob("*/briefing.json")
        return json.loads(path.read_text())["accounts"]

    @property
    def platform(self) -> dict:
        """Its `run.json`."""
        (path,) = self.temporary.glob("*/data/run.json")
        return json.loads(path.read_text())

    def until(self, condition):
        until(lambda: condition() or self.process.poll() is not None, "what the run should do", within=300)
        assert self.process.poll() is None, self.said

    def until_it_says(self, text: str):
        self.until(lambda: text in self.said)

    def processes(self) -> list[psutil.Process]:
        """Everything that it started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def command_lines(self) -> list[list[str]]:
        """Those of everything that it started."""
        return [line for _, line in self._with_lines()]

    def kill(self, mark: str):
        """Kill the process that has this in its command line."""
        for process, line in self._with_lines():
            if mark in line:
                process.kill()

    def _with_lines(self) -> list[tuple[psutil.Process, list[str]]]:
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                found.append((process, process.cmdline()))
        return found

    def end(self) -> None:
        """End it, if it runs."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(300)

    def places(self) -> dict[str, tuple[int, int]]:
        """What was lost, and what was double, where something was."""
        places = self.report["conservation"]["places"]
        return {one["name"]: (one["lost"], one["double"]) for one in places if one["lost"] or one["double"]}


@pytest.fixture
def run(tmp_path):
    """Starts runs; what is left of them ends with the test."""
    started = []

    def start(*options) -> _Run:
        started.append(_Run(tmp_path, *options))
        return started[-1]

    yield start
    for one in started:
        one.end()


@pytest.mark.feature("K10")
@pytest.mark.timeout(600)
def test_a_short_run_conserves_every_task_though_its_parts_are_killed(run):
    """Gateway, relay and API are killed in the middle: each task still is found once at every place."""
    short = run()
    short.until_it_says("step  1")
    for name in ("gateway", "relay", "api"):
        os.kill(short.platform["components"][name]["pid"], signal.SIGKILL)
    assert short.process.wait(300) == 0, short.said
    report, conservation = short.report, short.report["conservation"]
    assert report["verdict"] == "passed"
    assert {step["users"] for step in report["steps"]} == {15, 30}  # a step in which parts were away may come twice
    assert conservation["created"] > 0
    assert len({conservation[name] for name in ("created", "events", "frames", "notifications")}) == 1
    assert (conservation["lost"], conservation["double"]) == (0, 0)
    assert all(
        place["expected"] == place["found"] > 0 for place in conservation["places"] if place["name"] != "changes"
    )
    assert all(step["processor"]["by_part"]["api"] > 0 for step in report["steps"])
    assert report["surroundings"]["reconnects"] > 0
    assert "All percentiles" in (short.output / "report.html").read_text()
    assert "step  2" in short.said
    assert list(short.temporary.iterdir()) == []


async def _rob(url: str, accounts: list[dict]) -> None:
    """Delete a notification, delete one event and repeat another, as no part of the platform would."""
    workspaces = [account["workspace_id"] for account in accounts]
    connection = await asyncpg.connect(url)
    try:
        stolen = await connection.execute(
            "DELETE FROM notifications WHERE id = (SELECT id FROM notifications"
            " WHERE kind = 'assigned' AND workspace_id = ANY ($1) LIMIT 1)",
            workspaces,
        )
        forgotten = await connection.execute(
            "DELETE FROM events WHERE id = (SELECT min(id::text)::uuid FROM events"
            " WHERE type = 'task.created' AND workspace_id = ANY ($1))",
            workspaces,
        )
        repeated = await connection.execute(
            "INSERT INTO events (workspace_id, type, subject_id, actor_id, audience, data)"
            " SELECT workspace_id, type, subject_id, actor_id, audience, data FROM events"
            " WHERE type = 'task.created' AND workspace_id = ANY ($1) ORDER BY id DESC LIMIT 1",
            workspaces,
        )
        assert (stolen, forgotten, repeated) == ("DELETE 1", "DELETE 1", "INSERT 0 1")
    finally:
        await connection.close()


def _cut(run: _Run, how: str, platform: Platform) -> None:
    if how == "theft":
        asyncio.run(_rob(platform.run["owner_database_url"], run.accounts))
    if how in {"theft", "Ctrl-C"}:
        run.process.send_signal(signal.SIGINT)
    else:
        run.kill(how)


@pytest.fixture(scope="module")
def cut_runs(tmp_path_factory):
    """Runs on one platform at the same time, each cut short in its way after its first step; they have ended."""
    with contextlib.ExitStack() as held:
        platform = Platform(tmp_path_factory.mktemp("platform"), TASKBELL_API_WORKERS="1")
        held.enter_context(platform.up())
        runs = {}
        for how in ("theft", "Ctrl-C", "locust", "taskbell.capacity.listeners"):
            folder = tmp_path_factory.mktemp("run")
            runs[how] = _Run(folder, *_LONG, script=[_ELSEWHERE], TASKBELL_DATA_DIR=str(platform.data))
            held.callback(runs[how].end)
        for how, run in runs.items():
            run.until_it_says("step  1")
            run.started = run.processes()
            _cut(run, how, platform)
        for run in runs.values():
            run.process.wait(300)
        yield runs


def _assert_all_is_gone(run: _Run) -> None:
    """Nothing that it started goes on running, and its folder is gone."""
    assert psutil.wait_procs(run.started, timeout=60)[1] == []
    assert list(run.temporary.iterdir()) == []


@pytest.mark.feature("K10")
@pytest.mark.timeout(600)
@pytest.mark.xdist_group("capacity")
def test_a_run_that_was_robbed_does_not_pass(cut_runs):
    """A notification and an event that vanish, and an event that comes twice, are each counted where they are."""
    robbed = cut_runs["theft"]
    assert robbed.process.returncode == 1, robbed.said
    assert robbed.report["verdict"] == "not_conserved"  # which weighs more than the interruption
    places = robbed.places()
    assert places["notifications"][0] == 1
    assert places["events of notifications"][1] >= 1  # it was announced, and perhaps read
    assert places["events of tasks"] == (1, 1)
    assert places["events in the change feeds"] == (0, 2)  # two people were told of an event that is no more
    assert "frames at the listeners" not in places
    assert "not conserved" in (robbed.output / "report.html").read_text()
    _assert_all_is_gone(robbed)


@pytest.mark.timeout(600)
@pytest.mark.xdist_group("capacity")
@pytest.mark.parametrize(
    ("how", "verdict", "reason"),
    [
        ("Ctrl-C", "interrupted", "interrupted"),
        ("locust", "failed", "the load generator ended early"),
        ("taskbell.capacity.listeners", "failed", "the listeners ended early"),
    ],
)
def test_a_run_that_is_cut_short_reports_what_it_has(cut_runs, how, verdict, reason):
    """Status 2, the reason, the finished steps, what can be counted is counted; nothing goes on running."""
    cut = cut_runs[how]
    assert cut.process.returncode == 2, cut.said
    report = cut.report
    assert (report["verdict"], report["steps"][0]["users"]) == (verdict, 15)
    assert report["ended_by"].startswith(reason)
    assert cut.places() == {}
    assert report["conservation"]["created"] > 0
    assert (report["conservation"]["frames"] is None) == (how == "taskbell.capacity.listeners")
    _assert_all_is_gone(cut)


@pytest.mark.timeout(600)
def test_a_run_without_its_platform_reports_what_it_has(run):
    """The same where the platform was killed: nothing can be counted."""
    cut = run(*_LONG)
    cut.until_it_says("step  1")
    cut.started = cut.processes()
    cut.kill("taskbell.local")
    assert cut.process.wait(300) == 2, cut.said
    report = cut.report
    assert (report["verdict"], report["steps"][0]["users"]) == ("failed", 15)
    assert report["ended_by"].startswith("the platform ended")
    assert report["conservation"] is None
    _assert_all_is_gone(cut)


def test_an_interrupted_start_leaves_nothing_behind(run):
    """Ctrl-C before the load, twice: status 2, no report, no folder, and no platform that goes on running."""
    early = run()
    early.until(lambda: list(early.temporary.glob("*/data/*")))
    started = early.processes()
    early.process.send_signal(signal.SIGINT)
    early.process.send_signal(signal.SIGINT)
    assert early.process.wait(300) == 2
    assert "interrupted" in early.said.splitlines()[-1]
    assert psutil.wait_procs(started, timeout=60)[1] == []
    assert list(early.temporary.iterdir()) == []
    assert not early.output.exists()


@pytest.mark.timeout(600)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends what a dead parent started")
def test_a_killed_run_takes_everything_with_it(run):
    """SIGKILL, which nobody can clean up after: platform, listeners and generator end by themselves."""
    killed = run()
    killed.until(lambda: any("locust" in line for line in killed.command_lines()))
    started = killed.processes()
    assert len(started) > 10
    assert any("taskbell.capacity.listeners" in line for line in killed.command_lines())
    killed.process.kill()
    killed.process.wait()
    assert psutil.wait_procs(started, timeout=60)[1] == []
