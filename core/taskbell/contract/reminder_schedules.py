"""The custom resource `ReminderSchedule`: when sweeps that notify users, or maintenance, run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

from taskbell.contract.crd_schema import Conditions, Duration, Instant, Label, Model, Name, rule, rules


def _written(value: object) -> object:
    """A number as Kubernetes writes quantities: as text."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


_QUANTITY = r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi)?$"
Quantity = Annotated[
    str,
    BeforeValidator(_written),
    StringConstraints(min_length=1, max_length=20, pattern=_QUANTITY),
    WithJsonSchema(
        {
            "maxLength": 20,
            "minimum": 0,
            "pattern": _QUANTITY,
            "x-kubernetes-int-or-string": True,
        }
    ),
]
"""A quantity of Kubernetes, which may be a whole number, as in pods."""
_NAMED = rules(
    rule(
        "self.all(name, name in ['cpu', 'memory', 'ephemeral-storage'])",
        "the resources of a sweep are cpu, memory and ephemeral-storage",
    )
)
Variable = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


Lead = Annotated[
    Duration,
    Field(json_schema_extra=rules(rule("duration(self) <= duration('8760h')", "a lead is at most 8760h"))),
]


SweepKind = Literal["due", "overdue", "stale", "digest", "maintenance"]
"""What a sweep does."""
STAYING = ("due", "overdue")
"""Kinds whose sweeps fire reminders: they stay for a minute, fire on time, and report what they left."""


class SecretKey(Model):
    """One entry of a Secret in the same namespace."""

    name: Name
    """Name of the Secret."""
    key: str = Field(min_length=1, max_length=253)
    """Key of the entry."""


class Environment(Model):
    """One environment variable, from a value or from a Secret."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("has(self.value) != has(self.secretKeyRef)", "give either value or secretKeyRef"),
        )
    )

    name: Variable
    """Name of the variable: letters, digits and underscores."""
    value: str | None = Field(default=None, max_length=2048)
    """The value; either this or `secretKeyRef`."""
    secret_key_ref: SecretKey | None = None
    """The entry of a Secret with the value; either this or `value`."""


class Toleration(Model):
    """A taint that the pods tolerate, with the fields of a pod."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("self.operator != 'Exists' || self.value == ''", "operator Exists takes no value"),
            rule("self.operator == 'Exists' || self.key != ''", "without a key, operator must be Exists"),
        )
    )

    key: str = Field(default="", max_length=316)
    """Key of the taint. Without one, every taint is tolerated, and `operator` must be Exists."""
    operator: Literal["Exists", "Equal"] = "Equal"
    """Equal compares `value` with the taint's; Exists takes no value."""
    value: Label = ""
    """Value of the taint."""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""
    """Effect of the taint. Without one, every effect is tolerated."""


class Resources(Model):
    """Requests and limits of a container."""

    requests: dict[Literal["cpu", "memory", "ephemeral-storage"], Quantity] = Field(
        default={"cpu": "50m", "memory": "128Mi"}, max_length=3, json_schema_extra=_NAMED
    )
    """What the node reserves, as quantities of Kubernetes: CPUs (`50m` is a twentieth) and bytes (`128Mi`)."""
    limits: dict[Literal["cpu", "memory", "ephemeral-storage"], Quantity] = Field(
        default={"memory": "256Mi"}, max_length=3, json_schema_extra=_NAMED
    )
    """The most that the container may use, in the same quantities. Beyond its memory it is killed."""


class SweepPod(Model):
    """The fields of a sweep's pod that an installation may set; the operator sets the others."""

    resources: Resources = Field(default_factory=Resources)
    """Requests and limits of the container."""
    node_selector: dict[Annotated[str, StringConstraints(max_length=316)], Label] = Field(default={}, max_length=16)
    """Labels that the node must have."""
    tolerations: list[Toleration] = Field(default=[], max_length=16)
    """Taints that the pods tolerate."""
    env: list[Environment] = Field(
        default=[],
        max_length=64,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    """More environment variables of the sweep."""


class ReminderScheduleSpec(Model):
    """What runs, and when."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("self.kind != 'maintenance' || self.shards == 1", "maintenance is not sharded"),
            rule("self.kind == 'due' || size(self.leads) == 0", "leads are for kind due"),
        )
    )

    kind: SweepKind = Field(json_schema_extra=rules(rule("self == oldSelf", "kind is immutable")))
    """`due` fires the reminders before the due time, `overdue` those at it; `stale` notifies of open tasks whose status
    has not changed for a week (TASKBELL_STALE_AFTER); `digest` writes the daily digests; `maintenance` creates
    partitions ahead and drops expired ones."""
    schedule: str = Field(
        min_length=6,
        max_length=100,
        pattern=r"^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|\S+( +\S+){4})$",
    )
    """Five cron fields or a shorthand such as `@hourly`, in `timeZone`."""
    time_zone: str = Field(default="Etc/UTC", min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_+/-]+$")
    """IANA time zone; daylight saving time applies."""
    leads: list[Lead] = Field(
        default=[],
        max_length=10,
        json_schema_extra=rules(
            rule("self.all(a, self.exists_one(b, duration(a) == duration(b)))", "each lead comes once")
        ),
    )
    """Fire only reminders that are due so long before their task, such as `24h`. Empty: all reminders. Some schedule
    must fire each lead of `TASKBELL_REMINDER_LEADS`; two schedules with the same lead never fire a reminder twice."""
    batch_size: int = Field(default=500, ge=1, le=10_000)
    """Reminders that one transaction claims, or tasks or users that it notifies."""
    shards: int = Field(default=1, ge=1, le=64)
    """Pods that share one sweep, as an Indexed Job."""
    suspend: bool = False
    """Start no more sweeps; running sweeps continue."""
    concurrency_policy: Literal["Allow", "Forbid", "Replace"] = "Allow"
    """What happens if a sweep still runs when the next is due. Two sweeps never fire the same reminder."""
    deadline_seconds: int = Field(default=300, ge=10, le=86_400)
    """Longest delay, in seconds, with which a missed sweep still starts."""
    catch_up: bool = True
    """Whether a missed sweep starts late. If not, the next sweep still fires everything that is due by then."""
    timeout_seconds: int = Field(default=600, ge=60, le=86_400)
    """A sweep that runs longer, in seconds, is stopped; the next sweep claims what it did not commit."""
    history: int = Field(default=3, ge=0, le=20)
    """Number of succeeded and of failed Jobs to keep."""
    pod: SweepPod = Field(default_factory=SweepPod)
    """Overrides for the pods of the sweeps."""


class ReminderScheduleStatus(Model):
    """The state of the schedule, as the operator last saw it."""

    observed_generation: int = Field(default=0, ge=0)
    """The generation that this status describes."""
    conditions: Conditions = Field(default_factory=list)
    """Ready: the CronJob is as declared and its sweeps work. Degraded: why not."""
    cron_job: str | None = Field(default=None, max_length=63)
    """Name of the CronJob, in the same namespace."""
    last_schedule_time: Instant | None = None
    """When a sweep last started."""
    last_success_time: Instant | None = None
    """When a sweep last succeeded."""
    oldest_due_seconds: int | None = Field(default=None, ge=0)
    """How long the oldest due reminder of the last sweep's part had waited when the sweep ended, in seconds; 0 if none
    was left. Absent if no sweep has reported for two runs, and for other kinds than `due` and `overdue`."""
    next_run_time: Instant | None = None
    """When the next sweep is due; absent while suspended."""
