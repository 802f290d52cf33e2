"""What somebody sees who installs the platform as the README tells."""

import pytest


@pytest.mark.feature("K7")
def test_the_readme_installs_a_platform_that_passes_its_test(installed, report):
    """The README's commands install a release whose pods all become ready, and `helm test` passes."""
    release, printed = installed
    if printed is None:
        pytest.skip("the release was there before; uninstall it to see an installation")
    notes, tested = printed
    assert "STATUS: deployed" in notes
    assert "Phase:          Succeeded" in tested
    release.settle()
    restarts = sum(
        status["restartCount"] for pod in release.kubectl.items("pods") for status in pod["status"]["containerStatuses"]
    )
    report.line("after it", pods=len(release.kubectl.names("pods")), restarts=restarts)
    assert restarts == 0


@pytest.mark.feature("K7", "K8")
def test_a_user_walks_through_the_services(release, report):
    """A user registers, signs in, creates, moves and lists tasks, and hears each event at the gateway, at once."""
    seen = release.users.do("tour")
    report.line("a user's tour", heard=len(seen["heard"]), failures=len(seen["failures"]))
    assert seen["failures"] == []
    assert seen["welcome"] == "welcome"
    assert seen["heard"] == [["task.created", "Ring the bell"], ["task.created", "Buy a rope"]]
    assert seen["listed"] == ["Buy a rope", "Ring the bell"]
    assert seen["feed"] == ["task.created", "task.created", "task.moved"]
