"""The custom resource `WorkerPool`: the number of pods of a Deployment of workers or gateways."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from taskbell.contract.crd_schema import Conditions, Duration, Instant, Model, Name, rule, rules
from taskbell.contract.reminder_schedules import SecretKey

StreamName = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^\s.*>/\\]+$")]


class TargetRef(Model):
    """The object to scale."""

    api_version: Literal["apps/v1"] = "apps/v1"
    """Version of the target's API."""
    kind: Literal["Deployment"] = "Deployment"
    """Kind of the target."""
    name: Name
    """Name of the Deployment."""


class Replicas(Model):
    """Bounds of the number of pods."""

    model_config = ConfigDict(json_schema_extra=rules(rule("self.min <= self.max", "min must not exceed max")))

    min: int = Field(default=1, ge=0, le=1000)
    """Smallest number of pods. 0 lets an idle pool scale to zero."""
    max: int = Field(ge=1, le=1000)
    """Largest number of pods."""
    manual: int = Field(default=1, ge=0, le=1000)
    """The number of pods under engine Manual, from `min` to `max`; `kubectl scale` sets it. Native ignores it."""


class JetStreamSignal(Model):
    """The backlog of a durable NATS JetStream consumer."""

    stream: StreamName
    """Name of the stream."""
    consumer: StreamName
    """Name of the durable consumer on the stream."""
    connection_secret_ref: SecretKey | None = None
    """Secret with the address of NATS; the default is the operator's setting `TASKBELL_NATS_URL`."""
    backlog_per_replica: int = Field(default=1000, ge=1, le=10_000_000)
    """Pending and unacknowledged messages for one pod."""
    drain_target: Duration = "60s"
    """Time in which the pods drain a backlog, at their measured pace, such as `90s` or `5m`."""
    activation: int = Field(default=0, ge=0, le=10_000_000)
    """An empty pool starts when more than this number of messages are pending."""
    max_message_age: Duration | None = None
    """While messages wait and the oldest unprocessed one is older than this, the pool grows in proportion, at most to
    twice its size at a time; such as `30s` or `5m`. Without a value no age counts."""


