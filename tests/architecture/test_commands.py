"""One command tests everything, and continuous integration runs it."""

import os
import re
import subprocess
import sys
from collections import Counter

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


def test_the_tests_of_a_group_share_a_worker(root, tmp_path):
    """However many modules a group has; and the tests of a module without a group share one, too."""
    told = "import pytest\n{}\n@pytest.mark.parametrize('n', range(6))\ndef test_it(n, worker_id):\n    {}"
    note = "print('ran', 'as', worker_id, 'of', {!r})"
    for name, group in {"test_1": "both", "test_2": "both", "test_3": None, "test_4": None}.items():
        mark = f"pytestmark = pytest.mark.xdist_group({group!r})" if group else ""
        (tmp_path / f"{name}.py").write_text(told.format(mark, note.format(group or name)))
    command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadgroup", "-rP", "-p", "grouping", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(root / "tests" / "shared")}
    done = subprocess.run(
        [*command, "-p", "no:asyncio"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    ran = Counter(line for line in done.stdout.splitlines() if line.startswith("ran as "))
    assert sorted((line.split(" of ")[1], count) for line, count in ran.items()) == [
        ("both", 12),
        ("test_3", 6),
        ("test_4", 6),
    ]


@pytest.fixture
def run(root, tmp_path):
    """Run `.ci/run` with a `make` that only notes its target and the API server that it is given."""

    def started(make="", **environment):
        noted = f'echo "$1 ${{KUBEBUILDER_ASSETS:-none}}" >> {tmp_path}/ran'
        script(tmp_path / "make", f'{noted}\n{make}\necho "7 passed in 1.00s"\n[ "$1" != "${{FAILS:-}}" ]')
        script(tmp_path / "id", "echo 1000")  # who is not root installs no packages
        known = {name: value for name, value in os.environ.items() if name != "KUBEBUILDER_ASSETS"}
        known |= {"PATH": f"{tmp_path}:{os.environ['PATH']}", "KUBE_BUILDER": "/nonexistent"} | environment
        done = subprocess.run(
            [root / ".ci" / "run"], env=known, capture_output=True, text=True, check=False, timeout=300
        )
        return done, [tuple(line.split()) for line in (tmp_path / "ran").read_text().splitlines()]

    return started


def script(path, text):
    """Write a shell script."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.mark.parametrize("fails", ["nothing", "check", "test"])
def test_continuous_integration_runs_checks_and_tests(run, fails):
    """`.ci/run` runs both, also where the first fails, and its status and its last line are honest."""
    done, ran = run(FAILS=fails)
    assert ran == [("check", "none"), ("test", "none")]
    assert (done.returncode == 0) == (fails == "nothing"), done.stderr
    assert done.stdout.splitlines()[-1] == "7 passed in 1.00s"


def test_the_tests_get_a_real_api_server_that_is_compiled_meanwhile(run, tmp_path):
    """The API server is compiled while the checks run; the tests wait for it."""
    script(tmp_path / "kube-apiserver", "")
    script(tmp_path / "go", "")
    script(
        tmp_path / "build", f"while [ ! -e {tmp_path}/checked ]; do sleep 0.05; done; echo compiled; echo {tmp_path}"
    )
    done, ran = run(
        make=f'touch {tmp_path}/checked; [ "$1" = test ] || sleep 0.3', KUBE_BUILDER=str(tmp_path / "build")
    )
    assert done.returncode == 0, done.stderr
    assert ran == [("check", "none"), ("test", str(tmp_path))]


@pytest.mark.parametrize(
    ("builds", "limit", "told"),
    [
        ("echo there is no module >&2; exit 1", 300, "no real API server: there is no module"),
        ("sleep 100", 24, "no real API server: it was not compiled within 8 s"),
        ("echo /nonexistent", 300, "no real API server: "),
    ],
)
def test_without_a_real_api_server_the_tests_run_and_a_line_tells_why(run, tmp_path, builds, limit, told):
    """An API server that cannot be compiled, or not in a third of the time, is named, and nothing else changes."""
    script(tmp_path / "go", "")
    script(tmp_path / "build", builds)
    done, ran = run(KUBE_BUILDER=str(tmp_path / "build"), CI_LIMIT_SECONDS=str(limit))
    assert told in done.stderr
    assert done.returncode == 0, done.stderr
    assert ran == [("check", "none"), ("test", "none")]


def test_every_push_runs_it(root):
    """Every push and pull request runs `.ci/run`, on the oldest and the newest Python."""
    workflow = yaml.load((root / ".github" / "workflows" / "ci.yml").read_text(), yaml.BaseLoader)
    assert {"push", "pull_request"} <= set(workflow["on"])
    job = workflow["jobs"]["run"]
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.13"]
    assert ".ci/run" in [step.get("run") for step in job["steps"]]


def test_every_push_installs_on_a_real_cluster(root):
    """A job makes the images of all programs, loads them into a cluster, and runs `make test-cluster` there."""
    workflow = yaml.load((root / ".github" / "workflows" / "ci.yml").read_text(), yaml.BaseLoader)
    job = workflow["jobs"]["cluster"]
    commands = "\n".join(step.get("run", "") for step in job["steps"])
    assert "make test-cluster" in commands
    assert "kind load docker-image" in commands
    targets = set(re.findall(r"^FROM runtime\S* AS (\S+)", (root / "Dockerfile").read_text(), re.MULTILINE))
    (named,) = re.findall(r"for target in ([a-z ]+);", commands)
    assert targets >= set(named.split()) >= {"api", "relay", "sweeper", "gateway", "delivery", "operator"}
