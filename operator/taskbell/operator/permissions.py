"""The permissions that the operator needs: the one list for the preflight and the chart's roles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Permission:
    """Verbs on one resource, and their purpose.

    Attributes:
        resource: The plural of the resource, with a subresource after a slash if any.
        needed: Whether the operator refuses to start without it; otherwise only the feature that uses it is missing.
    """

    group: str
    resource: str
    verbs: tuple[str, ...]
    reason: str
    needed: bool = True


WATCHED = (
    Permission("taskbell.dev", "reminderschedules", ("get", "list", "watch"), "to see ReminderSchedules"),
    Permission("taskbell.dev", "reminderschedules/status", ("patch",), "to report on ReminderSchedules"),
    Permission(
        "taskbell.dev", "reminderschedules/finalizers", ("update",), "to own CronJobs in clusters that check it"
    ),
    Permission("taskbell.dev", "workerpools", ("get", "list", "watch"), "to see WorkerPools"),
    Permission("taskbell.dev", "workerpools/status", ("patch",), "to report on WorkerPools"),
    Permission("batch", "cronjobs", ("get", "list", "watch", "create", "patch"), "to keep CronJobs"),
    Permission("apps", "deployments/scale", ("get", "patch"), "to set the size of a WorkerPool's target"),
    Permission("autoscaling", "horizontalpodautoscalers", ("list",), "to find others that set that size"),
    Permission("keda.sh", "scaledobjects", ("list",), "to find others that set that size"),
    Permission(
        "autoscaling",
        "horizontalpodautoscalers",
        ("get", "create", "patch", "delete"),
        "to keep autoscalers for engine HPA",
        needed=False,
    ),
    Permission(
        "keda.sh",
        "scaledobjects",
        ("get", "create", "patch", "delete"),
        "to keep ScaledObjects for engine KEDA",
        needed=False,
    ),
    Permission(
        "taskbell.dev",
        "workerpools/finalizers",
        ("update",),
        "to own autoscalers in clusters that check it",
        needed=False,
    ),
    Permission("", "pods", ("list",), "to count the connections of gateways and to read the reports of sweeps"),
    Permission("", "pods", ("patch",), "to mark which gateways go first", needed=False),
    Permission("", "secrets", ("get",), "to follow connectionSecretRef", needed=False),
    Permission("", "events", ("create", "patch"), "to record decisions"),
)
"""Needed in every namespace that is watched."""
OWN = (Permission("coordination.k8s.io", "leases", ("get", "create", "update"), "to elect a leader"),)
"""Needed in the operator's own namespace."""


def rules(permissions: tuple[Permission, ...]) -> list[Json]:
    """The rules of a Role or ClusterRole."""
    return [
        {"apiGroups": [permission.group], "resources": [permission.resource], "verbs": list(permission.verbs)}
        for permission in permissions
    ]


def in_words(permission: Permission, verb: str, namespace: str) -> str:
    """A missing permission in words, for the person who installs the operator."""
    place = f"in namespace {namespace}" if namespace else "in all namespaces"
    group = f".{permission.group}" if permission.group else ""
    name, slash, subresource = permission.resource.partition("/")
    return f"{verb} {name}{group}{slash}{subresource} {place} ({permission.reason})"