class WebSocketSignal(Model):
    """Open connections, read from the metrics of every ready pod of the target."""

    port: int = Field(default=8001, ge=1, le=65_535)
    """Port on which the pods serve `/metrics`."""
    metric: str = Field(default="taskbell_gateway_connections", max_length=128, pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")
    """Gauge of open connections; all its series are added."""
    per_replica: int = Field(default=10_000, ge=1, le=1_000_000)
    """Connections that one pod can hold."""
    headroom_percent: int = Field(default=20, ge=0, le=90)
    """Share of the connections of a pod, in percent, that stays free for bursts and for pods that drain."""


class Signal(Model):
    """One input of the size. With several signals the largest size wins."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("has(self.jetStream) != has(self.webSocket)", "give exactly one of jetStream and webSocket")
        )
    )

    name: str = Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    """Name of the signal, for the status, events and metrics: lower-case letters, digits and hyphens."""
    jet_stream: JetStreamSignal | None = None
    """The backlog of a consumer; either this or `webSocket`."""
    web_socket: WebSocketSignal | None = None
    """Open connections; either this or `jetStream`."""


class ScalingPolicy(Model):
    """A limit on the change of the size within a period."""

    type: Literal["Pods", "Percent"]
    """Whether `value` counts pods, or percent of the size at the start of the period."""
    value: int = Field(ge=1, le=1000)
    """Largest change within a period, in pods or percent. At least one pod is always allowed."""
    period_seconds: int = Field(ge=1, le=1800)
    """Length of a period, in seconds."""


class ScalingRules(Model):
    """How the size changes in one direction, with the fields of HorizontalPodAutoscaler v2."""

    stabilization_window_seconds: int = Field(default=0, ge=0, le=3600)
    """Use the recommendation of this many seconds that changes the size least."""
    select_policy: Literal["Max", "Min", "Disabled"] = "Max"
    """The policy that counts: the one that allows most (Max) or least (Min); Disabled allows no change."""
    policies: list[ScalingPolicy] = Field(default=[], max_length=8)
    """Limits on the speed; an empty list sets no limit."""
    tolerance_percent: int = Field(default=10, ge=0, le=100)
    """Difference between the size and the need, in percent, that changes nothing."""


class ScaleUp(ScalingRules):
    """How a pool grows."""

    policies: list[ScalingPolicy] = Field(
        default=[
            ScalingPolicy(type="Pods", value=4, period_seconds=15),
            ScalingPolicy(type="Percent", value=100, period_seconds=15),
        ],
        max_length=8,
    )
    """Limits on the speed; an empty list sets no limit."""


class ScaleDown(ScalingRules):
    """How a pool shrinks."""

    stabilization_window_seconds: int = Field(default=300, ge=0, le=3600)
    """Use the largest recommendation of this many seconds."""
    policies: list[ScalingPolicy] = Field(
        default=[ScalingPolicy(type="Percent", value=100, period_seconds=15)], max_length=8
    )
    """Limits on the speed; an empty list sets no limit."""


class Behavior(Model):
    """Speed and stability of scaling. A field that is not set keeps its default."""

    scale_up: ScaleUp = Field(default_factory=ScaleUp)
    """How the pool grows."""
    scale_down: ScaleDown = Field(default_factory=ScaleDown)
    """How the pool shrinks."""


class Idle(Model):
    """When a pool with `min: 0` scales to zero."""

    cooldown: Duration = "5m"
    """Time for which no signal asks for a pod, such as `90s` or `5m`.

    Unacknowledged messages and open connections always prevent it.
    """


class Drain(Model):
    """Shrinking in steps, so that only a few pods at a time hand over their work or their connections."""

    enabled: bool = False
    """Whether the pool shrinks in steps, and the status lists the pods that end."""
    timeout: Duration = "60s"
    """Time after which a pod that still ends no longer holds up the next step, such as `90s` or `5m`.

    Not shorter than `terminationGracePeriodSeconds` of the pods.
    """
    max_concurrent: int = Field(default=1, ge=1, le=1000)
    """Most pods that end at a time."""


class Keda(Model):
    """What KEDA needs for engine KEDA; other engines ignore it."""

    nats_monitoring_endpoint: str | None = Field(default=None, max_length=261, pattern=r"^[^\s/:]+:[0-9]{1,5}$")
    """Host and port of the monitoring server of NATS, such as `nats.messaging:8222`; needed for jetStream signals."""
    nats_account: str = Field(default="$G", min_length=1, max_length=128)
    """Account of the streams on NATS; `$G` where there are no accounts."""
    nats_https: bool = False
    """Whether the monitoring server speaks HTTPS."""
    prometheus_address: str | None = Field(default=None, max_length=2048, pattern=r"^https?://[^\s]+$")
    """Address of a Prometheus that scrapes the pods, such as `http://prometheus:9090`; needed for webSocket signals."""
    polling_interval_seconds: int = Field(default=15, ge=1, le=3600)
    """Seconds between two looks of KEDA at the triggers."""


class OnSignalError(Model):
    """What happens while a signal cannot be read."""

    model_config = ConfigDict(
        json_schema_extra=rules(rule("self.mode != 'Fallback' || has(self.replicas)", "Fallback needs replicas"))
    )

    after_failures: int = Field(default=3, ge=1, le=100)
    """Failed readings in a row after which the pool is Degraded and `mode` applies; before that the size is held."""
    mode: Literal["Hold", "Fallback"] = "Hold"
    """Hold the size, or raise it to `replicas`. Neither makes the pool smaller."""
    replicas: int | None = Field(default=None, ge=0, le=1000)
    """The size for Fallback, within the bounds."""


class WorkerPoolSpec(Model):
    """The target, its signals, and how fast it scales."""

    target_ref: TargetRef = Field(json_schema_extra=rules(rule("self == oldSelf", "targetRef is immutable")))
    """The Deployment, in the same namespace. Nothing else may set its size."""
    engine: Literal["Native", "HPA", "KEDA", "Manual"] = "Native"
    """Who sets the size: Native is the operator, by the signals; Manual is a person, by `replicas.manual`.

    HPA and KEDA have the operator keep a HorizontalPodAutoscaler or a ScaledObject of the pool's name, which sets it.
    """
    replicas: Replicas
    """Bounds of the size."""
    signals: list[Signal] = Field(
        default=[],
        max_length=8,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    """Inputs of the size."""
    behavior: Behavior = Field(default_factory=Behavior)
    """Speed and stability."""
    idle: Idle = Field(default_factory=Idle)
    """Scaling to zero."""
    drain: Drain = Field(default_factory=Drain)
    """Shrinking in steps; only with engines Native and Manual."""
    keda: Keda = Field(default_factory=Keda)
    """Where KEDA finds the signals; only with engine KEDA."""
    on_signal_error: OnSignalError = Field(default_factory=OnSignalError)
    """What happens while a signal cannot be read."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("self.engine != 'Native' || size(self.signals) > 0", "engine Native needs at least one signal"),
            rule(
                "(self.engine != 'HPA' && self.engine != 'KEDA') || size(self.signals) > 0",
                "engines HPA and KEDA need at least one signal",
            ),
            rule(
                "self.engine != 'HPA' || self.replicas.min > 0",
                "with engine HPA, replicas.min must be at least 1: only Native and KEDA scale to zero",
            ),
            rule(
                "self.engine != 'KEDA' || !self.signals.exists(s, has(s.jetStream))"
                " || (has(self.keda) && has(self.keda.natsMonitoringEndpoint))",
                "engine KEDA needs keda.natsMonitoringEndpoint for its jetStream signals",
            ),
            rule(
                "self.engine != 'KEDA' || !self.signals.exists(s, has(s.webSocket))"
                " || (has(self.keda) && has(self.keda.prometheusAddress))",
                "engine KEDA needs keda.prometheusAddress for its webSocket signals",
            ),
            rule(
                "self.engine != 'Manual'"
                " || (self.replicas.min <= self.replicas.manual && self.replicas.manual <= self.replicas.max)",
                "with engine Manual, replicas.manual must be from replicas.min to replicas.max",
            ),
            rule(
                "(self.engine != 'Native' && self.engine != 'KEDA') || self.replicas.min > 0"
                " || self.signals.exists(s, has(s.jetStream))",
                "min 0 needs a jetStream signal: nobody can connect to a gateway that is not there",
            ),
        )
    )


