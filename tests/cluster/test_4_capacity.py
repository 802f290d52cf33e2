"""A capacity run in the cluster: a master and workers, as the chart starts them."""

import json

import pytest

from real_cluster.tools import until

_SHORT = {
    "enabled": True,
    "workers": 2,
    "minutes": 2.5,
    "args": [
        *("--first-users=10", "--most-users=20", "--minimum-users=0", "--teams=2", "--errors=1"),
        *(f"--{kind}-ms=60000" for kind in ("reads", "polls", "writes", "events")),
    ],
    "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
}
"""What it finds out does not matter here, only that all of it arrives."""


def jobs(release):
    """The Jobs of the present run by their components."""
    found = release.kubectl.items("jobs", "--selector=app.kubernetes.io/component in (loadtest, loadtest-worker)")
    return {job["metadata"]["labels"]["app.kubernetes.io/component"]: job for job in found}


def measured(release, folder):
    """Wait for a run's end, take its report as the notes tell, and end the master's stay; return the report."""
    run = jobs(release)
    master, workers = (run[name]["metadata"]["name"] for name in ("loadtest", "loadtest-worker"))

    def said():
        pods = release.kubectl.items("pods", f"--selector=job-name={master}")
        phases = {pod["status"]["phase"] for pod in pods}
        text = release.kubectl("logs", f"job/{master}") if phases - {"Pending"} else ""
        assert phases <= {"Pending", "Running"}, text
        return text if "staying for" in text else ""

    assert "passed after" in until(said, "the run is over", within=400, pause=3)
    (pod,) = release.kubectl.names("pods", f"--selector=job-name={master}")
    release.kubectl("cp", f"{pod}:/tmp/report", str(folder))
    release.kubectl("exec", pod, "--", "sh", "-c", "kill 1")
    for name in (master, workers):
        release.kubectl("wait", "--for=condition=Complete", f"job/{name}", "--timeout=60s")
    assert "<html" in (folder / "report.html").read_text()
    return json.loads((folder / "report.json").read_text())


@pytest.mark.feature("K10")
def test_a_run_of_a_master_and_workers_gives_its_report(busy, report, tmp_path):
    """Workers make load that is conserved, the report can be copied, and a further revision measures again."""
    for number in (1, 2):
        busy.upgrade(f"--set-json=loadtest={json.dumps(_SHORT)}")
        found = measured(busy, tmp_path / str(number))
        places = found["conservation"]
        report.line(f"capacity run {number} of two workers", created=places["created"], verdict=found["verdict"])
        assert places["created"] == places["events"] == places["frames"] > 0
        assert (places["lost"], places["double"]) == (0, 0)
        assert sum(kind["count"] for kind in found["steps"][0]["kinds"].values()) > 0
    busy.upgrade("--set", "loadtest.enabled=false")
    kinds = "jobs,services,secrets,serviceaccounts,networkpolicies"
    assert not [name for name in busy.kubectl.names(kinds) if "loadtest" in name]
    report.line("capacity run switched off")
