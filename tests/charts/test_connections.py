"""The network policies against the connections that were really made in a cluster, over everybody and every port."""

import asyncio
import itertools
from pathlib import Path

import pytest
import yaml

from kubernetes_emulator.server import KubernetesServer
from network_policies import Network, Pod
from taskbell.contract.crds import manifests

pytestmark = pytest.mark.feature("P25")

NEEDED = {
    (each["from"], each["to"], each["protocol"], each["port"])
    for each in yaml.safe_load(Path(__file__).with_name("connections.yaml").read_text())
}
NAMESPACES = {name: {"kubernetes.io/metadata.name": name} for name in ("tasks", "edge", "monitoring", "kube-system")}
SWEEP = {"app.kubernetes.io/part-of": "taskbell", "app.kubernetes.io/managed-by": "taskbell-operator"}
OTHERS = [
    Pod(name="names", address="10.244.9.1", namespace="kube-system", labels={"k8s-app": "kube-dns"}),
    Pod(name="proxy", address="10.244.9.2", namespace="edge", labels={"app": "proxy"}),
    Pod(name="prometheus", address="10.244.9.3", namespace="monitoring", labels={"app": "prometheus"}),
    Pod(name="neighbour", address="10.244.9.4", namespace="tasks", labels={"app": "neighbour"}),
    Pod(
        name="second-release",
        address="10.244.9.5",
        namespace="tasks",
        labels={"app.kubernetes.io/name": "taskbell", "app.kubernetes.io/instance": "second"},
    ),
    Pod(name="api-server", address="10.243.0.2"),
    Pod(name="node", address="10.243.0.3"),
    Pod(name="private", address="192.168.7.7"),
    Pod(name="metadata", address="169.254.169.254"),
    Pod(name="metadata-6", address="fd00:ec2::254"),
    Pod(name="webhook", address="93.184.215.14"),
    Pod(name="webhook-6", address="2606:2800:21f:cb07:6820:80da:af6b:8b2c"),
    Pod(name="mail", address="10.0.2.5"),
    Pod(name="database", address="10.0.0.5"),
    Pod(name="bus", address="10.0.1.5"),
]
PORTS = [
    *(("TCP", port) for port in (22, 25, 53, 80, 443, 465, 587, 4222, 4318, 5432, 6222, 6443)),
    *(("TCP", port) for port in (8000, 8001, 8002, 8003, 8080, 8222, 9090, 10250)),
    *(("UDP", port) for port in (53, 123, 443)),
]
SERVED = {"api": 8000, "gateway": 8001, "relay": 8002, "delivery": 8003, "operator": 8080}
PUBLIC = ("webhook", "webhook-6")


def namespace(name):
    """A peer: all pods of a namespace."""
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def block(address):
    """A peer: one address."""
    return {"ipBlock": {"cidr": f"{address}/32"}}


NARROW = {
    "delivery": {"smtp": {"url": "smtp://10.0.2.5:25"}},
    "networkPolicy": {
        "publicFrom": [namespace("edge")],
        "metricsFrom": [namespace("monitoring")],
        "apiServerTo": [block("10.243.0.2")],
        "apiServerPorts": [6443],
        "smtpTo": [block("10.0.2.5")],
        "smtpPorts": [25],
    },
}
EXTERNAL = {
    "database": {"mode": "external", "external": {"existingSecret": "urls"}},
    "nats": {"mode": "external", "external": {"existingSecret": {"name": "nats"}}},
}


def pods_of(rendered):
    """A pod of everything that the chart runs, and of the CronJobs that the operator makes."""
    made = {}
    for _, pod in rendered.pods():
        labels = pod["metadata"]["labels"]
        ports = {
            port["name"]: ("TCP", port["containerPort"])
            for container in pod["spec"]["containers"]
            for port in container.get("ports", [])
        }
        name = labels["app.kubernetes.io/component"]
        made[name] = Pod(name=name, address=f"10.244.0.{len(made) + 2}", namespace="tasks", labels=labels, ports=ports)
    for name, schedule in (("sweep", "demo-taskbell-due"), ("maintenance", "demo-taskbell-maintenance")):
        labels = {**SWEEP, "taskbell.dev/reminderschedule": schedule}
        made[name] = Pod(name=name, address=f"10.244.0.{len(made) + 2}", namespace="tasks", labels=labels)
    return made


def allowed(rendered, *, blocks_hold_pods=False):
    """Everything that the policies allow, among all pods, addresses and ports, to and from the pods of the chart."""
    network = Network(
        policies=list(rendered.of("NetworkPolicy").values()), namespaces=NAMESPACES, blocks_hold_pods=blocks_hold_pods
    )
    own = list(pods_of(rendered).values())
    pairs = [(one, two) for one, two in itertools.permutations([*own, *OTHERS], 2) if one in own or two in own]
    return {
        (source.name, target.name, protocol, port)
        for source, target in pairs
        for protocol, port in PORTS
        if network.allows(source, target, port, protocol)
    }


def elsewhere(needed):
    """The same connections with stores outside the cluster."""
    places = {"postgresql": "database", "nats": "bus"}
    return {(source, places.get(target, target), protocol, port) for source, target, protocol, port in needed}


