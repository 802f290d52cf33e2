"""The chart's values: the one source of `values.yaml`, `values.schema.json` and `docs/reference/chart.md`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from docs._generate.chart_kinds import (
    CIDRS,
    DURATION,
    LABEL,
    LABELS,
    LEAD,
    NAMED,
    OBJECT,
    OBJECTS,
    PORTS,
    QUANTITY,
    RESOURCES,
    SCHEDULE,
    SOME_TEXT,
    SWEEP_RESOURCES,
    TEXT,
    number,
    one_of,
    secrets_of,
    settings,
)
from docs._generate.dashboards.plan import RUNBOOKS

from taskbell.api.settings import ApiSettings
from taskbell.capacity.plan import EVERYDAY, SCENARIOS
from taskbell.contract.nats_users import Program, user_of
from taskbell.delivery.settings import DeliverySettings
from taskbell.gateway.settings import GatewaySettings
from taskbell.kit.settings import Settings
from taskbell.operator.settings import OperatorSettings
from taskbell.relay.settings import RelaySettings
from taskbell.sweeper.settings import RetentionSettings, SweepSettings


@dataclass(frozen=True)
class Value:
    """One value: where it stands, what it is unless told otherwise, what it may be, what it means."""

    path: str
    default: Any
    schema: Mapping[str, Any]
    meaning: str


ROLES = ("owner", "api", "relay", "gateway", "sweeper", "delivery")
"""The database's roles, without their prefix `taskbell_`."""
IMAGES = ("api", "relay", "sweeper", "gateway", "delivery", "operator", "loadtest", "pgbouncer")
"""The images, which are the targets of the Dockerfile."""


def on(path: str, meaning: str) -> Value:
    """A switch that is on by default."""
    return Value(path, default=True, schema={"type": "boolean"}, meaning=meaning)


def off(path: str, meaning: str) -> Value:
    """A switch that is off by default."""
    return Value(path, default=False, schema={"type": "boolean"}, meaning=meaning)


