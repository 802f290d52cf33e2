"""Kubernetes accepts what the chart renders."""

import functools
import json
import re
from ipaddress import ip_network
from pathlib import Path
from typing import get_args

import helm_python
import jsonschema
import kubernetes_validate
import pytest

from taskbell.contract.crd_schema import seconds
from taskbell.contract.crds import DEFINITIONS, manifest
from taskbell.contract.nats_users import ADMINISTRATOR
from taskbell.contract.reminder_schedules import ReminderScheduleSpec, SweepKind
from taskbell.contract.subjects import DELIVERY_CONSUMER, STREAM
from taskbell.contract.worker_pools import WorkerPoolSpec
from taskbell.gateway.metrics import CONNECTIONS
from taskbell.gateway.settings import GatewaySettings
from taskbell.operator.permissions import OWN as OWN_PERMISSIONS
from taskbell.operator.permissions import WATCHED, rules
from taskbell.store import roles

OLDEST, NEWEST = "1.30", "1.37"
_NAMED = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
_METADATA = {"type": "object", "required": ["name", "namespace", "labels"]}


def _kind(version, spec):
    return {
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": False,
        "properties": {"apiVersion": {"const": version}, "kind": {}, "metadata": _METADATA, "spec": spec},
    }


FOREIGN = {
    "HTTPRoute": _kind(
        "gateway.networking.k8s.io/v1",
        {
            "type": "object",
            "required": ["parentRefs", "rules"],
            "additionalProperties": False,
            "properties": {
                "parentRefs": {"type": "array", "items": _NAMED, "minItems": 1},
                "hostnames": {"type": "array", "items": {"type": "string"}},
                "rules": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "matches": {"type": "array", "maxItems": 8},
                            "backendRefs": {"type": "array", "items": {**_NAMED, "required": ["name", "port"]}},
                        },
                    },
                },
            },
        },
    ),
    "Cluster": _kind(
        "postgresql.cnpg.io/v1",
        {
            "type": "object",
            "required": ["instances", "storage"],
            "additionalProperties": False,
            "properties": {
                "instances": {"type": "integer", "minimum": 1},
                "imageName": {"type": "string"},
                "bootstrap": {"type": "object", "required": ["initdb"]},
                "enableSuperuserAccess": {"type": "boolean"},
                "postgresql": {
                    "type": "object",
                    "properties": {"parameters": {"additionalProperties": {"type": "string"}}},
                },
                "storage": {"type": "object", "required": ["size"]},
                "resources": {"type": "object"},
                "affinity": {"type": "object"},
            },
        },
    ),
    "ServiceMonitor": _kind(
        "monitoring.coreos.com/v1",
        {
            "type": "object",
            "required": ["selector", "endpoints"],
            "additionalProperties": False,
            "properties": {
                "selector": {"type": "object", "required": ["matchLabels"]},
                "endpoints": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["port"],
                        "additionalProperties": False,
                        "properties": {name: {} for name in ("port", "path", "interval", "relabelings")},
                    },
                },
            },
        },
    ),
    "PrometheusRule": _kind(
        "monitoring.coreos.com/v1",
        {
            "type": "object",
            "required": ["groups"],
            "additionalProperties": False,
            "properties": {"groups": {"type": "array", "items": {**_NAMED, "required": ["name", "rules"]}}},
        },
    ),
}
"""The parts that the chart uses of other operators' kinds, as documented."""


OWN = {"ReminderSchedule": ReminderScheduleSpec, "WorkerPool": WorkerPoolSpec}
"""The project's own kinds; the schemas of their definitions are generated from these."""


@pytest.fixture(scope="session")
def found_valid():
    """Objects that were already validated: value sets share most objects, and validating takes time."""
    return set()


@pytest.fixture(autouse=True)
def schemas_read_once(monkeypatch):
    """Cache the validator's schema files: it reads megabytes for each object."""
    monkeypatch.setattr(kubernetes_validate.utils, "schema_contents", _schema_contents)


_schema_contents = functools.cache(kubernetes_validate.utils.schema_contents)


