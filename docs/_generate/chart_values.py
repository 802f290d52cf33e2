"""The chart's values: the one source of `values.yaml`, `values.schema.json` and `docs/reference/chart.md`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from docs._generate.settings import settings_of

from taskbell.api.settings import ApiSettings
from taskbell.contract.reminder_schedules import ReminderScheduleSpec
from taskbell.delivery.settings import DeliverySettings
from taskbell.gateway.settings import GatewaySettings
from taskbell.kit.settings import Settings
from taskbell.operator.settings import OperatorSettings
from taskbell.relay.settings import RelaySettings
from taskbell.sweeper.settings import SweepSettings, UpkeepSettings


@dataclass(frozen=True)
class Value:
    """One value: where it stands, what it is unless told otherwise, what it may be, what it means."""

    path: str
    default: Any
    schema: Mapping[str, Any]
    meaning: str


TEXT = {"type": "string"}
SOME_TEXT = {"type": "string", "minLength": 1}
OBJECT = {"type": "object"}
LABELS = {"type": "object", "additionalProperties": {"type": "string"}}
OBJECTS = {"type": "array", "items": {"type": "object"}}
NAMED = {"type": "array", "items": {"type": "object", "required": ["name"], "properties": {"name": TEXT}}}
PORTS = {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 65535}}
QUANTITY = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$"}
DURATION = {"type": "string", "pattern": r"^[0-9]+(ms|s|m|h)$"}
SCHEDULE = {"type": "string", "pattern": ReminderScheduleSpec.model_json_schema()["properties"]["schedule"]["pattern"]}
LABEL = {"type": "string", "pattern": r"^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$"}
ROLES = ("owner", "api", "relay", "gateway", "sweeper", "delivery")
"""What stands after `taskbell_` in the names of the database's roles."""
IMAGES = ("api", "relay", "sweeper", "gateway", "delivery", "operator")
"""The images, which are the targets of the Dockerfile."""
_GIVEN = {
    "TASKBELL_DATABASE_URL",
    "TASKBELL_NATS_URL",
    "TASKBELL_SIGNING_KEYS",
    "TASKBELL_JWKS_URL",
    "TASKBELL_GATEWAY_DRAIN_TIMEOUT",
    "TASKBELL_GATEWAY_URL",
    "TASKBELL_DELIVERY_DRAIN_TIMEOUT",
    "TASKBELL_SMTP_URL",
    "TASKBELL_OPERATOR_NAMESPACE",
    "TASKBELL_OPERATOR_WATCH_NAMESPACES",
    "TASKBELL_OPERATOR_IMAGE",
    "TASKBELL_OPERATOR_IMAGE_PULL_POLICY",
    "TASKBELL_OPERATOR_IMAGE_PULL_SECRETS",
    "TASKBELL_OPERATOR_JOB_SERVICE_ACCOUNT",
}
"""Settings that the chart gives by itself."""


def on(path: str, meaning: str) -> Value:
    """A switch that is on unless told otherwise."""
    return Value(path, default=True, schema={"type": "boolean"}, meaning=meaning)


def off(path: str, meaning: str) -> Value:
    """A switch that is off unless told otherwise."""
    return Value(path, default=False, schema={"type": "boolean"}, meaning=meaning)


def number(least: int, most: int | None = None) -> dict[str, Any]:
    """A whole number within bounds."""
    return {"type": "integer", "minimum": least} | ({} if most is None else {"maximum": most})


def one_of(*words: str) -> dict[str, Any]:
    """One of some words."""
    return {"type": "string", "enum": list(words)}


def settings(*kinds: type[Settings]) -> dict[str, Any]:
    """Settings of a service by their variables, without those that the chart gives."""
    plain = {"type": ["string", "integer", "number", "boolean"]}
    names = (setting.variable for kind in kinds for setting in settings_of(kind))
    known = {name: plain for name in names if name not in _GIVEN}
    return {"type": "object", "properties": known, "additionalProperties": False}