def component(
    name: str, what: str, kinds: tuple[type[Settings], ...], *, replicas: int | None, cpu: str, memory: str, limit: str
) -> Iterator[Value]:
    """The values that every workload has."""
    if replicas is not None:
        meaning = f"Pods of {what}. With 2 or more, a disruption budget lets one go at a time."
        yield Value(f"{name}.replicas", replicas, number(0, 500), meaning)
    resources = {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": limit}}
    yield Value(
        f"{name}.resources",
        resources,
        OBJECT,
        "Resources of a pod. The requests are for a trial: raise them. No CPU limit, because throttling adds latency.",
    )
    yield Value(f"{name}.settings", {}, settings(*kinds), "Settings by variable, see docs/reference/settings.md.")
    yield Value(
        f"{name}.env", [], NAMED, "Additional environment variables, as in a pod: `OTEL_*`, or values from Secrets."
    )
    yield from placement(name)


def placement(name: str, *, affinity: bool = True) -> Iterator[Value]:
    """The values that decide where pods may run."""
    yield Value(f"{name}.nodeSelector", {}, LABELS, "Labels of the nodes on which it may run.")
    yield Value(f"{name}.tolerations", [], OBJECTS, "Taints that it tolerates.")
    if affinity:
        yield Value(f"{name}.affinity", {}, OBJECT, "Affinity. Programs spread over zones and nodes in any case.")


def autoscaling(name: str, *, least: int, most: int, cpu: int) -> Iterator[Value]:
    """The values of a workload that scales by its CPU use."""
    yield off(
        f"{name}.autoscaling.enabled", "Let a HorizontalPodAutoscaler set the number of pods instead of `replicas`."
    )
    yield Value(f"{name}.autoscaling.minReplicas", least, number(1, 500), "Fewest pods.")
    yield Value(f"{name}.autoscaling.maxReplicas", most, number(1, 500), "Most pods.")
    yield Value(
        f"{name}.autoscaling.targetCPUPercent",
        cpu,
        number(1, 100),
        "Target CPU use, in percent of the request: raise that to what a pod may use.",
    )


def secret(path: str, what: str, key: str) -> Iterator[Value]:
    """A Secret of yours that holds a value."""
    yield Value(f"{path}.name", "", TEXT, f"A Secret of yours that holds {what}.")
    yield Value(f"{path}.key", key, TEXT, "The key in that Secret.")


def everything() -> list[Value]:
    """Every value, in the order of the file."""
    return [*_general(), *_workloads(), *_stores(), *_surroundings()]


def _general() -> Iterator[Value]:
    yield Value(
        "nameOverride",
        "",
        LABEL,
        "Replaces the chart's name in names and labels. Do not change it later: it selects pods.",
    )
    yield Value(
        "fullnameOverride", "", TEXT, "Replaces release and chart at the start of every name; at most 36 characters."
    )
    yield Value("commonLabels", {}, LABELS, "Labels for every object.")
    yield Value("image.registry", "ghcr.io/taskbell", SOME_TEXT, "Registry of the images `api`, `relay`, `gateway` ...")
    yield Value("image.tag", "", TEXT, "Tag of all images; if empty, the chart's appVersion. `latest` is refused.")
    whole = {"type": "object", "additionalProperties": False, "properties": dict.fromkeys(IMAGES, TEXT)}
    yield Value("image.overrides", {}, whole, "Full image references that replace registry and tag: `{api: ...}`.")
    yield Value(
        "image.pullPolicy", "IfNotPresent", one_of("Always", "IfNotPresent", "Never"), "When nodes pull images."
    )
    yield Value("image.pullSecrets", [], NAMED, "Secrets for the registry: `[{name: ...}]`.")
    yield off("ipv6", "Also listen on IPv6, for clusters whose pods have IPv6 addresses.")
    yield Value("public.host", "", TEXT, "Public host name of `/v1`, `/docs` and `/ws`.")
    yield on("public.tls", "Whether clients use https and wss.")
    yield Value(
        "public.trustedProxies", [], CIDRS,
        "Networks of the proxies in front of the API, which believes what they report of a client's address. If empty: "
        "with `ingress` or `httpRoute` all private networks, where the controller's pods are; otherwise none but the "
        "pod itself. Name the networks if other machines in private networks use the API, or if a load balancer with "
        "public addresses passes requests on.",
    )  # fmt: skip
    keys = "the JWK Set that signs access tokens; `taskbell keys new` prints one"
    yield Value("signingKeys.value", "", TEXT, f"Value of {keys}. For trials only; prefer a Secret of yours.")
    yield from secret("signingKeys.existingSecret", "it", "keys")


def _workloads() -> Iterator[Value]:
    yield from component("api", "the API", (ApiSettings,), replicas=2, cpu="100m", memory="256Mi", limit="512Mi")
    yield from autoscaling("api", least=2, most=10, cpu=70)
    yield from secret(
        "api.oidc.existingSecret",
        "the list of providers that people sign in through, see docs/how-to/sign-in-with-oidc.md; without one they "
        "sign in with passwords only",
        "providers",
    )
    yield from component(
        "relay",
        "the relay: one is active, the others are on standby",
        (RelaySettings,),
        replicas=2,
        cpu="50m",
        memory="128Mi",
        limit="256Mi",
    )
    yield from component(
        "gateway", "the WebSocket gateway", (GatewaySettings,), replicas=2, cpu="100m", memory="256Mi", limit="1Gi"
    )
    yield Value(
        "gateway.drainSeconds",
        20,
        number(0, 600),
        "Seconds over which a gateway that stops closes its connections, in waves.",
    )
    yield from autoscaling("gateway", least=2, most=20, cpu=60)
    yield off(
        "gateway.pool.enabled",
        "Let a WorkerPool set the number of gateways by their open connections instead of `replicas`; needs the "
        "operator, and excludes `autoscaling`. Gateways with the fewest connections go first.",
    )
    yield Value("gateway.pool.min", 2, number(1, 500), "Fewest gateways.")
    yield Value("gateway.pool.max", 20, number(1, 500), "Most gateways.")
    yield Value(
        "gateway.pool.connectionsPerReplica",
        10_000,
        number(1, 1_000_000),
        "Connections that one gateway can hold, of which 20 % stay free; at most TASKBELL_GATEWAY_MAX_CONNECTIONS.",
    )
    yield Value("gateway.pool.drainAtOnce", 1, number(1, 500), "Most gateways that close their connections at a time.")
    yield from component(
        "delivery",
        "the delivery workers: webhooks and e-mail",
        (DeliverySettings,),
        replicas=2,
        cpu="50m",
        memory="128Mi",
        limit="512Mi",
    )
    yield Value(
        "delivery.drainSeconds", 20, number(0, 600), "Seconds that a worker that stops has for the attempts in flight."
    )
    smtp = (
        "the mail server, `smtps://user:password@host:465`; without one no e-mail is sent, and invitations are accepted"
        " without a confirmed address"
    )
    yield Value("delivery.smtp.url", "", TEXT, f"Address of {smtp}.")
    yield from secret("delivery.smtp.existingSecret", "that address", "url")
    yield from secret(
        "delivery.push.fcm.existingSecret",
        "Firebase's service account as JSON; without one nothing is sent to Android",
        "credentials",
    )
    yield from secret(
        "delivery.push.apns.existingSecret",
        "Apple's signing key, the text of the .p8 file; its ids and the app's topic are settings. Without one nothing "
        "is sent to iOS",
        "key",
    )
    yield from secret(
        "delivery.push.vapid.existingSecret",
        "the private VAPID key, base64url; without one nothing is sent to browsers",
        "private-key",
    )
    yield on(
        "delivery.pool.enabled",
        "Let a WorkerPool set the number of workers by their backlog instead of `replicas`; needs the operator.",
    )
    yield Value("delivery.pool.min", 2, number(1, 500), "Fewest workers.")
    yield Value("delivery.pool.max", 10, number(1, 500), "Most workers.")
    yield Value("delivery.pool.backlogPerReplica", 1000, number(1, 10_000_000), "Waiting events per worker.")
    yield Value(
        "delivery.pool.engine",
        "Native",
        one_of("Native", "HPA", "KEDA"),
        "Who sets the number: the operator, a HorizontalPodAutoscaler (needs a metrics adapter) or KEDA.",
    )
    yield Value(
        "delivery.pool.keda.natsMonitoring",
        "",
        TEXT,
        "Engine KEDA: host and port of the monitoring server of an external NATS, `nats.messaging:8222`.",
    )
    yield Value("delivery.pool.keda.natsAccount", "", TEXT, "Engine KEDA: account on an external NATS; if empty, `$G`.")
    yield Value(
        "delivery.pool.keda.namespace",
        "keda",
        SOME_TEXT,
        "Engine KEDA: its namespace, which may reach the monitoring server of the bundled NATS.",
    )
    yield from component(
        "operator",
        "the operator: one is active, the others are on standby",
        (OperatorSettings,),
        replicas=2,
        cpu="25m",
        memory="128Mi",
        limit="256Mi",
    )
    yield on("operator.enabled", "Run the operator, which manages ReminderSchedules and WorkerPools of this namespace.")
    yield on("crds.install",
             "Bring the definitions up to date: where the cluster has others, a Job replaces them before the "
             "installation or upgrade. Helm itself creates those that are missing, and removes none.")  # fmt: skip
    yield on("reminders.enabled", "Create the ReminderSchedules: due, overdue, stale, digest and maintenance.")
    leads = {"type": "array", "items": LEAD, "maxItems": 10, "uniqueItems": True}
    yield Value(
        "reminders.leads",
        [],
        leads,
        "Fire only reminders of these leads, such as 1h; others need a ReminderSchedule of your own. Empty: all.",
    )
    yield Value("reminders.shards", 1, number(1, 64), "Pods that share a sweep of due reminders, or of overdue tasks.")
    yield Value(
        "reminders.schedule", "* * * * *", SCHEDULE, "When a sweep starts. It runs for a minute and fires on time."
    )
    yield Value("reminders.overdue", "* * * * *", SCHEDULE, "When a sweep of overdue tasks starts. It runs so, too.")
    yield Value("reminders.stale", "41 * * * *", SCHEDULE, "When stale tasks are looked for (TASKBELL_STALE_AFTER).")
    yield Value("reminders.digest", "*/15 * * * *", SCHEDULE,
                "When daily digests are written: each follows its user's hour at the next sweep.")  # fmt: skip
    yield Value("reminders.maintenance", "17 3 * * *", SCHEDULE, "When maintenance runs, in UTC.")
    yield Value("reminders.resources", {"requests": {"cpu": "25m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
                SWEEP_RESOURCES, "Resources of a sweep.")  # fmt: skip
    yield Value("reminders.settings", {}, settings(SweepSettings, RetentionSettings),
                "Settings of sweeps and maintenance by variable, such as how long events, notifications and deliveries "
                "are kept. The default of TASKBELL_EVENT_RETENTION is the relay's.")  # fmt: skip
    yield from placement("reminders", affinity=False)
    yield on("migrations.enabled", "Migrate the schema, with one Job per revision.")
    yield Value("migrations.resources", {"requests": {"cpu": "50m", "memory": "192Mi"}, "limits": {"memory": "512Mi"}},
                RESOURCES, "Resources of that Job.")  # fmt: skip
    yield from placement("migrations")
    waits = "Seconds that pods wait for the schema, and the Job for the database."
    yield Value("migrations.patienceSeconds", 600, number(10, 3600), waits)
    yield from _loadtest()


def _loadtest() -> Iterator[Value]:
    yield off(
        "loadtest.enabled", "Measure what this release carries, once for each revision, with a master and workers."
    )
    yield Value("loadtest.workers", 2, number(1, 100), "Pods that make the load.")
    yield Value("loadtest.scenario", EVERYDAY, one_of(*SCENARIOS), "Who the users are.")
    yield Value("loadtest.minutes", 7.5, {"type": "number", "minimum": 2, "maximum": 25}, "The longest time of a run.")
    yield Value(
        "loadtest.args",
        [],
        {"type": "array", "items": SOME_TEXT},
        'More options of `taskbell capacity`: `[--most-users, "2000"]`.',
    )
    yield Value(
        "loadtest.staySeconds",
        3600,
        number(0, 604_800),
        "How long the master stays for `kubectl cp` of its report.",
    )
    yield from secret(
        "loadtest.tokens.existingSecret",
        "access tokens of the users, with spaces between them; without one the run makes users, which stay",
        "tokens",
    )
    yield Value(
        "loadtest.resources",
        {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"memory": "2Gi"}},
        RESOURCES,
        "Resources of each of these pods.",
    )
    yield from placement("loadtest")


def _stores() -> Iterator[Value]:
    yield Value(
        "database.mode", "bundled", one_of("bundled", "cloudnativepg", "external"),
        "PostgreSQL: one pod for a trial, a Cluster of the CloudNativePG operator, or your own.",
    )  # fmt: skip
    for role in ROLES:
        yield Value(
            f"database.external.urls.{role}", "", TEXT, f"`postgresql://taskbell_{role}:...@host:5432/taskbell`."
        )
    yield Value(
        "database.external.existingSecret", "", TEXT, f"A Secret of yours with one URL per role: {', '.join(ROLES)}."
    )
    by_role = "The same by role: `{api: {name: ..., key: ...}}`."
    yield Value("database.external.existingSecrets", {}, secrets_of(*ROLES), by_role)
    yield Value(
        "database.external.admin.url", "", TEXT, "If set, a Job creates the roles with it before the migrations."
    )
    yield from secret("database.external.admin.existingSecret", "that URL", "url")
    urls = {
        "type": "array",
        "maxItems": 16,
        "items": {"type": "string", "pattern": "^postgresql://taskbell_api:[^,]+$"},
    }
    yield Value("database.external.replicas.urls", [], urls,
                "Streaming replicas from which the API reads, one URL for each server: "
                "`postgresql://taskbell_api:...@replica:5432/taskbell`.")  # fmt: skip
    yield from secret("database.external.replicas.existingSecret", "these URLs, separated by commas", "urls")
    yield Value(
        "database.password",
        "",
        TEXT,
        "Bundled, CloudNativePG: the roles' passwords are derived from it; if empty, they are random.",
    )
    yield Value("database.storage.size", "8Gi", QUANTITY, "Bundled, CloudNativePG: size of a volume.")
    yield Value("database.storage.className", "", TEXT, "Storage class; if empty, the cluster's default.")
    yield Value("database.bundled.image", "docker.io/library/postgres:18.4", TEXT, "The official image.")
    yield Value("database.bundled.resources", {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits":
                {"memory": "1Gi"}}, RESOURCES, "Resources of the bundled PostgreSQL.")  # fmt: skip
    yield Value("database.bundled.replicas", 0, number(0, 4),
                "Streaming replicas from which the API reads, one pod each with the resources of the primary. They "
                "have no volume: a new pod copies the primary.")  # fmt: skip
    yield from placement("database.bundled")
    yield Value("database.cloudnativepg.instances", 3, number(1, 9), "PostgreSQL servers of the Cluster.")
    yield Value("database.cloudnativepg.image", "ghcr.io/cloudnative-pg/postgresql:18.4-standard-trixie", TEXT,
                "Image of the servers.")  # fmt: skip
    yield off("database.cloudnativepg.readReplica",
              "Let the API read from the Cluster's Service `-ro`. It must lead to one server, so this needs 2 "
              "instances; for more replicas use `database.mode: external` with a Service for each.")  # fmt: skip
    yield Value("database.cloudnativepg.resources", {}, RESOURCES, "Resources of each server.")
    yield from _pgbouncer()
    yield Value("nats.mode", "bundled", one_of("bundled", "external"), "NATS: one pod for a trial, or your own.")
    for program in Program:
        user = f"`nats://{user_of(program)}:...@host:4222`; several separated by commas."
        yield Value(f"nats.external.urls.{program}", "", TEXT, user)
    by_program = "Secrets of yours that hold these URLs, by program: `{api: {name: ..., key: ...}}`."
    yield Value("nats.external.existingSecrets", {}, secrets_of(*Program), by_program)
    for_all = "One URL for the programs that have none of their own. Each could then do what any of them may."
    yield Value("nats.external.url", "", TEXT, for_all)
    yield from secret("nats.external.existingSecret", "that URL", "url")
    yield Value("nats.password", "", TEXT, "Bundled: passwords are derived from it; if empty, they are random.")
    yield Value("nats.storage.size", "8Gi", QUANTITY, "Bundled: size of the volume for streams.")
    yield Value("nats.storage.className", "", TEXT, "Storage class; if empty, the cluster's default.")
    image = "The official image, or another one with a shell."
    yield Value("nats.bundled.image", "docker.io/library/nats:2.15.1-alpine", TEXT, image)
    yield Value("nats.bundled.resources", {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits":
                {"memory": "512Mi"}}, RESOURCES, "Resources of the bundled NATS.")  # fmt: skip
    yield from placement("nats.bundled")


def _pgbouncer() -> Iterator[Value]:
    yield off("pgbouncer.enabled",
              "PgBouncer in transaction mode before the database, for API, gateways, delivery and sweeps. The relay, "
              "migrations, maintenance and reads from replicas go on connecting directly.")  # fmt: skip
    yield Value("pgbouncer.replicas", 2, number(1, 20),
                "Its pods. With 2 or more, a disruption budget lets one go at a time.")  # fmt: skip
    yield Value("pgbouncer.poolSize", 20, number(1, 1000),
                "Connections to PostgreSQL that each of its pods has for each of the four roles at most.")  # fmt: skip
    yield Value("pgbouncer.maxClients", 5000, number(10, 100_000),
                "Connections of programs that each of its pods accepts at most.")  # fmt: skip
    yield Value("pgbouncer.preparedStatements", 200, number(50, 10_000),
                "Prepared statements that it keeps on each connection to PostgreSQL.")  # fmt: skip
    yield Value("pgbouncer.resources", {"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"memory": "256Mi"}},
                RESOURCES, "Resources of a pod. It uses one core at most.")  # fmt: skip
    yield from placement("pgbouncer")


def _surroundings() -> Iterator[Value]:
    yield off("ingress.enabled", "An Ingress: `/ws` to the gateway, `/v1`, `/docs` ... to the API.")
    yield Value("ingress.className", "", TEXT, "Ingress class; if empty, the cluster's default.")
    yield Value(
        "ingress.annotations", {}, LABELS, "Annotations for the controller. WebSockets need long idle timeouts."
    )
    yield Value("ingress.tlsSecret", "", TEXT, "Secret with the certificate of `public.host`.")
    yield off(
        "ingress.tlsElsewhere",
        "Set if a load balancer in front of the Ingress has the certificate. The Ingress then needs no Secret.",
    )
    yield off("httpRoute.enabled", "An HTTPRoute of the Gateway API with the same paths.")
    yield Value("httpRoute.parentRefs", [], NAMED, "The Gateways to which it is attached.")
    yield on("networkPolicy.enabled", "Deny traffic that the platform does not need, in both directions.")
    yield Value(
        "networkPolicy.publicFrom",
        [],
        OBJECTS,
        "Who may reach API and gateway, as `from` of a NetworkPolicy; if empty, all.",
    )
    yield Value(
        "networkPolicy.metricsFrom", [], OBJECTS,
        "Who may scrape; if empty, all. API and gateway are then as open as `publicFrom`.",
    )  # fmt: skip
    yield Value("networkPolicy.databasePorts", [5432], PORTS, "Ports of an external PostgreSQL.")
    yield Value("networkPolicy.databaseTo", [], OBJECTS, "Its addresses, as `to` of a NetworkPolicy; if empty, any.")
    yield Value("networkPolicy.natsPorts", [4222], PORTS, "Ports of an external NATS.")
    yield Value("networkPolicy.natsTo", [], OBJECTS, "Its addresses; if empty, any.")
    yield Value(
        "networkPolicy.apiServerPorts", [443, 6443], PORTS, "Ports of the Kubernetes API server, for the operator."
    )
    yield Value("networkPolicy.apiServerTo", [], OBJECTS, "Its addresses; if empty, any.")
    yield Value("networkPolicy.smtpPorts", [25, 465, 587], PORTS, "Ports of the mail server.")
    yield Value("networkPolicy.smtpTo", [], OBJECTS, "Its addresses; if empty, any.")
    yield Value("networkPolicy.oidcPorts", [443], PORTS, "Ports of the providers that people sign in through.")
    yield Value("networkPolicy.oidcTo", [], OBJECTS, "Their addresses; if empty, any.")
    yield Value(
        "networkPolicy.extraEgress",
        [],
        OBJECTS,
        "Additional egress rules for all programs, such as to a trace collector.",
    )
    yield off("monitoring.serviceMonitor.enabled", "ServiceMonitors for the Prometheus operator.")
    yield Value("monitoring.serviceMonitor.labels", {}, LABELS, "Labels that your Prometheus selects.")
    yield Value("monitoring.serviceMonitor.interval", "15s", DURATION, "How often Prometheus scrapes.")
    yield off("monitoring.rules.enabled", "Alert rules as a PrometheusRule; each has a runbook.")
    yield Value("monitoring.rules.labels", {}, LABELS, "Labels that your Prometheus selects.")
    yield Value(
        "monitoring.rules.runbooks", RUNBOOKS, TEXT,
        "Base URL of the runbooks, for alerts and dashboards.",
    )  # fmt: skip
    yield off("monitoring.dashboard.enabled", "The dashboards for Grafana's sidecar, each in a ConfigMap.")
    yield Value("monitoring.dashboard.labels", {"grafana_dashboard": "1"}, LABELS, "Labels that the sidecar selects.")
