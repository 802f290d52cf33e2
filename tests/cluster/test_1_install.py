"""What somebody sees who installs the platform as the README tells."""

import pytest

from real_cluster.release import PATIENT
from real_cluster.tools import until


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


@pytest.mark.feature("K5", "K6", "K7")
def test_the_first_upgrade_reaches_schedules_and_pools(release, report):
    """Schedules and pools change with the release, go when they are switched off, and a rollback brings them back."""
    kubectl, revision = release.kubectl, release.revision()
    before = {name: kubectl.get("reminderschedule", name)["spec"] for name in kubectl.names("reminderschedules")}
    release.upgrade("--set", "reminders.maintenance=18 4 * * *", "--set", "delivery.pool.max=7")
    nightly = "tasks-taskbell-maintenance"
    assert kubectl.get("reminderschedule", nightly)["spec"]["schedule"] == "18 4 * * *"
    assert kubectl.get("workerpool", "tasks-taskbell-delivery")["spec"]["replicas"]["max"] == 7
    until(lambda: kubectl.get("cronjob", nightly)["spec"]["schedule"] == "18 4 * * *", "the CronJob follows", within=60)
    report.line("upgrade of schedules and pools")
    release.upgrade("--set", "reminders.enabled=false")
    until(
        lambda: not kubectl.names("reminderschedules") + kubectl.names("cronjobs"), "the schedules are gone", within=60
    )
    report.line("schedules switched off")
    release.helm("rollback", "tasks", str(revision), *PATIENT)
    release.settle()
    assert {name: kubectl.get("reminderschedule", name)["spec"] for name in before} == before
    until(lambda: kubectl.names("cronjobs") == sorted(before), "the CronJobs are back", within=60)
    report.line("rollback of schedules and pools")