class SignalStatus(Model):
    """The last reading of a signal."""

    name: str = Field(max_length=63)
    """Name of the signal."""
    value: int | None = Field(default=None, ge=0)
    """Messages or connections; absent while the signal cannot be read."""
    desired: int | None = Field(default=None, ge=0)
    """The number of pods that the signal asks for."""
    oldest_message_seconds: int | None = Field(default=None, ge=0)
    """Age of the oldest unprocessed message in seconds, while messages wait; only with `maxMessageAge`."""
    error: str | None = Field(default=None, max_length=512)
    """Why the signal cannot be read."""


class DrainingPod(Model):
    """A pod that was asked to end and has not ended."""

    name: str = Field(max_length=253)
    """Name of the pod."""
    connections: int | None = Field(default=None, ge=0)
    """Open connections that it still has; absent if the pod does not tell."""
    since: Instant
    """When it was asked to end."""


class WorkerPoolStatus(Model):
    """The state of the pool, as the operator last saw it."""

    observed_generation: int = Field(default=0, ge=0)
    """The generation that this status describes."""
    conditions: Conditions = Field(default_factory=list)
    """Ready: the size is kept. Progressing: pods start or stop. Degraded: a signal or the target is missing."""
    replicas: int = Field(default=0, ge=0)
    """Present number of pods."""
    selector: str = Field(default="", max_length=2048)
    """Label selector of the pods."""
    desired_replicas: int = Field(default=0, ge=0)
    """The size of the last decision."""
    recommended: int = Field(default=0, ge=0)
    """The size that the signals ask for, before stabilization, policies and bounds."""
    limited_by: str = Field(default="", max_length=64)
    """What kept the size from the recommendation, if anything."""
    last_scale_time: Instant | None = None
    """When the operator last changed the size."""
    signals: list[SignalStatus] = Field(
        default=[],
        max_length=8,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    """The last reading of each signal."""
    draining: list[DrainingPod] = Field(
        default=[],
        max_length=100,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    """The pods that end, the first 100 by time; only with `drain.enabled`."""
