"""A million tasks: the parts of it as pure values, and a short run that is interrupted and killed on its way."""

import json
import os
import signal
import subprocess
import sys

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskbell.capacity.conservation import Place
from taskbell.capacity.million import judging
from taskbell.capacity.million.__main__ import main
from taskbell.capacity.million.ears import ROWS, Ears, row_of
from taskbell.capacity.million.judging import ANSWERED, READ, TRIED, UNTRIED
from taskbell.capacity.million.plan import Plan, due_at, storm_at
from taskbell.capacity.million.progress import bar, clock
from taskbell.testing.waiting import until

PLAN = Plan(run="ab12", tasks=100, teams=3)


@given(st.integers(0, 99))
def test_a_title_names_its_task(number):
    """What is written as a title is read as the same task, and no other text is."""
    assert PLAN.number_of(PLAN.title(number)) == number
    assert PLAN.number_of(f"cd34-{number}") is None
    assert PLAN.number_of(f"ab12-0{number}") is None
    assert PLAN.number_of(f"ab12-{number + 100}") is None


@given(now=st.floats(1e9, 2e9), left=st.integers(0, 10**7), speed=st.floats(0, 1e5))
def test_the_storm_comes_after_the_last_creation(now, left, speed):
    """All reminders share one due time, which lies behind the time that their creation will take."""
    storm = storm_at(now, left=left, per_second=speed)
    assert storm >= now + left / max(speed, 1.0)
    assert due_at(now, storm=storm) == storm


@given(now=st.floats(1e9, 2e9), late=st.floats(0, 1e6))
def test_a_task_that_is_made_after_the_storm_is_not_due_already(now, late):
    """A due time is never in the past of its request, however long the run was away; then they come in waves."""
    due = due_at(now + late, storm=now)
    assert 5 <= due - (now + late) <= 15 + 1e-3
    assert due % 10 == 0


def _event(event_type, title="ab12-4", **data):
    return {"type": event_type, "data": {"title": title, **data}}


def test_the_mate_counts_notifications_and_the_owner_none():
    """Both count the events of tasks; what is told to the mate counts at the mate by its kind."""
    assert row_of("owner", _event("task.created")) == ("owner task.created", "ab12-4")
    assert row_of("mate", _event("notification.created", kind="overdue")) == ("mate overdue", "ab12-4")
    assert row_of("mate", _event("notification.created", kind="invited")) is None
    assert row_of("owner", _event("task.updated")) is None


def test_a_listener_that_is_killed_in_the_middle_of_a_count_counts_once(tmp_path, monkeypatch):
    """Between the count and the cursor SIGKILL may come: the count is undone, and the event comes again."""
    ears = Ears(tmp_path / "ears", PLAN)
    ears.take(1, "1-7", "mate assigned", 4)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ears, "pass_over", killed)
        with pytest.raises(KeyboardInterrupt):
            ears.take(1, "1-8", "mate overdue", 5)
    ears.close()
    again = Ears(tmp_path / "ears", PLAN)
    again.recover()
    assert again.ear(1).cursor == "1-7"
    assert again.counters.row("mate overdue")[5] == 0
    assert again.counters.row("mate assigned")[4] == 1
    again.take(1, "1-8", "mate overdue", 5)
    assert again.ear(1).cursor == "1-8"
    assert sum(again.counters.row("mate overdue")) == 1
    again.close()


def _whole() -> tuple[bytes, dict[str, bytearray], dict[str, bytearray]]:
    """Counts of a run that lost nothing."""
    late = bytes(PLAN.first_reminded) + b"\1" * PLAN.reminded

    def row(name):
        return bytearray(late if name.endswith(("due_soon", "overdue")) else b"\1" * PLAN.tasks)

    return bytes([ANSWERED]) * PLAN.tasks, {name: row(name) for name in READ}, {name: row(name) for name in ROWS}


def _judged(answers, read, heard):
    rows = [{name: bytes(row) for name, row in rows.items()} for rows in (read, heard)]
    places = judging.places(PLAN, answers=answers, read=rows[0], heard=rows[1])
    return places, judging.sums(PLAN, answers=answers, read=rows[0], heard=rows[1])


def test_a_whole_run_has_equal_sums():
    """Created, rows, events, frames and notifications are equal; reminders are a tenth; no place misses anything."""
    places, sums = _judged(*_whole())
    assert (sums.created, sums.rows, sums.events, sums.frames, sums.notifications) == (100,) * 5
    assert sums.reminders == 10
    assert [(place.lost, place.double) for place in places] == [(0, 0)] * len(places)


