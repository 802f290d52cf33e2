"""The kinds that the emulated API server serves from the start, and how a definition becomes one."""

from __future__ import annotations

from kubernetes_emulator.fields import Json, Path
from kubernetes_emulator.store import Kind

CRD = Kind(
    group="apiextensions.k8s.io",
    version="v1",
    plural="customresourcedefinitions",
    kind="CustomResourceDefinition",
    namespaced=False,
)

SERVICE_ACCOUNT = Kind(group="", version="v1", plural="serviceaccounts", kind="ServiceAccount", status=False)


def _access(plural: str, kind: str, *, namespaced: bool) -> Kind:
    group = "rbac.authorization.k8s.io"
    return Kind(group=group, version="v1", plural=plural, kind=kind, namespaced=namespaced, status=False)


ROLE = _access("roles", "Role", namespaced=True)
ROLE_BINDING = _access("rolebindings", "RoleBinding", namespaced=True)
CLUSTER_ROLE = _access("clusterroles", "ClusterRole", namespaced=False)
CLUSTER_ROLE_BINDING = _access("clusterrolebindings", "ClusterRoleBinding", namespaced=False)

BUILT_IN = (
    CRD,
    SERVICE_ACCOUNT,
    ROLE,
    ROLE_BINDING,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    Kind(group="", version="v1", plural="namespaces", kind="Namespace", namespaced=False),
    Kind(group="", version="v1", plural="pods", kind="Pod"),
    Kind(group="", version="v1", plural="secrets", kind="Secret", status=False),
    Kind(group="", version="v1", plural="configmaps", kind="ConfigMap", status=False),
    Kind(group="", version="v1", plural="events", kind="Event", status=False),
    Kind(group="batch", version="v1", plural="cronjobs", kind="CronJob"),
    Kind(group="batch", version="v1", plural="jobs", kind="Job"),
    Kind(group="apps", version="v1", plural="deployments", kind="Deployment", replicas_path=("spec", "replicas")),
    Kind(group="autoscaling", version="v2", plural="horizontalpodautoscalers", kind="HorizontalPodAutoscaler"),
    Kind(group="coordination.k8s.io", version="v1", plural="leases", kind="Lease", status=False),
)


def kind_of_crd(crd: Json) -> Kind:
    """The kind that a custom resource definition declares, by its storage version."""
    spec = crd["spec"]
    version = next(version for version in spec["versions"] if version["storage"])
    names, subresources = spec["names"], version.get("subresources", {})
    scale = subresources.get("scale")
    return Kind(
        group=spec["group"],
        version=version["name"],
        plural=names["plural"],
        kind=names["kind"],
        namespaced=spec["scope"] == "Namespaced",
        status="status" in subresources,
        schema=version["schema"]["openAPIV3Schema"],
        replicas_path=_path(scale["specReplicasPath"]) if scale else None,
        status_replicas_path=_path(scale["statusReplicasPath"]) if scale else ("status", "replicas"),
        selector_path=_path(scale.get("labelSelectorPath", "")) if scale else (),
    )


def _path(text: str) -> Path:
    return tuple(part for part in text.split(".") if part)
