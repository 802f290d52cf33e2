"""Rules for every pod of the chart, with any values."""

import datetime as dt
import re

import pytest

from taskbell.gateway.settings import GatewaySettings


def test_pods_are_restricted(rendered):
    """Each pod meets the restricted Pod Security Standard: no root, default seccomp, no access to the host."""
    for name, pod in rendered.pods():
        spec = pod["spec"]
        context = spec["securityContext"]
        assert context["runAsNonRoot"] is True, name
        assert context["runAsUser"] > 0, name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert context["fsGroup"] == context["runAsUser"], name  # or volumes belong to root
        assert spec["enableServiceLinks"] is False, (
            name
        )  # otherwise each Service of the namespace is in the environment
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), name
        kinds = {next(iter(set(volume) - {"name"})) for volume in spec["volumes"]}
        assert kinds <= {"emptyDir", "configMap", "secret", "projected"}, name


def test_containers_can_do_nothing_they_need_not(rendered):
    """No container gains privileges, has a capability or can write to its image; temporary files have a bound."""
    for name, container in rendered.containers():
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False, name
        assert context["readOnlyRootFilesystem"] is True, name
        assert context["capabilities"] == {"drop": ["ALL"]}, name
        assert "privileged" not in context, name
    for name, pod in rendered.pods():
        for volume in pod["spec"]["volumes"]:
            assert "sizeLimit" in volume.get("emptyDir", {"sizeLimit": ""}), name


def test_images_are_pinned(rendered):
    """Every image has a tag, and none is `latest`."""
    for name, container in rendered.containers():
        assert re.fullmatch(r"[\w.-]+(:\d+)?(/[\w.-]+)+(:[\w.-]+|@sha256:[0-9a-f]{64})", container["image"]), name
        assert not container["image"].endswith(":latest"), name


def test_no_pod_holds_a_token_of_the_cluster(rendered):
    """Only pods that call the API server get a token for it."""
    for name, pod in rendered.pods():
        asks = pod["metadata"]["labels"]["app.kubernetes.io/component"] == "operator"
        assert pod["spec"]["automountServiceAccountToken"] is asks, name
    for name, account in rendered.of("ServiceAccount").items():
        assert account["automountServiceAccountToken"] is False, name


def test_secrets_come_by_reference(rendered):
    """No pod's environment contains a password: each comes from a Secret."""
    for name, container in rendered.containers():
        for entry in container.get("env", []):
            assert not re.search(r"://[^/@$]+:[^@$]+@", entry.get("value", "")), name
            if re.search(r"PASSWORD|KEYS$|DATABASE_(REPLICA_)?URLS?|NATS_URL", entry["name"]) and "value" in entry:
                assert "$(" in entry["value"], name


def test_services_know_only_their_own_role(rendered):
    """A program gets only its own URLs of the database and of NATS; only migrations get the owner's.

    Nobody has the user of NATS without limits, whose Secret holds a password. An external one may have one URL for all.
    """
    programs = {name: each for name, each in rendered.of("Deployment").items() if not name.endswith("-pgbouncer")}
    for name, workload in programs.items():
        component = workload["metadata"]["labels"]["app.kubernetes.io/component"]
        pod = workload["spec"]["template"]["spec"]
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            refs = [entry["valueFrom"]["secretKeyRef"] for entry in container.get("env", []) if "valueFrom" in entry]
            for ref in refs:
                if ref["name"].endswith("-database-replicas"):
                    assert component == "api", name
                elif "database" in ref["name"]:
                    assert ref["name"].endswith(f"-database-{component}"), name
                if ref["name"] == "urls":
                    assert ref["key"] == component, name
                if ref["name"].startswith("demo-taskbell-nats-"):
                    assert ref["name"].endswith(f"-nats-{component}"), name
                if ref["name"] == "demo-taskbell-nats":
                    assert "password" not in rendered.of("Secret")[ref["name"]]["stringData"], name
                if ref["name"].startswith("nats-of-"):
                    assert ref["name"] == f"nats-of-{component}", name


def test_containers_have_resources(rendered):
    """Each container requests CPU and memory and has a memory limit, but no CPU limit."""
    for name, container in rendered.containers():
        assert {"cpu", "memory"} <= set(container["resources"]["requests"]), name
        assert set(container["resources"]["limits"]) == {"memory"}, name


