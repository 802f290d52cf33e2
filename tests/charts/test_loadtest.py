"""The capacity run of a release: a master and workers, as their programs understand what the chart tells them."""

import pytest

from taskbell.capacity.arguments import parse


@pytest.fixture
def values(value_sets):
    """Values that switch it on."""
    return value_sets["loadtest"]


def _jobs(rendered):
    jobs = {job["metadata"]["labels"]["app.kubernetes.io/component"]: job for job in rendered.of("Job").values()}
    return jobs["loadtest"], jobs["loadtest-worker"]


def _container(job):
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return container


def test_it_is_off_unless_asked_for(chart):
    """A release measures nothing by itself."""
    assert not [thing for thing in chart.render().objects if "loadtest" in thing["metadata"]["name"]]


@pytest.mark.feature("K10")
def test_the_master_takes_what_the_chart_tells_it(chart, values, monkeypatch):
    """Its command line is one of the capacity check, and names the Services of the release as they are."""
    rendered = chart.render(values)
    master, worker = _jobs(rendered)
    environment = {entry["name"] for entry in _container(master)["env"]}
    assert environment == {"CAPACITY_KEY", "CAPACITY_TOKEN"}
    for name in environment:
        monkeypatch.setenv(name, "x" * 40)
    monkeypatch.setattr("os.access", lambda *_: True)
    command = parse(_container(master)["command"][5:])
    assert (command.plan.scenario, command.plan.most_users, command.workers.number) == ("importers", 2000, 3)
    services = {
        f"{name}:{port['port']}" for name, one in rendered.of("Service").items() for port in one["spec"]["ports"]
    }
    assert command.target.api_url.removeprefix("http://") in services
    assert command.target.gateway_url.removeprefix("ws://").removesuffix("/ws") in services
    assert (command.target.patience_seconds, command.stay_seconds) == (600, 3600)
    assert (worker["spec"]["parallelism"], worker["spec"]["completions"]) == (3, 3)


def test_the_report_can_be_taken(chart, values):
    """The master writes where its volume is, and stays; the notes name the command that copies from there."""
    rendered = chart.render(values)
    master, _ = _jobs(rendered)
    container = _container(master)
    assert "--output=/tmp/report" in container["command"]
    assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]
    assert ":/tmp/report report" in rendered.notes
    assert master["spec"]["template"]["spec"]["restartPolicy"] == "Never"
    assert master["spec"]["backoffLimit"] == 0


def test_workers_find_their_master_and_share_its_key(chart, values):
    """They go to the Service that selects the master, at the ports that it has, with the key of one Secret."""
    rendered = chart.render(values)
    master, worker = _jobs(rendered)
    *_, host = _container(worker)["command"]
    service = rendered.of("Service")[host]["spec"]
    assert service["selector"].items() <= master["spec"]["template"]["metadata"]["labels"].items()
    assert {port["port"] for port in service["ports"]} == {5557, 5558}
    mark = service["selector"]["taskbell.dev/run"]
    assert master["metadata"]["name"].endswith(mark), "workers must not join the run of an earlier revision"
    keys = [
        next(entry for entry in _container(job)["env"] if entry["name"] == "CAPACITY_KEY") for job in (master, worker)
    ]
    assert keys[0] == keys[1]
    assert len(rendered.environment({"env": keys[:1]})["CAPACITY_KEY"]) >= 16


@pytest.mark.feature("P25")
def test_nobody_but_workers_reaches_the_master(chart, values):
    """Locust asks nobody for a password: its ports are open for workers alone, and both reach the public parts only."""
    policies = chart.render(values).of("NetworkPolicy")
    master, worker = (policies[f"demo-taskbell-{name}"]["spec"] for name in ("loadtest", "loadtest-worker"))
    (rule,) = master["ingress"]
    (peer,) = rule["from"]
    assert peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "loadtest-worker"
    assert "ingress" not in worker
    reached = {
        name: {
            target["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
            for flow in spec["egress"]
            for target in flow["to"]
        }
        for name, spec in {"master": master, "worker": worker}.items()
    }
    assert reached == {"master": {"api", "gateway"}, "worker": {"loadtest", "api"}}
