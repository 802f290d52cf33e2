"""The custom resource definitions of group `taskbell.dev` as plain manifests.

The pydantic models `ReminderScheduleSpec` and `WorkerPoolSpec` are the source of both the schemas that the API server
enforces and the values that the operator reads. The chart's folder `crds` holds the result of `manifests()`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from taskbell.contract.crd_schema import explained, structural
from taskbell.contract.reminder_schedules import ReminderScheduleSpec, ReminderScheduleStatus
from taskbell.contract.worker_pools import WorkerPoolSpec, WorkerPoolStatus

GROUP = "taskbell.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One kind of custom resource.

    Attributes:
        name_limit: Longest name of an object, so that the names made from it fit.
        columns: Columns of `kubectl get`: title, type, path, and whether it needs `-o wide`.
    """

    kind: str
    plural: str
    short: str
    spec: type[BaseModel]
    status: type[BaseModel]
    about: str
    name_limit: int
    columns: tuple[tuple[str, str, str, bool], ...]
    scale: Json | None = field(default=None)


_AGE = ("Age", "date", ".metadata.creationTimestamp", False)
_READY = ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', False)
_REASON = ("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason', False)

REMINDER_SCHEDULE = Definition(
    kind="ReminderSchedule",
    plural="reminderschedules",
    short="rem",
    spec=ReminderScheduleSpec,
    status=ReminderScheduleStatus,
    about="Runs the sweeps that notify users, or maintenance, on a schedule: the operator keeps a CronJob for it.",
    name_limit=52,
    columns=(
        ("Kind", "string", ".spec.kind", False),
        ("Schedule", "string", ".spec.schedule", False),
        ("Suspend", "boolean", ".spec.suspend", False),
        _READY,
        _REASON,
        ("Last run", "date", ".status.lastScheduleTime", False),
        ("Oldest due", "integer", ".status.oldestDueSeconds", False),
        ("Leads", "string", ".spec.leads", True),
        ("Next run", "string", ".status.nextRunTime", True),
        ("Time zone", "string", ".spec.timeZone", True),
        _AGE,
    ),
)
WORKER_POOL = Definition(
    kind="WorkerPool",
    plural="workerpools",
    short="wpool",
    spec=WorkerPoolSpec,
    status=WorkerPoolStatus,
    about="Sizes a Deployment by its backlog in JetStream or its open WebSocket connections.",
    name_limit=63,
    columns=(
        ("Target", "string", ".spec.targetRef.name", False),
        _READY,
        ("Desired", "integer", ".status.desiredReplicas", False),
        ("Current", "integer", ".status.replicas", False),
        ("Min", "integer", ".spec.replicas.min", True),
        ("Max", "integer", ".spec.replicas.max", True),
        ("Limited by", "string", ".status.limitedBy", True),
        _REASON,
        _AGE,
    ),
    scale={
        "specReplicasPath": ".spec.replicas.manual",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    },
)
DEFINITIONS = (REMINDER_SCHEDULE, WORKER_POOL)


def manifests() -> list[Json]:
    """The manifests of all definitions; each call returns new values."""
    return [manifest(definition) for definition in DEFINITIONS]


def manifest(definition: Definition) -> Json:
    """The manifest of a definition; each call returns new values."""
    limit = definition.name_limit
    schema = {
        "type": "object",
        "description": definition.about,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": f"Group and version of the API: {API_VERSION}."},
            "kind": {"type": "string", "description": f"Kind of the object: {definition.kind}."},
            "metadata": {"type": "object"},  # an API server describes it itself, and refuses another description
            "spec": explained(structural(definition.spec)),
            "status": structural(definition.status),
        },
        "x-kubernetes-validations": [
            {
                "rule": f"size(self.metadata.name) <= {limit}",
                "message": f"the name must have at most {limit} characters",
            },
        ],
    }
    columns = [
        {"name": title, "type": kind, "jsonPath": path, **({"priority": 1} if wide else {})}
        for title, kind, path, wide in definition.columns
    ]
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}, **({"scale": dict(definition.scale)} if definition.scale else {})},
        "additionalPrinterColumns": columns,
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{definition.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": definition.kind,
                "listKind": f"{definition.kind}List",
                "plural": definition.plural,
                "singular": definition.kind.lower(),
                "shortNames": [definition.short],
                "categories": ["taskbell"],
            },
            "versions": [version],
        },
    }
