"""One command tests everything, and continuous integration runs it."""

import subprocess
import tomllib

import pytest
import yaml


@pytest.mark.feature("F18")
def test_one_command_runs_all_tests(root, tracked):
    """`make test` runs pytest over the folder that contains every test, and excludes none."""
    line = subprocess.run(["make", "-n", "test"], cwd=root, capture_output=True, text=True, check=True).stdout
    assert " -m pytest -n 2 --dist loadgroup -q\n" in line
    options = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    assert options["testpaths"] == ["tests"]
    assert "-k" not in options["addopts"]
    assert "--ignore" not in options["addopts"]
    tests = [path for path in tracked if path.name.startswith("test_") and path.suffix == ".py"]
    assert len(tests) > 100
    assert [path for path in tests if root / "tests" not in path.parents] == []


def test_continuous_integration_runs_that_command(root):
    """Every push and pull request runs `.ci/run`, on the oldest and the newest Python, which checks and tests."""
    workflow = yaml.load((root / ".github" / "workflows" / "ci.yml").read_text(), yaml.BaseLoader)
    assert {"push", "pull_request"} <= set(workflow["on"])
    (job,) = workflow["jobs"].values()
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.13"]
    assert ".ci/run" in [step.get("run") for step in job["steps"]]
    script = (root / ".ci" / "run").read_text()
    assert "\nstep make check " in script
    assert "\nstep make test " in script
