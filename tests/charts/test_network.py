"""What the network policies allow into a pod and out of it."""

import ipaddress

import pytest

INSIDE = ["10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.31.0.1", "192.168.1.1", "fd00::1", "fe80::1"]
OUTSIDE = ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"]


def _within(address, block):
    networks = [ipaddress.ip_network(cidr) for cidr in (block["cidr"], *block.get("except", []))]
    return address in networks[0] and not any(address in network for network in networks[1:])


def test_receivers_are_public_addresses(chart):
    """Delivery workers reach any public address and no private one, for IPv4 and IPv6."""
    egress = chart.render().of("NetworkPolicy")["demo-taskbell-delivery"]["spec"]["egress"]
    (blocks,) = [[peer["ipBlock"] for peer in rule["to"]] for rule in egress if "ports" not in rule]
    for text in INSIDE + OUTSIDE:
        address = ipaddress.ip_address(text)
        assert any(_within(address, block) for block in blocks) == (text in OUTSIDE), text


def test_names_are_asked_of_the_clusters_dns_alone(chart):
    """Port 53 is open only to pods of a DNS server and to a node-local cache."""
    (rule,) = chart.render().of("NetworkPolicy")["demo-taskbell-default"]["spec"]["egress"]
    pods, cache = rule["to"]
    (wanted,) = pods["podSelector"]["matchExpressions"]
    assert (wanted["key"], wanted["operator"]) == ("k8s-app", "In")
    assert set(wanted["values"]) == {"kube-dns", "coredns", "node-local-dns"}
    assert ipaddress.ip_network(cache["ipBlock"]["cidr"]).is_link_local


def test_the_operator_reads_the_connections_of_gateways(chart):
    """However narrow the access to gateways is, the operator reaches their port, out of its pod and into theirs."""
    edge = {"namespaceSelector": {"matchLabels": {"name": "edge"}}}
    policy = {"publicFrom": [edge], "metricsFrom": [edge]}
    rendered = chart.render({"networkPolicy": policy, "gateway": {"pool": {"enabled": True}}})
    (signal,) = rendered.one("WorkerPool", "-gateway")["spec"]["signals"]
    port = {"protocol": "TCP", "port": signal["webSocket"]["port"]}
    policies = rendered.of("NetworkPolicy")
    pods = {
        part: rendered.one("Deployment", f"-{part}")["spec"]["template"]["metadata"]["labels"].items()
        for part in ("operator", "gateway")
    }

    def admits(peers, part):
        selectors = [peer["podSelector"]["matchLabels"].items() for peer in peers if "podSelector" in peer]
        return any(selector <= pods[part] for selector in selectors)

    out = [rule for rule in policies["demo-taskbell-operator"]["spec"]["egress"] if port in rule.get("ports", [])]
    into = [rule for rule in policies["demo-taskbell-gateway"]["spec"]["ingress"] if port in rule["ports"]]
    assert any(admits(rule["to"], "gateway") for rule in out)
    assert all(admits(rule["from"], "operator") for rule in into)
    assert into


def test_further_egress_reaches_every_service(chart):
    """Additional egress, such as to a trace collector, applies to programs, sweeps and the migration Job."""
    collector = {"ports": [{"protocol": "TCP", "port": 4318}]}
    policies = chart.render({"networkPolicy": {"extraEgress": [collector]}}).of("NetworkPolicy")
    open_to = {name for name, policy in policies.items() if collector in policy["spec"].get("egress", [])}
    assert set(policies) - open_to == {"demo-taskbell-default", "demo-taskbell-nats", "demo-taskbell-postgresql"}


def test_the_ingress_is_for_the_controller_that_is_named(chart):
    """Class and annotations of an Ingress are those of the values."""
    given = {"enabled": True, "tlsElsewhere": True, "className": "alb", "annotations": {"idle": "60"}}
    ingress = chart.render({"public": {"host": "a.example"}, "ingress": given}).one("Ingress", "demo-taskbell")
    assert ingress["spec"]["ingressClassName"] == "alb"
    assert ingress["metadata"]["annotations"] == {"idle": "60"}
    assert "tls" not in ingress["spec"]


def test_monitors_find_the_port_of_their_service(chart):
    """A ServiceMonitor selects one Service of the release and names its port; alerts select by its labels."""
    rendered = chart.render({"monitoring": {"serviceMonitor": {"enabled": True}}})
    for name, monitor in rendered.of("ServiceMonitor").items():
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        (service,) = [
            found for found in rendered.of("Service").values() if wanted <= found["metadata"]["labels"].items()
        ]
        (endpoint,) = monitor["spec"]["endpoints"]
        assert endpoint["path"] == "/metrics", name
        assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}, name
        labels = {rule["targetLabel"]: rule["replacement"] for rule in endpoint["relabelings"]}
        assert labels == {"platform": "taskbell", "release": "demo", "component": name.removeprefix("demo-taskbell-")}


def test_an_autoscaler_keeps_to_its_values(chart):
    """A HorizontalPodAutoscaler has the limits and the target of the values, and its Deployment requests CPU."""
    given = {"autoscaling": {"enabled": True, "minReplicas": 3, "maxReplicas": 7, "targetCPUPercent": 55}}
    rendered = chart.render({"api": given})
    spec = rendered.of("HorizontalPodAutoscaler")["demo-taskbell-api"]["spec"]
    (metric,) = spec["metrics"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (3, 7)
    assert metric["resource"]["target"] == {"type": "Utilization", "averageUtilization": 55}
    (container,) = rendered.of("Deployment")[spec["scaleTargetRef"]["name"]]["spec"]["template"]["spec"]["containers"]
    assert "cpu" in container["resources"]["requests"]


@pytest.mark.parametrize("seconds", [0, 20, 600])
def test_a_worker_has_the_time_to_finish(chart, seconds):
    """The grace period of a delivery worker is longer than its drain timeout, with some seconds to exit."""
    rendered = chart.render({"delivery": {"drainSeconds": seconds}})
    pod = rendered.one("Deployment", "-delivery")["spec"]["template"]["spec"]
    told = rendered.environment(pod["containers"][0])["TASKBELL_DELIVERY_DRAIN_TIMEOUT"]
    assert told == f"PT{seconds}S"
    assert pod["terminationGracePeriodSeconds"] >= seconds + 10
