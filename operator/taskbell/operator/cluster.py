"""Requests to the API server: the only module that sends any. Objects are plain dictionaries."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

import aiohttp
from kubernetes.aio import client as kubernetes
from kubernetes.aio import config as kubernetes_config

from taskbell.contract.crds import GROUP, VERSION
from taskbell.operator.metrics import WRITES
from taskbell.operator.specs.cron_job import MANAGER
from taskbell.operator.words import in_words

Json = dict[str, Any]

_TIMEOUT = 10.0
_NOT_FOUND = 404
_JSON, _MERGE_PATCH, _APPLY = "application/json", "application/merge-patch+json", "application/apply-patch+yaml"


class ClusterRefused(Exception):
    """The API server refused a request, failed, or cannot be reached. A retry may help."""


class ObjectChanged(ClusterRefused):
    """Somebody else changed or created the object in the meantime (409)."""


class RequestRefused(ClusterRefused):
    """The API server refuses the request for good (400, 403, 422): wrong values, a quota, a policy."""


class ObjectGone(ClusterRefused):
    """The object does not exist any more (404)."""


_REFUSALS = {
    400: RequestRefused,
    403: RequestRefused,
    _NOT_FOUND: ObjectGone,
    409: ObjectChanged,
    422: RequestRefused,
}


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object in the API."""

    group: str
    version: str
    plural: str
    kind: str

    def path(self, namespace: str, name: str = "", subresource: str = "") -> str:
        """The path of an object, a collection (without a name), or a subresource."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        parts = [root, *(("namespaces", namespace) if namespace else ()), self.plural, name, subresource]
        return "/".join(part for part in parts if part)

    @property
    def api_version(self) -> str:
        """Group and version as objects spell them."""
        return f"{self.group}/{self.version}" if self.group else self.version


REMINDER_SCHEDULES = Resource(GROUP, VERSION, "reminderschedules", "ReminderSchedule")
WORKER_POOLS = Resource(GROUP, VERSION, "workerpools", "WorkerPool")
CRON_JOBS = Resource("batch", "v1", "cronjobs", "CronJob")
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
PODS = Resource("", "v1", "pods", "Pod")
SECRETS = Resource("", "v1", "secrets", "Secret")
EVENTS = Resource("", "v1", "events", "Event")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
AUTOSCALERS = Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
SCALED_OBJECTS = Resource("keda.sh", "v1alpha1", "scaledobjects", "ScaledObject")


class Cluster:
    """Requests to one API server. Every request ends within 10 s; none is repeated here.

    All methods raise `ClusterRefused`: `ObjectChanged` on a conflict, `RequestRefused` on what the API server refuses
    for good, and `ObjectGone` if the object to write does not exist.
    """

    def __init__(self, api: kubernetes.ApiClient) -> None:
        """Take a client; the caller closes it."""
        self._api = api

    async def get(self, resource: Resource, namespace: str, name: str, *, subresource: str = "") -> Json | None:
        """An object, or None if it or its resource does not exist."""
        return await self._send("GET", resource.path(namespace, name, subresource), absent_is_none=True)

    async def all(self, resource: Resource, namespace: str, *, labels: str = "", fields: str = "") -> list[Json]:
        """The objects in a namespace that match a label and a field selector; none if the resource does not exist."""
        query = [(name, value) for name, value in (("labelSelector", labels), ("fieldSelector", fields)) if value]
        found = await self._send("GET", resource.path(namespace), query=query, absent_is_none=True)
        whole = {"apiVersion": resource.api_version, "kind": resource.kind}  # which the items of a list leave out
        return [whole | item for item in found["items"]] if found else []

    async def apply(
        self,
        resource: Resource,
        manifest: Json,
        *,
        subresource: str = "",
        manager: str = MANAGER,
        unchanged_since: Json | None = None,
    ) -> Json:
        """Server-side apply: set the given fields and own them from then on.

        With `unchanged_since`, the object as it was read: `ObjectChanged` if somebody has changed it since. If it was
        deleted since, it is created again.
        """
        metadata = manifest["metadata"]
        if unchanged_since is not None:
            version = {"resourceVersion": unchanged_since["metadata"]["resourceVersion"]}
            manifest = manifest | {"metadata": metadata | version}
        path = resource.path(metadata.get("namespace", ""), metadata["name"], subresource)
        return await self._write("PATCH", resource, path, manifest, content_type=_APPLY, manager=manager)

    async def apply_status(self, resource: Resource, owner: Json, status: Json) -> Json:
        """Write the status of a custom resource."""
        metadata = {"name": owner["metadata"]["name"], "namespace": owner["metadata"]["namespace"]}
        manifest = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "status": status}
        return await self.apply(resource, manifest, subresource="status")

    async def scale(self, resource: Resource, scale: Json, replicas: int) -> Json:
        """Set a size, provided that nobody changed the object since its scale was read."""
        metadata = scale["metadata"]
        change = {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "spec": {"replicas": replicas}}
        return await self.amend(resource, metadata["namespace"], metadata["name"], change, subresource="scale")

    async def amend(
        self, resource: Resource, namespace: str, name: str, change: Json, *, subresource: str = ""
    ) -> Json:
        """Change the given fields by a merge patch, whoever owns them."""
        path = resource.path(namespace, name, subresource)
        return await self._write("PATCH", resource, path, change, content_type=_MERGE_PATCH)

    async def delete(self, resource: Resource, namespace: str, name: str) -> bool:
        """Delete an object; False if it or its resource does not exist."""
        WRITES.labels(resource=resource.plural).inc()
        return await self._send("DELETE", resource.path(namespace, name), absent_is_none=True) is not None

    async def create(self, resource: Resource, manifest: Json) -> Json:
        """Create an object; `ObjectChanged` if its name is taken."""
        return await self._write("POST", resource, resource.path(manifest["metadata"]["namespace"]), manifest)

    async def replace(self, resource: Resource, manifest: Json, *, manager: str = MANAGER) -> Json:
        """Replace an object, provided that it still has the manifest's `resourceVersion`."""
        path = resource.path(manifest["metadata"]["namespace"], manifest["metadata"]["name"])
        return await self._write("PUT", resource, path, manifest, manager=manager)

    async def may(self, *, verb: str, group: str, resource: str, subresource: str, namespace: str) -> bool:
        """Whether this process has a permission (SelfSubjectAccessReview)."""
        asked = {"verb": verb, "group": group, "resource": resource, "subresource": subresource, "namespace": namespace}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {name: value for name, value in asked.items() if value}},
        }
        answer = await self._send("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body=review)
        return bool(answer and answer["status"]["allowed"])

    async def serves(self, resource: Resource) -> bool:
        """Whether the API server serves a resource; for a custom one, whether its definition is installed."""
        found = await self._send("GET", f"/apis/{resource.group}/{resource.version}", absent_is_none=True)
        return found is not None and any(entry["name"] == resource.plural for entry in found["resources"])

    async def check(self) -> None:
        """Health check: the API server answers."""
        await self._send("GET", "/version")

    async def _write(
        self,
        method: str,
        resource: Resource,
        path: str,
        body: Json,
        *,
        content_type: str = _JSON,
        manager: str = MANAGER,
    ) -> Json:
        WRITES.labels(resource=resource.plural).inc()
        query = [("fieldManager", manager), *([("force", "true")] if content_type == _APPLY else [])]
        return await self._send(method, path, body=body, query=query, content_type=content_type) or {}

    async def _send(
        self,
        method: str,
        path: str,
        *,
        body: Json | None = None,
        query: list[tuple[str, str]] | None = None,
        content_type: str = _JSON,
        absent_is_none: bool = False,
    ) -> Json | None:
        try:
            request = await self._api.param_serialize(
                method,
                path,
                query_params=query or [],
                header_params={"Accept": _JSON, "Content-Type": content_type},
                body=body,
                auth_settings=["BearerToken"],
            )
            response = await self._api.call_api(*request, _request_timeout=_TIMEOUT)
            text = await response.read()  # type: ignore[no-untyped-call]  # generated code
        except (aiohttp.ClientError, OSError, TimeoutError) as lost:
            raise ClusterRefused(f"{method} {path}: {in_words(lost)}") from lost
        if response.status == _NOT_FOUND and absent_is_none:
            return None
        if response.status >= 400:
            refusal = _REFUSALS.get(response.status, ClusterRefused)
            raise refusal(f"{method} {path}: {response.status} {_message(text)}")
        found: Json = json.loads(text)
        return found


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return "no reason given"


async def open_api(*, url: str = "") -> kubernetes.ApiClient:
    """A client that signs in by the pod's service account or else by the kubeconfig; for a `url`, without sign-in.

    Raises:
        ClusterRefused: There is no usable service account or kubeconfig.
    """
    configuration = kubernetes.Configuration()
    try:
        if url:
            configuration.host = url
        elif "KUBERNETES_SERVICE_HOST" in os.environ:
            kubernetes_config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]  # bare
        else:
            await kubernetes_config.load_kube_config(  # type: ignore[no-untyped-call]  # bare
                config_file=os.environ.get("KUBECONFIG"), client_configuration=configuration
            )
    except kubernetes_config.ConfigException as wrong:
        raise ClusterRefused(f"no way to sign in: {wrong}") from wrong
    return kubernetes.ApiClient(configuration)