def granted(own):
    """What is allowed besides what was seen: names by TCP and by a cache on the node, and any public receiver."""
    names = {
        (name, server, protocol, 53) for name in own for server in ("names", "metadata") for protocol in ("UDP", "TCP")
    }
    receivers = {("delivery", place, protocol, port) for place in PUBLIC for protocol, port in PORTS}
    return names | receivers


@pytest.mark.parametrize("blocks_hold_pods", [True, False])
def test_the_policies_allow_what_is_needed_and_nothing_else(chart, blocks_hold_pods):
    """With networks named: the proxy and Prometheus come in, each connection of a real cluster works, no other one.

    Cloud metadata, the API server except for the operator, nodes, other namespaces and the neighbours are refused.
    """
    rendered = chart.rendered(NARROW)
    own = pods_of(rendered)
    visitors = {("proxy", name, "TCP", SERVED[name]) for name in ("api", "gateway")}
    scrapes = {("prometheus", name, "TCP", port) for name, port in SERVED.items()}
    one_policy_for_sweeps = {("maintenance", "nats", "TCP", 4222)}
    wanted = NEEDED | visitors | scrapes | granted(own) | one_policy_for_sweeps
    assert allowed(rendered, blocks_hold_pods=blocks_hold_pods) == wanted


def test_stores_outside_are_reached_by_those_who_need_them(chart):
    """With stores of one's own at named addresses, exactly their clients reach them."""
    narrow = NARROW["networkPolicy"] | {"databaseTo": [block("10.0.0.5")], "natsTo": [block("10.0.1.5")]}
    rendered = chart.rendered({**NARROW, **EXTERNAL, "networkPolicy": narrow})
    found = {each for each in allowed(rendered) if {each[0], each[1]} & {"database", "bus"}}
    wanted = {each for each in elsewhere(NEEDED) if each[1] in {"database", "bus"}}
    assert found == wanted | {("maintenance", "bus", "TCP", 4222)}


@pytest.mark.parametrize("stores", [{}, EXTERNAL], ids=["bundled", "external"])
def test_the_defaults_allow_what_is_needed(chart, stores):
    """Without any network named, everything that is needed works, with stores in the release or outside.

    What is open then: ports with metrics to everybody, and to any address the ports of the API server for the operator
    and those of the mail server for the workers.
    """
    rendered = chart.rendered({"delivery": {"smtp": {"url": "smtp://10.0.2.5:25"}}, **stores})
    own = set(pods_of(rendered))
    found = allowed(rendered)
    needed = elsewhere(NEEDED) if stores else NEEDED
    assert needed <= found
    more = {
        (source, target, protocol, port)
        for source, target, protocol, port in found - needed - granted(own)
        if not (source not in own and SERVED.get(target) == port)
        and not (source == "operator" and port in {443, 6443})
        and not (source == "delivery" and port in {25, 465, 587})
        and not (stores and (target in OTHERS or port in {5432, 4222}))
    }
    assert more == set() if stores else more == {("maintenance", "nats", "TCP", 4222)}


async def test_the_job_that_upgrades_definitions_reaches_the_api_server_alone(chart):
    """Where a cluster has older definitions, that Job gets a policy of its own, and nobody else gets more."""
    async with KubernetesServer().running() as cluster:
        for definition in manifests():
            older = {**definition, "metadata": {"name": definition["metadata"]["name"]}}
            cluster.store.create(cluster.kind("customresourcedefinitions"), "", older, manager="helm")
            cluster.install(older)
        after = allowed(await asyncio.to_thread(chart.render_upon, cluster.url, NARROW, revision=2))
    names = granted(["definitions"]) - granted([])
    assert after - allowed(chart.rendered(NARROW)) == names | {("definitions", "api-server", "TCP", 6443)}


def test_sweeps_of_ones_own_schedules_are_treated_alike(chart):
    """A ReminderSchedule that somebody adds to the namespace sweeps as the chart's own, also without those."""
    for values in ({}, {"reminders": {"enabled": False}}):
        rendered = chart.rendered(values)
        network = Network(policies=list(rendered.of("NetworkPolicy").values()), namespaces=NAMESPACES)
        own = pods_of(rendered)
        sweep = Pod(
            name="added",
            address="10.244.0.99",
            namespace="tasks",
            labels={**SWEEP, "taskbell.dev/reminderschedule": "before-lunch"},
        )
        for other in [*own.values(), *OTHERS]:
            for protocol, port in PORTS:
                wanted = ("sweep", other.name, protocol, port) in NEEDED | granted(["sweep"])
                assert network.allows(sweep, other, port, protocol) == wanted, (other.name, protocol, port)


def test_without_policies_everything_is_open(chart):
    """`networkPolicy.enabled: false` is honest: nothing is refused."""
    rendered = chart.rendered({"networkPolicy": {"enabled": False}})
    pairs = len(pods_of(rendered)) * (len(pods_of(rendered)) - 1) + 2 * len(pods_of(rendered)) * len(OTHERS)
    assert len(allowed(rendered)) == pairs * len(PORTS)
