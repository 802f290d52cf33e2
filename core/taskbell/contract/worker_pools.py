"""The custom resource `WorkerPool`: how many pods a Deployment of workers or gateways has."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from taskbell.contract.crd_schema import Conditions, Duration, Instant, Model, Name, rule, rules
from taskbell.contract.reminder_schedules import SecretKey

StreamName = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^\s.*>/\\]+$")]


class TargetRef(Model):
    """The object whose size is kept."""

    api_version: Literal["apps/v1"] = "apps/v1"
    kind: Literal["Deployment"] = "Deployment"
    name: Name


class Replicas(Model):
    """Bounds of the size."""

    model_config = ConfigDict(json_schema_extra=rules(rule("self.min <= self.max", "min must not exceed max")))

    min: int = Field(default=1, ge=0, le=1000)
    """Least size. 0 lets an idle pool go away whole."""
    max: int = Field(ge=1, le=1000)
    """Greatest size."""
    manual: int = Field(default=1, ge=0, le=1000)
    """The size under engine Manual, within the bounds; `kubectl scale` writes it. Native does not read it."""


class JetStreamSignal(Model):
    """A durable consumer of NATS JetStream: as many pods as its backlog needs."""

    stream: StreamName
    consumer: StreamName
    connection_secret_ref: SecretKey | None = None
    """Where the address of NATS stands; by default the operator's own setting."""
    backlog_per_replica: int = Field(default=1000, ge=1, le=10_000_000)
    """Messages, pending or unacknowledged, that one pod may have before it."""
    drain_target: Duration = "60s"
    """In how much time a backlog shall be gone, at the pace that the pods are seen to have."""
    activation: int = Field(default=0, ge=0, le=10_000_000)
    """An empty pool starts when more messages than this wait."""


