"""A crowd at one gateway: what it counts, and a small one.

`.venv/bin/python loadtests/crowd.py` has ten thousand listeners.
"""

import re
import subprocess
import sys

import pytest

from crowd import Heard, count


def test_each_listener_of_a_team_is_due_each_task_of_it_once():
    """What did not come is lost, what came again is double, and what others created is strange."""
    created = {0: ["a", "b"], 1: ["c"]}
    whole = [Heard(0, ["a", "b"]), Heard(0, ["b", "a"]), Heard(1, ["c"]), Heard(2, [])]
    found = count(created, whole)
    assert (found.due, found.is_exact) == (5, True)
    found = count(created, [Heard(0, ["a", "a", "a"]), Heard(1, ["c", "b", "b"])])
    assert (found.due, found.lost, found.double, found.strange) == (3, 1, 2, 2)
    assert not found.is_exact


@pytest.mark.feature("M20", "F4")
@pytest.mark.timeout(600)
def test_a_crowd_gets_each_frame_once_while_tasks_are_created(loadtests):
    """Sixty listeners in teams of ten, and forty tasks a second: all frames come, and the figures are printed."""
    command = [sys.executable, str(loadtests / "crowd.py"), "--listeners", "60", "--rate", "40", "--seconds", "2"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "frames due 800, lost 0, double 0, strange 0; connections that closed 0" in ended.stdout
    assert re.search(r"commit to frame: \d+\.\d ms p50, \d+\.\d ms p99", ended.stdout)
    assert re.search(r"gateway: \d+ MiB, -?\d+\.\d KiB for each listener", ended.stdout)
