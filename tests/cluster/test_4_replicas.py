"""A bundled replica: it comes with an upgrade, answers reads, is replaced, follows the primary, and goes again."""

import re

import pytest

from real_cluster.report import unseen
from real_cluster.tools import until

PER_SECOND = 20
_METRICS = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8000/metrics').read().decode())"
_STREAMING = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"


def metric(release, name):
    """A metric of each API pod; 0 where it is not there."""
    told = [release.kubectl("exec", pod, "--", "python", "-c", _METRICS) for pod in release.pods("api")]
    values = [re.search(rf"^{re.escape(name)}(?:\{{.*\}})? (\S+)$", text, re.MULTILINE) for text in told]
    return [float(found[1]) if found else 0.0 for found in values]


def by_replica(release):
    """How many reads the replica has answered."""
    return sum(metric(release, 'taskbell_api_reads_total{answered_by="replica"}'))


def serves(release):
    """Whether the replica streams, and each API process reads from it."""
    primary = f"{release.deployment('postgresql')}-0"
    asking = ("psql", "--username=postgres", "--tuples-only", "--command", _STREAMING)
    usable = metric(release, "taskbell_api_replica_usable_ratio")
    return int(release.kubectl("exec", primary, "--", *asking)) == 1 and set(usable) == {1.0}


def replaced(release, pod):
    """Delete a pod; return when the next one of its name is ready."""
    uid = release.kubectl.get("pod", pod)["metadata"]["uid"]
    release.kubectl("delete", "pod", pod, "--wait=false")

    def is_there():
        found = [each for each in release.kubectl.items("pods") if each["metadata"]["name"] == pod]
        return [
            each
            for each in found
            if each["metadata"]["uid"] != uid and each["status"].get("containerStatuses", [{}])[0].get("ready")
        ]

    until(is_there, f"{pod} is there again", within=300)


@pytest.mark.feature("M40", "M22")
def test_a_replica_comes_serves_and_goes(busy, report):
    """It streams, answers reads of both API pods and never too old; its end and the primary's are survived."""
    replica, primary = (f"{busy.deployment(part)}-0" for part in ("postgresql-replica", "postgresql"))
    busy.upgrade("--set", "database.bundled.replicas=1")
    until(lambda: serves(busy), "the replica serves", within=120)
    report.line("helm upgrade to one replica")
    answered = by_replica(busy)
    with busy.users.doing("reads") as result:
        until(lambda: by_replica(busy) > answered + 100, "the replica answers reads", within=120)
        replaced(busy, replica)
        until(lambda: serves(busy), "the new replica serves", within=120)
        answered = by_replica(busy)
        until(lambda: by_replica(busy) > answered + 100, "the new replica answers reads", within=120)
    report.line("reads while the replica is replaced", changes=result["changes"], old=result["old"])
    assert result["old"] == 0
    assert result["failures"] == []
    with busy.users.doing("load", PER_SECOND) as result:
        replaced(busy, primary)
        until(lambda: serves(busy), "the replica follows the new primary", within=120)
    unseen(report, "deletion of the primary of a replica", result, failures=True)
    (status,) = busy.kubectl.get("pod", replica)["status"]["containerStatuses"]
    assert status["restartCount"] == 0
    with busy.users.doing("reads") as result:
        busy.upgrade("--set", "database.bundled.replicas=0")
    report.line("helm upgrade to no replica", changes=result["changes"], old=result["old"])
    assert result["old"] == 0
    assert not busy.pods("postgresql-replica")
    assert not [name for name in busy.kubectl.names("services,statefulsets,configmaps") if "replica" in name]
    assert set(metric(busy, "taskbell_api_replica_usable_ratio")) == {0.0}