class WebSocketSignal(Model):
    """Open connections, asked from every ready pod of the target."""

    port: int = Field(default=8001, ge=1, le=65_535)
    """Where the pods serve `/metrics`."""
    metric: str = Field(default="taskbell_gateway_connections", max_length=128, pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")
    """The gauge of open connections; its series are added up."""
    per_replica: int = Field(default=10_000, ge=1, le=1_000_000)
    """Connections that one pod can hold."""
    headroom_percent: int = Field(default=20, ge=0, le=90)
    """The share of it that stays free for a burst and for pods that drain."""


class Signal(Model):
    """One reason for a size. With several, the largest size wins."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("has(self.jetStream) != has(self.webSocket)", "give exactly one of jetStream and webSocket")
        )
    )

    name: str = Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    jet_stream: JetStreamSignal | None = None
    web_socket: WebSocketSignal | None = None


class ScalingPolicy(Model):
    """At most so much change in a span of time."""

    type: Literal["Pods", "Percent"]
    value: int = Field(ge=1, le=1000)
    period_seconds: int = Field(ge=1, le=1800)


class ScalingRules(Model):
    """How a size may change in one direction; the words of HorizontalPodAutoscaler v2."""

    stabilization_window_seconds: int = Field(default=0, ge=0, le=3600)
    """Follow the mildest recommendation of this span."""
    select_policy: Literal["Max", "Min", "Disabled"] = "Max"
    """Which policy counts: that which allows most, that which allows least, or none: no change this way."""
    policies: list[ScalingPolicy] = Field(default=[], max_length=8)
    """Speed limits; none: no limit."""
    tolerance_percent: int = Field(default=10, ge=0, le=100)
    """A size is left as it is while what is needed differs by no more."""


class ScaleUp(ScalingRules):
    """How a pool grows."""

    policies: list[ScalingPolicy] = Field(
        default=[
            ScalingPolicy(type="Pods", value=4, period_seconds=15),
            ScalingPolicy(type="Percent", value=100, period_seconds=15),
        ],
        max_length=8,
    )
    """Speed limits; an empty list: no limit."""


class ScaleDown(ScalingRules):
    """How a pool shrinks."""

    stabilization_window_seconds: int = Field(default=300, ge=0, le=3600)
    """Follow the greatest recommendation of this span."""
    policies: list[ScalingPolicy] = Field(
        default=[ScalingPolicy(type="Percent", value=100, period_seconds=15)], max_length=8
    )
    """Speed limits; an empty list: no limit."""


class Behavior(Model):
    """Speed and patience of scaling. What a direction does not name keeps its default."""

    scale_up: ScaleUp = Field(default_factory=ScaleUp)
    scale_down: ScaleDown = Field(default_factory=ScaleDown)


class Idle(Model):
    """When a pool with `min: 0` goes away whole."""

    cooldown: Duration = "5m"
    """How long no signal may have asked for a pod. Unacknowledged messages and open connections always forbid it."""


class OnSignalError(Model):
    """What happens while a signal cannot be read."""

    model_config = ConfigDict(
        json_schema_extra=rules(rule("self.mode != 'Fallback' || has(self.replicas)", "Fallback needs replicas"))
    )

    after_failures: int = Field(default=3, ge=1, le=100)
    """Failures in a row before the pool is Degraded and `mode` applies; the size is held before."""
    mode: Literal["Hold", "Fallback"] = "Hold"
    """Keep the size, or go up to `replicas`. Neither ever makes the pool smaller."""
    replicas: int | None = Field(default=None, ge=0, le=1000)
    """The size of Fallback, within the bounds."""


class WorkerPoolSpec(Model):
    """What is sized, by what, and how quickly."""

    target_ref: TargetRef = Field(json_schema_extra=rules(rule("self == oldSelf", "targetRef is immutable")))
    """The Deployment, in the same namespace. Nothing else may set its size."""
    engine: Literal["Native", "Manual"] = "Native"
    """Native: this operator follows the signals. Manual: it keeps `replicas.manual`."""
    replicas: Replicas
    """Bounds."""
    signals: list[Signal] = Field(
        default=[],
        max_length=8,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    """Reasons for a size."""
    behavior: Behavior = Field(default_factory=Behavior)
    """Speed and patience."""
    idle: Idle = Field(default_factory=Idle)
    """Going to zero."""
    on_signal_error: OnSignalError = Field(default_factory=OnSignalError)
    """Reading fails."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("self.engine != 'Native' || size(self.signals) > 0", "engine Native needs at least one signal"),
            rule(
                "self.engine != 'Native' || self.replicas.min > 0 || self.signals.exists(s, has(s.jetStream))",
                "min 0 needs a jetStream signal: nobody can connect to a gateway that is not there",
            ),
        )
    )


class SignalStatus(Model):
    """A signal as it was last read."""

    name: str = Field(max_length=63)
    value: int | None = Field(default=None, ge=0)
    """Messages or connections; absent while it cannot be read."""
    desired: int | None = Field(default=None, ge=0)
    """The size that it asks for."""
    error: str | None = Field(default=None, max_length=512)
    """Why it cannot be read."""


class WorkerPoolStatus(Model):
    """What the operator found and did."""

    observed_generation: int = Field(default=0, ge=0)
    """The generation that this status speaks of."""
    conditions: Conditions = Field(default_factory=list)
    """Ready: the size is kept. Progressing: pods come or go. Degraded: a signal or the target is missing."""
    replicas: int = Field(default=0, ge=0)
    """Pods that there are."""
    selector: str = Field(default="", max_length=2048)
    """Their labels, in text form."""
    desired_replicas: int = Field(default=0, ge=0)
    """The size that was last decided."""
    recommended: int = Field(default=0, ge=0)
    """What the signals ask for, before patience, speed limits and bounds."""
    limited_by: str = Field(default="", max_length=64)
    """What kept the size from the recommendation, if anything."""
    last_scale_time: Instant | None = None
    """When the size was last changed by this operator."""
    signals: list[SignalStatus] = Field(
        default=[],
        max_length=8,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    """The signals, one by one."""