def test_services_are_probed(rendered):
    """Long-running containers have all three probes, and liveness depends on no other part."""
    for name, workload in rendered.of("Deployment").items():
        (container,) = workload["spec"]["template"]["spec"]["containers"]
        assert container["startupProbe"]["periodSeconds"] * container["startupProbe"]["failureThreshold"] >= 60, name
        if container["name"] == "pgbouncer":
            probes = [container[probe]["tcpSocket"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")]
            assert probes == [{"port": "postgresql"}] * 3
            continue
        assert container["livenessProbe"]["httpGet"]["path"] == "/livez", name
        assert container["startupProbe"]["httpGet"]["path"] == "/livez", name
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz", name
        assert container["readinessProbe"]["timeoutSeconds"] > 2, "each check behind it has a deadline of 2 s"
    for name, workload in rendered.of("StatefulSet").items():
        (container,) = workload["spec"]["template"]["spec"]["containers"]
        assert {"livenessProbe", "startupProbe", "readinessProbe"} <= set(container), name


def test_an_update_takes_no_pod_away_before_another_is_ready(rendered):
    """Rolling updates surge, and public programs serve for some seconds after their removal from the endpoints."""
    for name, workload in rendered.of("Deployment").items():
        assert workload["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}, name
        (container,) = workload["spec"]["template"]["spec"]["containers"]
        if container["name"] in {"api", "gateway"}:
            assert container["lifecycle"]["preStop"]["sleep"]["seconds"] >= 5, name


@pytest.mark.parametrize("seconds", [0, 20, 600])
def test_a_gateway_has_the_time_to_drain(chart, seconds):
    """The grace period covers preStop, the gateway's drain timeout, and some seconds to exit."""
    rendered = chart.render({"gateway": {"drainSeconds": seconds}})
    pod = rendered.one("Deployment", "-gateway")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    told = GatewaySettings.model_validate(
        {
            name.removeprefix("TASKBELL_").lower(): value
            for name, value in rendered.environment(container).items()
            if name.startswith("TASKBELL_")
        }
    )
    assert told.gateway_drain_timeout == dt.timedelta(seconds=seconds)
    before = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] >= before + seconds + 5


def test_an_api_has_the_time_to_finish(chart):
    """The grace period covers preStop and the ten seconds that the API gives its requests."""
    pod = chart.render().one("Deployment", "-api")["spec"]["template"]["spec"]
    before = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] >= before + 10 + 1


def _least_by_scaler(rendered):
    """The least number of pods of each Deployment that an autoscaler sizes."""
    autoscalers = [found["spec"] for found in rendered.of("HorizontalPodAutoscaler").values()]
    pools = [found["spec"] for found in rendered.of("WorkerPool").values()]
    return {spec["scaleTargetRef"]["name"]: spec["minReplicas"] for spec in autoscalers} | {
        spec["targetRef"]["name"]: spec["replicas"]["min"] for spec in pools
    }


def test_more_than_one_pod_means_a_budget(rendered):
    """With several pods, evictions keep at least one; a single pod never blocks the drain of a node."""
    scaled = _least_by_scaler(rendered)
    for name, workload in rendered.of("Deployment").items():
        least = scaled[name] if name in scaled else workload["spec"]["replicas"]
        budget = rendered.of("PodDisruptionBudget").get(name)
        assert (budget is not None) == (least > 1), name
        if budget:
            assert budget["spec"]["maxUnavailable"] == 1
            assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"  # broken pods block no drain
            assert budget["spec"]["selector"]["matchLabels"] == workload["spec"]["selector"]["matchLabels"]


def test_only_the_autoscaler_sets_replicas(rendered):
    """A Deployment that an autoscaler sizes has no `replicas`: server-side apply would fight over it."""
    scaled = _least_by_scaler(rendered)
    for name, workload in rendered.of("Deployment").items():
        assert ("replicas" in workload["spec"]) == (name not in scaled), name


def test_pods_spread_over_zones_and_nodes(rendered):
    """The pods of each program spread over zones and nodes if possible, each version separately."""
    for name, workload in rendered.of("Deployment").items():
        spread = workload["spec"]["template"]["spec"]["topologySpreadConstraints"]
        assert {found["topologyKey"] for found in spread} == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}
        for found in spread:
            assert found["whenUnsatisfiable"] == "ScheduleAnyway", name
            assert found["labelSelector"]["matchLabels"] == workload["spec"]["selector"]["matchLabels"], name


