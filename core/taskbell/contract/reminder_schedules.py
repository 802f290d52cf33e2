"""The custom resource `ReminderSchedule`: when a sweep of due reminders, or of upkeep, runs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from taskbell.contract.crd_schema import Conditions, Instant, Label, Model, Name, rule, rules

Quantity = Annotated[
    str, StringConstraints(min_length=1, max_length=20, pattern=r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi)?$")
]
Variable = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class SecretKey(Model):
    """One entry of a Secret in the schedule's own namespace."""

    name: Name
    """The Secret."""
    key: str = Field(min_length=1, max_length=253)
    """The entry in it."""


class Environment(Model):
    """One environment variable, from a value or from a Secret."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("has(self.value) != has(self.secretKeyRef)", "give either value or secretKeyRef"),
        )
    )

    name: Variable
    value: str | None = Field(default=None, max_length=2048)
    secret_key_ref: SecretKey | None = None


class Toleration(Model):
    """A taint that the pods put up with; the words are a pod's."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("self.operator != 'Exists' || self.value == ''", "operator Exists takes no value"),
            rule("self.operator == 'Exists' || self.key != ''", "without a key, operator must be Exists"),
        )
    )

    key: str = Field(default="", max_length=316)
    operator: Literal["Exists", "Equal"] = "Equal"
    value: Label = ""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""


class Resources(Model):
    """What a container asks for and may use at most."""

    requests: dict[Literal["cpu", "memory", "ephemeral-storage"], Quantity] = Field(
        default={"cpu": "50m", "memory": "128Mi"}, max_length=3
    )
    limits: dict[Literal["cpu", "memory", "ephemeral-storage"], Quantity] = Field(
        default={"memory": "256Mi"}, max_length=3
    )


class SweepPod(Model):
    """The few things of a sweep's pod that an installation decides; the rest is the operator's."""

    resources: Resources = Field(default_factory=Resources)
    """Requests and limits of the container."""
    node_selector: dict[Annotated[str, StringConstraints(max_length=316)], Label] = Field(default={}, max_length=16)
    """Labels that a node must have."""
    tolerations: list[Toleration] = Field(default=[], max_length=16)
    """Taints that the pods put up with."""
    env: list[Environment] = Field(
        default=[],
        max_length=64,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    """Further settings of the sweep."""


class ReminderScheduleSpec(Model):
    """What shall run, and when."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("self.kind != 'maintenance' || self.shards == 1", "maintenance is not sharded"),
        )
    )

    kind: Literal["due", "maintenance"] = Field(json_schema_extra=rules(rule("self == oldSelf", "kind is immutable")))
    """`due` fires reminders whose time has come; `maintenance` makes partitions ahead and drops expired ones."""
    schedule: str = Field(
        min_length=6,
        max_length=100,
        pattern=r"^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|\S+( +\S+){4})$",
    )
    """Five cron fields, or `@hourly` and the like, read in `timeZone`."""
    time_zone: str = Field(default="Etc/UTC", min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_+/-]+$")
    """IANA name of the zone; daylight saving is followed."""
    batch_size: int = Field(default=500, ge=1, le=10_000)
    """Reminders claimed in one transaction."""
    shards: int = Field(default=1, ge=1, le=64)
    """Pods that share one sweep (an Indexed Job)."""
    suspend: bool = False
    """Start no more sweeps; those that run end as usual."""
    concurrency_policy: Literal["Allow", "Forbid", "Replace"] = "Allow"
    """What happens when a sweep still runs at the next time. Two sweeps never fire the same reminder."""
    deadline_seconds: int = Field(default=300, ge=10, le=86_400)
    """A sweep that could not start in time is started late by at most so much."""
    catch_up: bool = True
    """Start late sweeps at all. Without, only the next one runs; it still fires everything that is due by then."""
    timeout_seconds: int = Field(default=600, ge=60, le=86_400)
    """A sweep that runs longer is ended; what it had not committed is claimed by the next."""
    history: int = Field(default=3, ge=0, le=20)
    """Finished Jobs that are kept, of each outcome."""
    pod: SweepPod = Field(default_factory=SweepPod)
    """Where and with what the sweeps run."""


class ReminderScheduleStatus(Model):
    """What the operator found and did."""

    observed_generation: int = Field(default=0, ge=0)
    """The generation that this status speaks of."""
    conditions: Conditions = Field(default_factory=list)
    """Ready: the CronJob is as declared. Degraded: sweeps fail or do not start."""
    cron_job: str | None = Field(default=None, max_length=63)
    """Name of the CronJob, in the same namespace."""
    last_schedule_time: Instant | None = None
    """When a sweep was last started."""
    last_success_time: Instant | None = None
    """When a sweep last ended well."""
    next_run_time: Instant | None = None
    """When the next one is due; absent while suspended."""