@pytest.mark.feature("K7")
def test_lints_strictly(chart):
    """Helm's strict lint accepts the chart with its minimal values."""
    report = helm_python.lint("charts/taskbell", {"signingKeys": {"value": '{"keys":[]}'}}, strict=True)
    assert (report["messages"], report["errors"]) == ([], [])


@pytest.mark.feature("K7")
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_every_object_fits_the_schema_of_kubernetes(rendered, version, found_valid):
    """For every value set each object is valid, strictly, for the oldest and the newest Kubernetes."""
    for thing in rendered.objects:
        text = json.dumps(thing, sort_keys=True)
        if (version, text) in found_valid:
            continue
        if thing["kind"] in OWN:
            OWN[thing["kind"]].model_validate(thing["spec"])
        elif thing["kind"] in FOREIGN:
            jsonschema.validate(thing, FOREIGN[thing["kind"]])
        else:
            kubernetes_validate.validate(thing, version, strict=True)
        found_valid.add((version, text))


def test_names_are_unique_and_short_enough(rendered):
    """No two objects share kind and name; each name is a DNS label, with room for what controllers append."""
    names = [(thing["kind"], thing["metadata"]["name"]) for thing in rendered.objects]
    assert len(names) == len(set(names))
    for kind, name in names:
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name), (kind, name)
        assert len(name) <= 63 - 6, (kind, name)


def test_names_do_not_change(chart):
    """The names of a release stay the same over renders and revisions; only the migration Job gets a new name."""
    first, second = (
        {(thing["kind"], thing["metadata"]["name"]) for thing in chart.render(revision=revision).objects}
        for revision in (1, 2)
    )
    jobs = sorted(first ^ second)
    assert [(kind, name[: len("demo-taskbell-migrations-1-")]) for kind, name in jobs] == [
        ("Job", "demo-taskbell-migrations-1-"),
        ("Job", "demo-taskbell-migrations-2-"),
    ]
    assert {name for kind, name in first if kind == "Deployment"} == {
        "demo-taskbell-api",
        "demo-taskbell-delivery",
        "demo-taskbell-gateway",
        "demo-taskbell-operator",
        "demo-taskbell-relay",
    }


def test_selectors_never_change(chart):
    """A new version never changes the labels that select pods: a Deployment's selector is immutable."""
    for deployment in chart.render().of("Deployment").values():
        assert set(deployment["spec"]["selector"]["matchLabels"]) == {
            "app.kubernetes.io/name",
            "app.kubernetes.io/instance",
            "app.kubernetes.io/component",
        }


def test_the_release_knows_every_role_of_the_database(chart):
    """There is a Secret for each role that the migrations grant rights to."""
    secrets = chart.render().of("Secret")
    assert {f"demo-taskbell-database-{role.removeprefix('taskbell_')}" for role in roles.ROLES} <= set(secrets)


def test_references_lead_somewhere(rendered):
    """Secrets, ConfigMaps and service accounts that pods name are rendered, or are named in the values as existing."""
    existing = {"keys", "urls", "urls-of-api", "admin", "nats", "mail", "registry", "demo-taskbell-database-superuser"}
    existing |= {"nats-of-api", "nats-of-operator", "oidc", "push", "replicas", "testers"}
    secrets = set(rendered.of("Secret")) | existing
    for name, pod in rendered.pods():
        assert pod["spec"]["serviceAccountName"] in rendered.of("ServiceAccount"), name
    for name, container in rendered.containers():
        for entry in container.get("env", []):
            if ref := entry.get("valueFrom", {}).get("secretKeyRef"):
                assert ref["name"] in secrets, name
                own = rendered.of("Secret").get(ref["name"])
                assert own is None or ref["key"] in own["stringData"], name


