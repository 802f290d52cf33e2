"""Pods that end without a word, and nodes that are emptied."""

import json

import pytest

from real_cluster.killing import Killer
from real_cluster.release import PARTS
from real_cluster.report import unseen
from real_cluster.tools import CommandFailed, until

PER_SECOND = 30
STORES = ("nats", "postgresql")
MAY_FAIL = {"api", "postgresql"}
"""Requests in flight end with their server, and without PostgreSQL no task can be saved. Clients repeat them."""


@pytest.fixture(scope="module")
def killer(installed):
    """Kills processes on the node."""
    with Killer(installed[0].users.image) as killer:
        yield killer


def chosen(release, part):
    """The pods to end: one of several, but all gateways, since one of them has the listener's connection."""
    pods = release.pods(part)
    return pods if part == "gateway" else pods[:1]


@pytest.mark.feature("M22", "M44")
@pytest.mark.parametrize("part", PARTS)
def test_a_pod_that_is_deleted_at_once_loses_nothing(busy, report, part):
    """`kubectl delete --force` ends a pod without its grace; no task and no event is lost or doubled."""
    with busy.users.doing("load", PER_SECOND) as result:
        busy.kubectl("delete", "pod", *chosen(busy, part), "--force", "--grace-period=0", "--wait=false")
        busy.settle()
    unseen(report, f"kubectl delete --force of a pod of {part}", result, failures=part in MAY_FAIL)


@pytest.mark.feature("M22", "M44", "K2")
@pytest.mark.parametrize("part", [*PARTS, *STORES])
def test_a_killed_process_loses_nothing(busy, report, killer, part):
    """SIGKILL of a pod's processes: Kubernetes starts the container again, and nothing is lost or doubled."""
    pods = [busy.kubectl.get("pod", name) for name in chosen(busy, part)]

    def restarted(pod):
        found = busy.kubectl.get("pod", pod["metadata"]["name"])["status"]["containerStatuses"][0]
        return found["restartCount"] > pod["status"]["containerStatuses"][0]["restartCount"] and found["ready"]

    with busy.users.doing("load", PER_SECOND) as result:
        for pod in pods:
            assert killer.kill(pod["metadata"]["uid"]) > 0
        until(lambda: all(map(restarted, pods)), f"{part} is started again", within=180)
        busy.settle()
    unseen(report, f"kill -9 in a pod of {part}", result, failures=part in MAY_FAIL)


@pytest.mark.feature("M22")
def test_evictions_wait_for_each_other(busy, report):
    """An emptied node takes one pod of a part at a time: a second eviction is refused until the first is replaced."""
    budgets = {found["metadata"]["name"] for found in busy.kubectl.items("poddisruptionbudgets")}
    parts = [part for part in PARTS if busy.deployment(part) in budgets]
    assert {"api", "gateway"} <= {*parts}
    refused = 0
    with busy.users.doing("load", PER_SECOND) as result:
        for part in parts:
            first, second, *_ = busy.pods(part)
            evict(busy, first)
            with pytest.raises(CommandFailed, match="disruption budget"):
                evict(busy, second)
            refused += 1
            until(lambda pod=second: evicted(busy, pod), f"{second} may go, too", within=120)
            busy.settle()
    unseen(report, f"eviction of two pods each of {', '.join(parts)}, {refused} refused at first", result)


def evict(release, pod):
    """Ask for an eviction, as `kubectl drain` does."""
    where = {"name": pod, "namespace": release.kubectl.namespace}
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": where}
    path = f"/api/v1/namespaces/{where['namespace']}/pods/{pod}/eviction"
    release.kubectl("create", "--raw", path, "--filename=-", input=json.dumps(body))


def evicted(release, pod):
    """Try an eviction again; whether it was granted."""
    try:
        evict(release, pod)
    except CommandFailed as failed:
        if "disruption budget" not in str(failed):
            raise
        return False
    return True