@pytest.mark.parametrize("values", ["placed", "mirrored"])
def test_placement_and_pull_secrets_reach_every_pod(chart, value_sets, values):
    """Node selectors, tolerations and pull secrets apply to every pod."""
    rendered = chart.rendered(value_sets[values])
    specs = dict(rendered.pods()) | {
        f"ReminderSchedule/{name}": {"spec": found["spec"]["pod"]}
        for name, found in rendered.of("ReminderSchedule").items()
    }
    for name, pod in specs.items():
        if values == "placed":
            assert pod["spec"]["nodeSelector"] == {"pool": "apps"}, name
            assert pod["spec"]["tolerations"] == [{"key": "apps", "operator": "Exists"}], name
        elif not name.startswith("ReminderSchedule/"):  # theirs are the operator's setting
            assert pod["spec"]["imagePullSecrets"] == [{"name": "registry"}], name
    if values == "mirrored":
        assert all(container["image"].startswith("mirror.example:5000/") for _, container in rendered.containers())
        operator = rendered.one("Deployment", "-operator")["spec"]["template"]["spec"]["containers"][0]
        told = rendered.environment(operator)
        assert told["TASKBELL_OPERATOR_IMAGE_PULL_SECRETS"] == "registry"
        assert told["TASKBELL_OPERATOR_IMAGE"].startswith("mirror.example:5000/")


def test_waiting_for_the_schema_is_no_failed_rollout(rendered):
    """A Deployment fails only after its pods had time to wait for the schema and to start."""
    for name, workload in rendered.of("Deployment").items():
        for container in workload["spec"]["template"]["spec"].get("initContainers", []):
            if container["name"] == "users":  # of PgBouncer: it waits for nothing
                continue
            patience = int(container["command"][container["command"].index("--patience") + 1])
            assert workload["spec"]["progressDeadlineSeconds"] >= patience + 60, name


def rendered_names(pod):
    """The variables of a pod's program."""
    return {entry["name"] for entry in pod["containers"][0].get("env", [])}


def test_pods_wait_for_the_schema(rendered):
    """Before a program starts, an init container waits for the schema with the rights of the program's role."""
    for name, workload in rendered.of("Deployment").items():
        pod = workload["spec"]["template"]["spec"]
        if "TASKBELL_DATABASE_URL" not in rendered_names(pod):
            continue
        (waiting,) = pod["initContainers"]
        assert waiting["command"][2:6] == ["python", "-m", "taskbell.store", "wait"], name
        ref = {entry["name"]: entry.get("valueFrom") for entry in pod["containers"][0]["env"]}["TASKBELL_DATABASE_URL"]
        assert waiting["env"] == [{"name": "TASKBELL_DATABASE_URL", "valueFrom": ref}], name


def test_migrations_are_no_hook(rendered):
    """The migrations are a plain Job: as a hook they would wait for a database that comes with the same release."""
    (job,) = [job for name, job in rendered.of("Job").items() if "-loadtest-" not in name]
    assert "annotations" not in job["metadata"]
    assert "-migrations-1-" in job["metadata"]["name"]


def _peers(rules, direction):
    return [peer for rule in rules for peer in rule.get(direction, [None])]