def test_services_select_pods_that_listen(rendered):
    """Each Service selects exactly one workload's pods and names one of their ports."""
    for name, service in rendered.of("Service").items():
        wanted = service["spec"]["selector"].items()
        found = [pod for _, pod in rendered.pods() if wanted <= pod["metadata"]["labels"].items()]
        assert len(found) == 1, name
        ports = {port["name"] for port in found[0]["spec"]["containers"][0]["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


@pytest.mark.feature("K8", "P25", "F11")
@pytest.mark.parametrize("values", ["ingress", "route"])
def test_one_address_leads_to_both_services(chart, values):
    """Ingress and HTTPRoute send `/v1`, `/docs` and `/.well-known` to the API and `/ws` to the gateway."""
    ways = {}
    if values == "ingress":
        made = chart.render({"public": {"host": "t.example"}, "ingress": {"enabled": True, "tlsSecret": "cert"}})
        for path in made.one("Ingress", "demo-taskbell")["spec"]["rules"][0]["http"]["paths"]:
            ways[path["path"]] = path["backend"]["service"]["name"]
    else:
        made = chart.render(
            {"public": {"host": "t.example"}, "httpRoute": {"enabled": True, "parentRefs": [{"name": "edge"}]}}
        )
        services = made.of("Service")
        for rule in made.one("HTTPRoute", "demo-taskbell")["spec"]["rules"]:
            (backend,) = rule["backendRefs"]
            assert backend["port"] == services[backend["name"]]["spec"]["ports"][0]["port"]
            ways |= {match["path"]["value"]: backend["name"] for match in rule["matches"]}
    for path in ("/v1", "/docs", "/.well-known"):
        assert ways[path] == "demo-taskbell-api"
    assert ways["/ws"] == "demo-taskbell-gateway"
    assert not {"/metrics", "/health", "/readyz", "/"} & set(ways)
    api = made.one("Deployment", "-api")["spec"]["template"]["spec"]["containers"][0]
    assert made.environment(api)["TASKBELL_GATEWAY_URL"] == "wss://t.example/ws"


@pytest.mark.feature("T17")
@pytest.mark.parametrize("route", ["ingress", "httpRoute"])
def test_the_api_believes_its_ingress(chart, route):
    """With a route the API trusts private networks, or those that are named; without one the program's default."""
    routes = {
        "ingress": {"enabled": True, "tlsSecret": "cert"},
        "httpRoute": {"enabled": True, "parentRefs": [{"name": "edge"}]},
    }

    def trusted(values):
        made = chart.render(values)
        api = made.one("Deployment", "-api")["spec"]["template"]["spec"]["containers"][0]
        return made.environment(api).get("TASKBELL_TRUSTED_PROXIES")

    public = {"host": "t.example"}
    private = trusted({"public": public, route: routes[route]})
    named = {"public": {**public, "trustedProxies": ["35.191.0.0/16", "2600:1901::/48"]}, route: routes[route]}
    assert trusted({}) is None
    assert {"10.0.0.0/8", "fc00::/7"} <= set(private.split(","))
    assert trusted(named) == "35.191.0.0/16,2600:1901::/48"
    assert all(ip_network(part).prefixlen for part in private.split(","))


def test_invitations_need_a_confirmed_address_where_there_is_a_mail_server(chart):
    """The mail server sends the confirmations; the setting may say otherwise."""
    name, server = "TASKBELL_INVITATIONS_NEED_CONFIRMED_EMAIL", {"delivery": {"smtp": {"url": "smtps://a:b@mail"}}}

    def needed(values):
        made = chart.render(values)
        containers = made.one("Deployment", "-api")["spec"]["template"]["spec"]["containers"]
        return [each["value"] for each in containers[0]["env"] if each["name"] == name]

    assert (needed({}), needed(server)) == ([], ["true"])
    assert needed({**server, "api": {"settings": {name: False}}}) == ["false"]


@pytest.mark.feature("T4")
def test_providers_of_identity_come_from_a_secret(chart):
    """The API alone gets the list, because it holds secrets; without a Secret nobody does."""
    name = "TASKBELL_OIDC_PROVIDERS"

    def given(values):
        found = chart.render(values).containers()
        return [(place, entry) for place, each in found for entry in each.get("env", ()) if entry["name"] == name]

    ref = {"secretKeyRef": {"name": "oidc", "key": "providers"}}
    told = given({"api": {"oidc": {"existingSecret": {"name": "oidc"}}}})
    assert told == [("Deployment/demo-taskbell-api/api", {"name": name, "valueFrom": ref})]
    assert given({}) == []


@pytest.mark.feature("P17")
def test_e_mails_name_the_public_address(chart):
    """With a public host workers know the API's address, for the link that ends e-mail; a setting wins."""
    name = "TASKBELL_API_PUBLIC_URL"

    def named(values):
        made = chart.render(values)
        (container,) = made.one("Deployment", "-delivery")["spec"]["template"]["spec"]["containers"]
        return made.environment(container).get(name)

    assert named({}) is None
    assert named({"public": {"host": "t.example"}}) == "https://t.example"
    assert named({"public": {"host": "t.example", "tls": False}}) == "http://t.example"
    own = {"delivery": {"settings": {name: "https://api.example"}}}
    assert named({"public": {"host": "t.example"}, **own}) == "https://api.example"


REPLICAS = [
    (
        {"database": {"bundled": {"replicas": 2}}},
        [f"@demo-taskbell-postgresql-replica-{number}.demo-taskbell-postgresql-replica:5432" for number in (0, 1)],
    ),
    (
        {"database": {"mode": "cloudnativepg", "cloudnativepg": {"instances": 2, "readReplica": True}}},
        ["@demo-taskbell-database-ro:5432"],
    ),
]


@pytest.mark.feature("M40")
@pytest.mark.parametrize(("values", "servers"), REPLICAS)
def test_the_api_reads_from_the_replicas_of_the_release(chart, values, servers):
    """One URL for each server, under the API's role with its password on the primary, and for no other program."""
    made, name = chart.render(values), "TASKBELL_DATABASE_REPLICA_URLS"
    told = {place: made.environment(each) for place, each in made.containers() if name in str(each.get("env"))}
    ((place, environment),) = told.items()
    assert place == "Deployment/demo-taskbell-api/api"
    account = environment["TASKBELL_DATABASE_URL"].partition("@")[0]
    assert environment[name].split(",") == [f"{account}{server}/taskbell" for server in servers]


@pytest.mark.feature("M40")
def test_each_bundled_replica_copies_the_primary(chart):
    """There is a pod for each, with a name of its own; the primary lets it stream, and keeps log for it."""
    made = chart.render({"database": {"bundled": {"replicas": 2}}})
    assert made.one("StatefulSet", "-postgresql-replica")["spec"]["replicas"] == 2
    (primary,) = made.one("StatefulSet", "-postgresql")["spec"]["template"]["spec"]["containers"]
    assert "hba_file=/etc/taskbell/pg_hba.conf" in primary["args"]
    assert "host replication postgres" in made.one("ConfigMap", "-postgresql")["data"]["pg_hba.conf"]


@pytest.mark.feature("M40")
def test_without_replicas_nothing_of_them_is_made(chart):
    """The default reads from the primary, and the bundled one keeps its arguments, so that it does not restart."""
    made = chart.render()
    assert "REPLICA_URLS" not in str(made.objects)
    assert "postgresql-replica" not in str(made.objects)
    (primary,) = made.one("StatefulSet", "-postgresql")["spec"]["template"]["spec"]["containers"]
    assert primary["args"] == ["-c", "max_connections=500", "-c", "shared_buffers=256MB"]


def test_numbers_reach_settings_as_they_were_written(chart):
    """A large number in the values does not become 1e+07 in the environment."""
    made = chart.render({"api": {"settings": {"TASKBELL_MAX_BODY_BYTES": 10_000_000}}})
    api = made.one("Deployment", "-api")["spec"]["template"]["spec"]["containers"][0]
    assert made.environment(api)["TASKBELL_MAX_BODY_BYTES"] == "10000000"


def test_notes_name_what_was_made(rendered):
    """The notes after an installation name the Job and the Services, and the next commands."""
    (job,) = [name for name in rendered.of("Job") if "-loadtest-" not in name]
    assert f"kubectl -n tasks logs --all-containers job/{job}\n" in rendered.notes
    assert "helm test demo -n tasks\n" in rendered.notes
    forwarded = set(re.findall(r"port-forward svc/(\S+) (\d+)", rendered.notes))
    services = {(name, str(found["spec"]["ports"][0]["port"])) for name, found in rendered.of("Service").items()}
    assert forwarded <= services
    assert bool(forwarded) != bool({"Ingress", "HTTPRoute"} & {thing["kind"] for thing in rendered.objects})
    label = re.search(r"deployment -l (\S+)=(\S+)", rendered.notes)
    for deployment in rendered.of("Deployment").values():
        assert deployment["metadata"]["labels"][label[1]] == label[2]


def test_without_migrations_the_notes_name_no_job(chart):
    """When migrations are run by hand, the notes tell so instead."""
    rendered = chart.render({"migrations": {"enabled": False}})
    assert rendered.of("Job") == {}
    assert "migrations.enabled is false" in rendered.notes


@pytest.mark.feature("K5")
def test_definitions_are_the_contract_and_stay(chart):
    """Helm finds the definitions of the contract in the folder `crds`, marked so that no release removes them."""
    found = {path.stem: json.loads(path.read_text()) for path in Path("charts/taskbell/crds").iterdir()}
    assert set(found) == {definition.plural for definition in DEFINITIONS}
    for definition in DEFINITIONS:
        there, wanted = found[definition.plural], manifest(definition)
        marks = there["metadata"].pop("annotations")
        assert there == wanted
        assert marks["helm.sh/resource-policy"] == "keep"
        assert marks["taskbell.dev/version"] == chart.loaded.version
    assert chart.render().of("CustomResourceDefinition") == {}


@pytest.mark.feature("K5")
@pytest.mark.parametrize("revision", [1, 2])
def test_custom_resources_are_plain_objects(chart, revision):
    """In the first revision as in later ones: what a hook makes is neither upgraded nor rolled back nor removed."""
    rendered = chart.render(revision=revision)
    for kind in OWN:
        assert rendered.of(kind)
        for thing in rendered.of(kind).values():
            assert "annotations" not in thing["metadata"]
    hooks = [thing for thing in rendered.objects if "helm.sh/hook" in thing["metadata"].get("annotations", {})]
    assert [thing["kind"] for thing in hooks] == ["Pod"]  # of `helm test`


@pytest.mark.feature("K5")
def test_sweeps_have_the_rights_of_their_kind(chart):
    """What notifies users runs with the sweeper's role and maintenance with the owner's, each with its Secret."""
    rendered = chart.render()
    for kind in get_args(SweepKind):
        role = "owner" if kind == "maintenance" else "sweeper"
        spec = rendered.one("ReminderSchedule", f"-{kind}")["spec"]
        assert spec["kind"] == kind
        refs = {entry["name"]: entry["secretKeyRef"] for entry in spec["pod"]["env"]}
        url = rendered.secret(refs["TASKBELL_DATABASE_URL"]["name"], refs["TASKBELL_DATABASE_URL"]["key"])
        assert url.startswith(f"postgresql://taskbell_{role}:")


@pytest.mark.feature("K6")
def test_the_pool_sizes_the_delivery_workers(chart):
    """The WorkerPool follows the workers' own consumer and names their Deployment, which then has no `replicas`."""
    rendered = chart.render()
    spec = rendered.one("WorkerPool", "-delivery")["spec"]
    assert spec["targetRef"]["name"] in rendered.of("Deployment")
    (signal,) = spec["signals"]
    assert (signal["jetStream"]["stream"], signal["jetStream"]["consumer"]) == (STREAM, DELIVERY_CONSUMER)


@pytest.mark.feature("K6")
def test_another_engine_may_size_the_workers(chart):
    """With KEDA the pool names the monitoring server and the account of NATS, and KEDA may reach the bundled one."""
    given = {"engine": "KEDA", "keda": {"namespace": "scalers"}}
    rendered = chart.render({"delivery": {"pool": given}})
    keda = WorkerPoolSpec.model_validate(rendered.one("WorkerPool", "-delivery")["spec"]).keda
    host, _, port = keda.nats_monitoring_endpoint.partition(":")
    service = rendered.of("Service")[host.partition(".")[0]]
    assert host.partition(".")[2] == service["metadata"]["namespace"]
    assert int(port) in {entry["port"] for entry in service["spec"]["ports"]}
    assert keda.nats_account == ADMINISTRATOR
    rules = rendered.of("NetworkPolicy")[service["metadata"]["name"]]["spec"]["ingress"]
    (rule,) = [rule for rule in rules if {"protocol": "TCP", "port": int(port)} in rule["ports"]]
    assert rule["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "scalers"}}}]
    external = {"mode": "external", "external": {"url": "nats://nats.example:4222"}}
    given["keda"] = {"natsMonitoring": "nats.example:8222"}
    other = chart.render({"delivery": {"pool": given}, "nats": external})
    found = WorkerPoolSpec.model_validate(other.one("WorkerPool", "-delivery")["spec"]).keda
    assert (found.nats_monitoring_endpoint, found.nats_account) == ("nats.example:8222", "$G")


@pytest.mark.feature("K6")
def test_a_pool_sizes_the_gateways(chart):
    """The WorkerPool reads the gauge that gateways have, on their port, and asks for less than a gateway accepts."""
    rendered = chart.render({"gateway": {"pool": {"enabled": True, "max": 7, "connectionsPerReplica": 4000}}})
    pool = WorkerPoolSpec.model_validate(rendered.one("WorkerPool", "-gateway")["spec"])
    deployment = rendered.of("Deployment")[pool.target_ref.name]
    (signal,) = pool.signals
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert (pool.replicas.min, pool.replicas.max, signal.web_socket.per_replica) == (2, 7, 4000)
    assert {"containerPort": signal.web_socket.port, "name": "http"} in container["ports"]
    assert signal.web_socket.metric == CONNECTIONS.describe()[0].name
    assert GatewaySettings.model_fields["gateway_max_connections"].default == 12_000, "the chart's check says so, too"
    assert (pool.drain.enabled, pool.drain.max_concurrent) == (True, 1)
    assert seconds(pool.drain.timeout) == deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert list(chart.render().of("WorkerPool")) == ["demo-taskbell-delivery"], "by default there is none"


def test_the_operator_may_do_what_it_checks_for_and_no_more(chart):
    """The operator's Role in this namespace has the rules of its own list; it watches only that namespace."""
    rendered = chart.render()
    role = rendered.one("Role", "-operator")
    assert role["rules"] == rules(WATCHED + OWN_PERMISSIONS)
    assert rendered.of("ClusterRole") == {}
    operator = rendered.one("Deployment", "-operator")["spec"]["template"]["spec"]["containers"][0]
    environment = rendered.environment(operator)
    assert environment["TASKBELL_OPERATOR_WATCH_NAMESPACES"] == role["metadata"]["namespace"]
    assert environment["TASKBELL_OPERATOR_IMAGE"] == "ghcr.io/taskbell/sweeper:0.1.0"
    assert environment["TASKBELL_OPERATOR_JOB_SERVICE_ACCOUNT"] in rendered.of("ServiceAccount")


def test_maintenance_keeps_events_as_long_as_the_relay(chart):
    """Retention that is set for the relay also applies to maintenance, unless the values of reminders set it."""
    relay = {"relay": {"settings": {"TASKBELL_EVENT_RETENTION": "P30D"}}}
    own = {"reminders": {"settings": {"TASKBELL_EVENT_RETENTION": "P60D", "TASKBELL_DELIVERY_RETENTION": "P90D"}}}

    def maintenance(values):
        found = chart.render(values).one("ReminderSchedule", "maintenance")
        return {entry["name"]: entry.get("value") for entry in found["spec"]["pod"]["env"]}

    assert maintenance(relay)["TASKBELL_EVENT_RETENTION"] == "P30D"
    assert maintenance({**relay, **own})["TASKBELL_EVENT_RETENTION"] == "P60D"
    assert maintenance({**relay, **own})["TASKBELL_DELIVERY_RETENTION"] == "P90D"
    assert "TASKBELL_EVENT_RETENTION" not in maintenance({})
