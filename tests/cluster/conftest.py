"""A release on a real cluster, users in it, and the report.

`make test-cluster` runs these tests in the order of the files. `make test` skips them: they need a cluster and minutes.
Each test leaves a release that works; whoever runs one alone gets a release first.
"""

import pytest

from real_cluster.release import Release
from real_cluster.report import Report
from real_cluster.tools import ROOT, missing

_QUICK = (
    *("--set", "api.settings.TASKBELL_RATE_LIMIT_PER_MINUTE=1000000"),
    *("--set", "api.settings.TASKBELL_REGISTRATIONS_ALLOWED=1000"),
)
"""One user makes all requests of a test, and all users have one address."""


def pytest_collection_modifyitems(items):
    """Skip all without a cluster, and tell why; a test may take minutes."""
    here = [item for item in items if item.path.is_relative_to(ROOT / "tests" / "cluster")]
    reason = missing() if here else ""
    for item in here:
        item.add_marker(pytest.mark.xdist_group("cluster"))
        item.add_marker(pytest.mark.timeout(1200))
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def report():
    """The report of this run: build/cluster/report.md."""
    return Report(ROOT / "build" / "cluster" / "report.md", "What a cluster showed")


@pytest.fixture(scope="session")
def installed(tmp_path_factory, report):
    """The release, and what the README's commands printed; None if the release was there."""
    release = Release()
    report.begin()
    if release.is_there():
        return release, None
    printed = release.follow_readme(tmp_path_factory.mktemp("readme"))
    report.line("install and test by the README's words")
    return release, printed


@pytest.fixture
def release(installed, report):
    """The release, settled, with its users' pod; a failure shows its pods and events."""
    release, _ = installed
    release.settle()
    release.users.start()
    report.begin()
    return release


@pytest.fixture
def busy(release, report):
    """The release with limits that a test does not reach."""
    if "TASKBELL_REGISTRATIONS_ALLOWED" not in release.helm("get", "values", "tasks"):
        release.upgrade(*_QUICK)
        report.begin()
    return release
