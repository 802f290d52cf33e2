"""The end of a release, and a second life of its data."""

import pytest

from real_cluster.release import NAME, NAMESPACE
from real_cluster.tools import run, until

_OTHERS = (
    "events",
    "events.events.k8s.io",
    "leases.coordination.k8s.io",
    "endpointslices.discovery.k8s.io",
    "endpoints",
)
_OF_KUBERNETES = {"serviceaccounts/default", "configmaps/kube-root-ca.crt"}
KEPT = {
    "persistentvolumeclaims/data-tasks-taskbell-nats-0",
    "persistentvolumeclaims/data-tasks-taskbell-postgresql-0",
    "secrets/tasks-taskbell-database-admin",
}
"""What docs/how-to/operate.md tells."""


def left(release):
    """The objects in the release's namespace that are not Kubernetes' own."""
    kinds = run("kubectl", "api-resources", "--verbs=list", "--namespaced", "--output=name").split()
    found = release.kubectl("get", ",".join(kind for kind in kinds if kind not in _OTHERS), "--output=name").split()
    names = {name.split("/")[0].split(".")[0] + "/" + name.split("/")[1] for name in found}
    plural = {name if name.split("/")[0].endswith("s") else name.replace("/", "s/", 1) for name in names}
    return plural - _OF_KUBERNETES


@pytest.mark.feature("K7")
def test_uninstall_leaves_what_the_page_tells_and_a_new_release_uses_it(busy, report, tmp_path):
    """`helm uninstall` leaves the volumes, a Secret and the definitions; a new release finds the data; nothing else."""
    with busy.users.doing("load", 30) as result:
        pass
    assert result["created"] > 0
    tasks = stored(busy)
    busy.users.stop()
    report.begin()
    run("helm", "uninstall", NAME, "--namespace", NAMESPACE, "--wait", "--timeout", "5m", within=320)
    until(lambda: left(busy) == KEPT or None, f"{left(busy)} is {KEPT}", within=180)
    definitions = run("kubectl", "get", "crds", "--output=name")
    assert "reminderschedules.taskbell.dev" in definitions
    assert "workerpools.taskbell.dev" in definitions
    report.line("uninstall", left=len(KEPT))
    busy.follow_readme(tmp_path)
    busy.settle()
    assert stored(busy) == tasks
    report.line("install again", tasks_that_are_still_there=tasks)
    run("helm", "uninstall", NAME, "--namespace", NAMESPACE, "--wait", "--timeout", "5m", within=320)
    until(lambda: left(busy) == KEPT or None, f"{left(busy)} is {KEPT}", within=180)
    report.line("uninstall again", left=len(KEPT))


def stored(release):
    """How many tasks PostgreSQL has."""
    pod = f"{release.deployment('postgresql')}-0"
    counting = ("--tuples-only", "--command", "SELECT count(*) FROM tasks")
    return int(release.kubectl("exec", pod, "--", "psql", "--username=postgres", "--dbname=taskbell", *counting))
