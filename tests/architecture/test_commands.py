"""One command tests everything, and continuous integration runs it."""

import os
import subprocess
import sys

import pytest
import yaml

_FILES_ONLY = """
import pytest


class Found(pytest.Item):
    def runtest(self):
        raise NotImplementedError


class File(pytest.File):
    def collect(self):
        yield Found.from_parent(self, name="found")


def pytest_pycollect_makemodule(module_path, parent):
    return File.from_parent(parent, path=module_path)
"""


@pytest.mark.feature("F18")
def test_one_command_runs_all_tests(root, tracked, tmp_path):
    """The command that `make test` runs collects every test file.

    It is run as `make` prints it, but collects only, and imports none of them: a file that fails to be imported fails
    the suite.
    """
    (tmp_path / "files_only.py").write_text(_FILES_ONLY)
    printed = subprocess.run(["make", "-n", "test"], cwd=root, capture_output=True, text=True, check=True).stdout
    (line,) = [line.removeprefix("exec ") for line in printed.splitlines() if " -m pytest" in line]
    command = [sys.executable, *line.split()[1:], "-n", "0", "--collect-only", "-p", "files_only"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True, timeout=300)
    collected = {line.partition("::")[0] for line in done.stdout.splitlines() if line.startswith("tests/")}
    files = {str(path.relative_to(root)) for path in tracked if path.name.startswith("test_") and path.suffix == ".py"}
    assert len(files) > 100
    assert files - collected == set()


@pytest.mark.parametrize("fails", ["nothing", "check", "test"])
def test_continuous_integration_runs_checks_and_tests(root, tmp_path, fails):
    """`.ci/run` runs both, also where the first fails, and its status and its last line are honest."""
    fake = tmp_path / "make"
    fake.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/ran\necho "7 passed in 1.00s"\n[ "$1" != {fails} ]\n')
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")  # who is not root installs no packages
    for program in (fake, tmp_path / "id"):
        program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        [root / ".ci" / "run"], env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert [line.split()[0] for line in (tmp_path / "ran").read_text().splitlines()] == ["check", "test"]
    assert (done.returncode == 0) == (fails == "nothing"), done.stderr
    assert done.stdout.splitlines()[-1] == "7 passed in 1.00s"


def test_every_push_runs_it(root):
    """Every push and pull request runs `.ci/run`, on the oldest and the newest Python."""
    workflow = yaml.load((root / ".github" / "workflows" / "ci.yml").read_text(), yaml.BaseLoader)
    assert {"push", "pull_request"} <= set(workflow["on"])
    job = workflow["jobs"]["run"]
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.13"]
    assert ".ci/run" in [step.get("run") for step in job["steps"]]