@pytest.mark.parametrize("where", [("read", name) for name in READ] + [("heard", name) for name in ROWS])
def test_one_loss_and_one_double_are_found_at_every_place(where):
    """Of a hundred tasks one is missing and one came twice: both are counted there, named, and nowhere else."""
    answers, read, heard = _whole()
    row = {"read": read, "heard": heard}[where[0]][where[1]]
    row[97], row[98] = 0, 2
    places, _ = _judged(answers, read, heard)
    (found,) = [place for place in places if place.lost or place.double]
    assert (found.lost, found.double) == (1, 1)
    assert found.examples == ["lost: task 97", "2 times: task 98"]


def test_a_reminder_of_a_task_that_has_none_is_double():
    """What comes and was not expected counts as double."""
    answers, read, heard = _whole()
    heard["mate overdue"][3] = 1
    places, _ = _judged(answers, read, heard)
    assert [(place.lost, place.double) for place in places if place.double] == [(0, 1)]


def test_a_task_without_an_answer_is_not_created():
    """A creation that was tried, or not even that, is missing among the answers."""
    _, read, heard = _whole()
    answers = bytes([ANSWERED] * 98 + [TRIED, UNTRIED])
    places, sums = _judged(answers, read, heard)
    assert sums.created == 98
    assert places[0] == Place("answers of 201", 100, 98, lost=2, examples=["not created: 98", "not created: 99"])


def test_progress_tells_the_time_that_is_left():
    """Share, number, speed of this start, and the time left at this speed."""
    line = bar("create", done=500_000, of=1_000_000, seconds=1000, begun_with=100_000)
    assert "50% 500,000 of 1,000,000, 400/s, 20:50 left" in line
    assert [clock(seconds) for seconds in (12, 185, 3723)] == ["12 s", "3:05", "1:02:03"]


def test_a_folder_of_another_run_is_refused(tmp_path, capsys, monkeypatch):
    """A run goes on with the number of tasks that it began with."""
    from taskbell.capacity.million.store import State, Store

    Store(tmp_path / "run").write(State(plan=PLAN))
    monkeypatch.setattr("taskbell.capacity.interrupts.Interrupts.install", lambda _: None)
    assert main(["--tasks", "200", "--output", str(tmp_path)]) == 2
    assert "makes 100 tasks: give --tasks 100, or --fresh" in capsys.readouterr().err


class _Started:
    """A run of the command in a folder."""

    def __init__(self, folder, number):
        self.log = folder / f"said-{number}"
        command = [sys.executable, "-m", "taskbell.capacity", "million", "--tasks", "3000", "--teams", "3"]
        environment = {**os.environ, "TASKBELL_API_WORKERS": "1"}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([*command, "--output", str(folder)], env=environment, stderr=log)
        self._answers = folder / "run" / "creator.counts"

    def until_created(self, number):
        """Wait until so many tasks are created."""

        def enough():
            if self.process.poll() is not None:
                raise AssertionError(self.log.read_text())
            return self._answers.exists() and self._answers.read_bytes().count(ANSWERED) >= number

        until(enough, f"{number} tasks", within=240)


@pytest.mark.feature("K11")
@pytest.mark.timeout(600)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends what a dead parent started")
def test_a_short_run_goes_on_after_ctrl_c_and_after_kill_9(tmp_path):
    """Interrupted, then killed by SIGKILL half-way, relay and gateway killed too: every count is equal at the end."""
    first = _Started(tmp_path, 1)
    first.until_created(300)
    first.process.send_signal(signal.SIGINT)
    assert first.process.wait(120) == 2
    assert "interrupted; the same command goes on" in first.log.read_text()
    second = _Started(tmp_path, 2)
    second.until_created(1500)
    started = psutil.Process(second.process.pid).children(recursive=True)
    second.process.kill()
    second.process.wait()
    assert psutil.wait_procs(started, timeout=90)[1] == []
    third = _Started(tmp_path, 3)
    assert third.process.wait(400) == 0, third.log.read_text()
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["verdict"], report["starts"], report["killed"]) == ("passed", 3, ["relay", "gateway"])
    counted = [report["sums"][name] for name in ("created", "rows", "events", "frames", "notifications")]
    assert counted == [3000] * 5
    assert report["sums"]["reminders"] == 300
    assert (report["lost"], report["double"], report["connections"]["strange"]) == (0, 0, 0)
    assert "3,000 tasks" in (tmp_path / "report.html").read_text()
    assert not (tmp_path / "run").exists()