def component(
    name: str, what: str, kinds: tuple[type[Settings], ...], *, replicas: int | None, cpu: str, memory: str, limit: str
) -> Iterator[Value]:
    """What every workload has."""
    if replicas is not None:
        meaning = f"Pods of {what}. With 2 or more a disruption budget keeps all but one of them."
        yield Value(f"{name}.replicas", replicas, number(0, 500), meaning)
    resources = {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": limit}}
    yield Value(
        f"{name}.resources", resources, OBJECT, "Resources of a pod. No processor limit: throttling is latency."
    )
    yield Value(f"{name}.settings", {}, settings(*kinds), "Its settings by variable, see docs/reference/settings.md.")
    yield Value(f"{name}.env", [], NAMED, "More environment variables, as in a pod: `OTEL_*`, or values from Secrets.")
    yield from placement(name)


def placement(name: str, *, affinity: bool = True) -> Iterator[Value]:
    """Where pods may run."""
    yield Value(f"{name}.nodeSelector", {}, LABELS, "Labels of the nodes it may run on.")
    yield Value(f"{name}.tolerations", [], OBJECTS, "Taints that it tolerates.")
    if affinity:
        yield Value(f"{name}.affinity", {}, OBJECT, "Affinity; services spread over zones and nodes besides.")


def autoscaling(name: str, *, least: int, most: int, cpu: int) -> Iterator[Value]:
    """What a workload has that follows its processor use."""
    yield off(f"{name}.autoscaling.enabled", "Let a HorizontalPodAutoscaler decide instead of `replicas`.")
    yield Value(f"{name}.autoscaling.minReplicas", least, number(1, 500), "Fewest pods.")
    yield Value(f"{name}.autoscaling.maxReplicas", most, number(1, 500), "Most pods.")
    yield Value(f"{name}.autoscaling.targetCPUPercent", cpu, number(1, 100), "Processor use, of the request, aimed at.")


def secret(path: str, what: str, key: str) -> Iterator[Value]:
    """A Secret of yours that holds a value."""
    yield Value(f"{path}.name", "", TEXT, f"A Secret of yours that holds {what}.")
    yield Value(f"{path}.key", key, TEXT, "The key within it.")


def everything() -> list[Value]:
    """Every value, in the order of the file."""
    return [*_general(), *_workloads(), *_stores(), *_surroundings()]


def _general() -> Iterator[Value]:
    yield Value(
        "nameOverride",
        "",
        LABEL,
        "Instead of the chart's name in names and labels; never to change, since pods are selected by it.",
    )
    yield Value("fullnameOverride", "", TEXT, "Instead of release and chart at the front of every name; 36 characters.")
    yield Value("commonLabels", {}, LABELS, "Labels on every object.")
    yield Value("image.registry", "ghcr.io/taskbell", SOME_TEXT, "Where the images `api`, `relay`, `gateway` ... are.")
    yield Value("image.tag", "", TEXT, "Tag of all images; the chart's appVersion if empty. `latest` is refused.")
    whole = {"type": "object", "additionalProperties": False, "properties": dict.fromkeys(IMAGES, TEXT)}
    yield Value("image.overrides", {}, whole, "Whole references by image, instead of registry and tag: `{api: ...}`.")
    yield Value("image.pullPolicy", "IfNotPresent", one_of("Always", "IfNotPresent", "Never"), "When nodes pull.")
    yield Value("image.pullSecrets", [], NAMED, "Secrets for the registry: `[{name: ...}]`.")
    yield off("ipv6", "Listen on IPv6, too: for clusters whose pods have such addresses, alone or besides IPv4.")
    yield Value("public.host", "", TEXT, "Host name under which the world reaches `/v1`, `/docs` and `/ws`.")
    yield on("public.tls", "Whether the world comes by https and wss.")
    keys = "the JWK Set that signs access tokens; `taskbell keys new` prints one"
    yield Value("signingKeys.value", "", TEXT, f"Here: {keys}. For trials; better is a Secret of yours.")
    yield from secret("signingKeys.existingSecret", "it", "keys")


def _workloads() -> Iterator[Value]:
    yield from component("api", "the API", (ApiSettings,), replicas=2, cpu="500m", memory="256Mi", limit="512Mi")
    yield from autoscaling("api", least=2, most=10, cpu=70)
    yield from component(
        "relay", "the relay: one works, the others stand by", (RelaySettings,), replicas=2, cpu="200m", memory="128Mi",
        limit="256Mi",
    )  # fmt: skip
    yield from component(
        "gateway", "the WebSocket gateway", (GatewaySettings,), replicas=2, cpu="500m", memory="256Mi", limit="1Gi"
    )
    yield Value(
        "gateway.drainSeconds",
        20,
        number(0, 600),
        "Over how long a gateway that ends closes its connections, in waves.",
    )
    yield from autoscaling("gateway", least=2, most=20, cpu=60)
    yield from component(
        "delivery",
        "the delivery workers: webhooks and e-mail",
        (DeliverySettings,),
        replicas=2,
        cpu="100m",
        memory="128Mi",
        limit="512Mi",
    )
    yield Value("delivery.drainSeconds", 20, number(0, 600), "How long a worker that ends finishes what is under way.")
    smtp = "the mail relay, `smtps://user:password@host:465`; no e-mail is sent without one"
    yield Value("delivery.smtp.url", "", TEXT, f"Address of {smtp}.")
    yield from secret("delivery.smtp.existingSecret", "that address", "url")
    yield on(
        "delivery.pool.enabled", "Let a WorkerPool size it by its backlog instead of `replicas`; needs the operator."
    )
    yield Value("delivery.pool.min", 2, number(1, 500), "Fewest workers.")
    yield Value("delivery.pool.max", 10, number(1, 500), "Most workers.")
    yield Value("delivery.pool.backlogPerReplica", 1000, number(1, 10_000_000), "Events one worker may have before it.")
    yield from component(
        "operator",
        "the operator: one works, the others stand by",
        (OperatorSettings,),
        replicas=1,
        cpu="50m",
        memory="128Mi",
        limit="256Mi",
    )
    yield on("operator.enabled", "Keep ReminderSchedules and WorkerPools of this namespace.")
    yield on("crds.install", "Bring the custom resource definitions; they stay when the release goes.")
    yield on("reminders.enabled", "Fire due reminders and do the database's upkeep, by a ReminderSchedule each.")
    yield Value("reminders.shards", 1, number(1, 64), "Pods that share a sweep of due reminders.")
    yield Value(
        "reminders.schedule", "* * * * *", SCHEDULE, "When a sweep starts; it stays for a minute and fires on time."
    )
    yield Value("reminders.maintenance", "17 3 * * *", SCHEDULE, "When the upkeep runs, in UTC.")
    yield Value("reminders.resources", {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
                OBJECT, "Resources of a sweep.")  # fmt: skip
    yield Value("reminders.settings", {}, settings(SweepSettings, UpkeepSettings),
                "Settings of sweeps and upkeep by variable, such as how long events, notifications and deliveries are "
                "kept. TASKBELL_EVENT_RETENTION is the relay's unless it stands here.")  # fmt: skip
    yield from placement("reminders", affinity=False)
    yield on("migrations.enabled", "Bring the database to the schema, by a Job of its own for each revision.")
    yield Value("migrations.resources", {"requests": {"cpu": "100m", "memory": "192Mi"}, "limits": {"memory": "512Mi"}},
                OBJECT, "Resources of that Job.")  # fmt: skip
    yield from placement("migrations")
    waits = "How long pods wait for the schema, and its Job for the database."
    yield Value("migrations.patienceSeconds", 600, number(10, 3600), waits)


def _stores() -> Iterator[Value]:
    yield Value(
        "database.mode", "bundled", one_of("bundled", "cloudnativepg", "external"),
        "PostgreSQL: one pod for a trial, a Cluster of the CloudNativePG operator, or one of yours.",
    )  # fmt: skip
    for role in ROLES:
        yield Value(
            f"database.external.urls.{role}", "", TEXT, f"`postgresql://taskbell_{role}:...@host:5432/taskbell`."
        )
    yield Value("database.external.existingSecret", "", TEXT, f"A Secret of yours with a URL each: {', '.join(ROLES)}.")
    by_role = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            role: {
                "type": "object",
                "required": ["name", "key"],
                "additionalProperties": False,
                "properties": {"name": TEXT, "key": TEXT},
            }
            for role in ROLES
        },
    }
    yield Value("database.external.existingSecrets", {}, by_role, "The same by role: `{api: {name: ..., key: ...}}`.")
    yield Value("database.external.admin.url", "", TEXT, "If given, roles are made with it before the migrations.")
    yield from secret("database.external.admin.existingSecret", "that URL", "url")
    yield Value(
        "database.password", "", TEXT, "Bundled, CloudNativePG: the roles' passwords follow from it; else random."
    )
    yield Value("database.storage.size", "8Gi", QUANTITY, "Bundled, CloudNativePG: size of a volume.")
    yield Value("database.storage.className", "", TEXT, "Storage class; the cluster's default if empty.")
    yield Value("database.bundled.image", "docker.io/library/postgres:18.1", TEXT, "The official image.")
    yield Value("database.bundled.resources", {"requests": {"cpu": "250m", "memory": "512Mi"}, "limits":
                {"memory": "1Gi"}}, OBJECT, "Resources of the bundled PostgreSQL.")  # fmt: skip
    yield from placement("database.bundled")
    yield Value("database.cloudnativepg.instances", 3, number(1, 9), "PostgreSQL servers of the Cluster.")
    yield Value("database.cloudnativepg.image", "ghcr.io/cloudnative-pg/postgresql:18.1", TEXT, "Its image.")
    yield Value("database.cloudnativepg.resources", {}, OBJECT, "Resources of each server.")
    yield Value("nats.mode", "bundled", one_of("bundled", "external"), "NATS: one pod for a trial, or yours.")
    yield Value("nats.external.url", "", TEXT, "`nats://user:password@host:4222`; several separated by commas.")
    yield from secret("nats.external.existingSecret", "that URL", "url")
    yield Value("nats.password", "", TEXT, "Bundled: its password follows from it; else random.")
    yield Value("nats.storage.size", "8Gi", QUANTITY, "Bundled: size of the volume for streams.")
    yield Value("nats.storage.className", "", TEXT, "Storage class; the cluster's default if empty.")
    yield Value("nats.bundled.image", "docker.io/library/nats:2.12.2-alpine", TEXT, "The official image.")
    yield Value("nats.bundled.resources", {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits":
                {"memory": "512Mi"}}, OBJECT, "Resources of the bundled NATS.")  # fmt: skip
    yield from placement("nats.bundled")