@pytest.mark.feature("P25")
def test_the_network_is_closed_unless_needed(chart):
    """A policy denies everything for every pod, each pod has its own policy, and the stores admit only this release."""
    rendered = chart.render()
    policies = rendered.of("NetworkPolicy")
    deny = policies["demo-taskbell-default"]["spec"]
    assert deny["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in deny
    assert {port["port"] for rule in deny["egress"] for port in rule["ports"]} == {53}
    for name, pod in rendered.pods():
        labels = pod["metadata"]["labels"].items()
        assert deny["podSelector"]["matchLabels"].items() <= labels, name
        own = [
            policy
            for policy in policies.values()
            if "app.kubernetes.io/component" in policy["spec"]["podSelector"].get("matchLabels", {})
            and policy["spec"]["podSelector"]["matchLabels"].items() <= labels
        ]
        assert len(own) == 1, name
    for store in ("postgresql", "nats"):
        spec = policies[f"demo-taskbell-{store}"]["spec"]
        assert None not in _peers(spec["ingress"], "from")
        assert "egress" not in spec


def test_services_reach_what_their_environment_names(chart):
    """For each address in a program's environment, an egress rule allows the pods behind it, on that port."""
    rendered = chart.render()
    services = rendered.of("Service")
    for name, workload in rendered.of("Deployment").items():
        rules = rendered.of("NetworkPolicy")[name]["spec"]["egress"]
        (container,) = workload["spec"]["template"]["spec"]["containers"]
        for value in rendered.environment(container).values():
            for host, port in re.findall(r"://(?:[^@/]+@)?(demo-[\w-]+):(\d+)", value):
                selector = services[host]["spec"]["selector"]
                assert any(
                    {"podSelector": {"matchLabels": selector}} in rule["to"]
                    and int(port) in {found["port"] for found in rule["ports"]}
                    for rule in rules
                ), (name, host, port)


def test_every_pod_asks_the_same_names_servers(chart):
    """Sweep pods, which the operator creates, may use the cluster's DNS and no other."""
    policies = chart.render().of("NetworkPolicy")
    (names,) = policies["demo-taskbell-default"]["spec"]["egress"]
    sweeps = policies["demo-taskbell-sweeper"]["spec"]["egress"]
    assert names in sweeps
    assert all(rule.get("to") for rule in sweeps)


def test_who_scrapes_comes_through_where_the_public_does_not(chart):
    """Prometheus reaches every `/metrics`, also of API and gateway, whose port otherwise only the ingress reaches."""
    edge = {"namespaceSelector": {"matchLabels": {"name": "edge"}}}
    monitoring = {"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}
    rendered = chart.render({"networkPolicy": {"publicFrom": [edge], "metricsFrom": [monitoring]}})
    for name in rendered.of("Deployment"):
        peers = _peers(rendered.of("NetworkPolicy")[name]["spec"]["ingress"], "from")
        assert monitoring in peers, name
        assert (edge in peers) == (name in {"demo-taskbell-api", "demo-taskbell-gateway"}), name


@pytest.mark.parametrize(
    "values", ["defaults", "external", "existing-secrets", "cloudnativepg", "closed-network", "identity-providers"]
)
def test_no_pod_reaches_more_than_its_work(chart, value_sets, values):
    """A component may reach exactly the targets in its list, for all kinds of stores."""
    stores = {"database", "nats"}
    wanted = {
        "api": stores | ({"providers"} if values == "identity-providers" else set()),
        "relay": stores,
        "gateway": stores | {"api"},
        "delivery": stores | {"receivers", *(["smtp"] if values in {"existing-secrets", "closed-network"} else [])},
        "operator": {"nats", "gateway", "api server"},
        "migrations": {"database"},
        "sweeper": stores | {"names"},
        "test": {"api", "relay", "gateway", "delivery", "operator"},
    }
    policies = chart.rendered(value_sets[values]).of("NetworkPolicy")
    extra = value_sets[values].get("networkPolicy", {}).get("extraEgress", [])
    for component, flows in wanted.items():
        egress = policies[f"demo-taskbell-{component}"]["spec"]["egress"]
        assert {_flow(rule) for rule in egress if rule not in extra} == flows, component


_PORTS = {5432: "database", 4222: "nats", 53: "names", 6443: "api server", 25: "smtp", 443: "providers"}
_PORTS |= {8000: "api", 8001: "gateway", 8002: "relay", 8003: "delivery", 8080: "operator"}


def _flow(rule):
    if "ports" not in rule:
        blocks = [peer["ipBlock"] for peer in rule["to"]]
        assert all(block["except"] for block in blocks)
        return "receivers"
    found = {_PORTS[port["port"]] for port in rule["ports"] if port["port"] in _PORTS}
    (flow,) = found - {"providers"} or found  # the API server has 443, too
    return flow


def test_given_networks_narrow_the_rules(chart):
    """If the values name clients and stores, the policies allow nothing else."""
    cidr = [{"ipBlock": {"cidr": "10.0.0.0/24"}}]
    edge = [{"namespaceSelector": {"matchLabels": {"name": "edge"}}}]
    rendered = chart.render(
        {
            "database": {"mode": "external", "external": {"existingSecret": "urls"}},
            "nats": {"mode": "external", "external": {"existingSecret": {"name": "nats"}}},
            "networkPolicy": {"publicFrom": edge, "databaseTo": cidr, "natsTo": cidr, "databasePorts": [6432]},
        }
    )
    api = rendered.of("NetworkPolicy")["demo-taskbell-api"]["spec"]
    assert edge[0] in _peers(api["ingress"], "from")
    assert None not in _peers(api["ingress"], "from")
    assert {port["port"]: rule["to"] for rule in api["egress"] for port in rule["ports"]} == {6432: cidr, 4222: cidr}


def test_websockets_are_announced(rendered):
    """The gateway's Service declares WebSocket, so that proxies allow the upgrade."""
    (port,) = rendered.one("Service", "-gateway")["spec"]["ports"]
    assert port["appProtocol"] == "kubernetes.io/ws"