def _surroundings() -> Iterator[Value]:
    yield off("ingress.enabled", "An Ingress: `/ws` to the gateway, `/v1`, `/docs` ... to the API.")
    yield Value("ingress.className", "", TEXT, "Ingress class; the cluster's default if empty.")
    yield Value("ingress.annotations", {}, LABELS, "For the controller: long-lived WebSockets want long idle times.")
    yield Value("ingress.tlsSecret", "", TEXT, "Secret with the certificate of `public.host`.")
    yield off(
        "ingress.tlsElsewhere", "A load balancer before the Ingress has the certificate, so that it needs no Secret."
    )
    yield off("httpRoute.enabled", "An HTTPRoute of the Gateway API with the same paths.")
    yield Value("httpRoute.parentRefs", [], NAMED, "The Gateways that it is attached to.")
    yield on("networkPolicy.enabled", "Deny what the platform does not need, both ways.")
    yield Value(
        "networkPolicy.publicFrom", [], OBJECTS, "Who may reach API and gateway, as `from` of a NetworkPolicy; all."
    )
    yield Value(
        "networkPolicy.metricsFrom", [], OBJECTS,
        "Who may scrape; all if empty, but API and gateway then are as open as `publicFrom` says.",
    )  # fmt: skip
    yield Value("networkPolicy.databasePorts", [5432], PORTS, "Ports of an external PostgreSQL.")
    yield Value("networkPolicy.databaseTo", [], OBJECTS, "Where it is, as `to` of a NetworkPolicy; anywhere if empty.")
    yield Value("networkPolicy.natsPorts", [4222], PORTS, "Ports of an external NATS.")
    yield Value("networkPolicy.natsTo", [], OBJECTS, "Where it is; anywhere if empty.")
    yield Value(
        "networkPolicy.apiServerPorts", [443, 6443], PORTS, "Ports of Kubernetes' API server, for the operator."
    )
    yield Value("networkPolicy.apiServerTo", [], OBJECTS, "Where it is; anywhere if empty.")
    yield Value("networkPolicy.smtpPorts", [25, 465, 587], PORTS, "Ports of the mail relay.")
    yield Value("networkPolicy.smtpTo", [], OBJECTS, "Where it is; anywhere if empty.")
    yield Value(
        "networkPolicy.extraEgress", [], OBJECTS, "More egress rules for all services, say to a trace collector."
    )
    yield off("monitoring.serviceMonitor.enabled", "ServiceMonitors for the Prometheus operator.")
    yield Value("monitoring.serviceMonitor.labels", {}, LABELS, "Labels that your Prometheus selects by.")
    yield Value("monitoring.serviceMonitor.interval", "15s", DURATION, "How often it scrapes.")
    yield off("monitoring.rules.enabled", "Alert rules as a PrometheusRule; each has a runbook.")
    yield Value("monitoring.rules.labels", {}, LABELS, "Labels that your Prometheus selects by.")
    yield Value(
        "monitoring.rules.runbooks", "https://github.com/taskbell/taskbell/blob/main/docs/runbooks", TEXT,
        "Where the runbooks are read.",
    )  # fmt: skip
    yield off("monitoring.dashboard.enabled", "The overview for Grafana's sidecar, in a ConfigMap.")
    yield Value("monitoring.dashboard.labels", {"grafana_dashboard": "1"}, LABELS, "Labels the sidecar selects by.")
