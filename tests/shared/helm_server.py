"""The emulated API server with what Helm needs of one."""

import base64

from kubernetes_emulator.server import KubernetesServer
from kubernetes_emulator.store import Kind, Refused

FURTHER = (
    Kind(group="", version="v1", plural="services", kind="Service"),
    Kind(group="apps", version="v1", plural="statefulsets", kind="StatefulSet"),
    Kind(group="policy", version="v1", plural="poddisruptionbudgets", kind="PodDisruptionBudget"),
    Kind(group="networking.k8s.io", version="v1", plural="networkpolicies", kind="NetworkPolicy"),
)
"""Kinds of the chart that the operator does not use."""


class HelmServer(KubernetesServer):
    """The emulated API server with what Helm also needs: server-side validation, and `stringData` of Secrets."""

    __slots__ = ()

    def __init__(self):
        super().__init__()
        for kind in FURTHER:
            self.kinds[kind.group, kind.plural] = kind

    def _discovery(self, path):
        if path == "/openapi/v3":
            versions = {(kind.group, kind.version) for kind in self.kinds.values()}
            names = {f"apis/{group}/{version}" if group else f"api/{version}" for group, version in versions}
            return {"paths": {name: {"serverRelativeURL": f"/openapi/v3/{name}"} for name in names}}
        if path.startswith("/openapi/v3/"):
            served = [kind for kind in self.kinds.values() if path.endswith(f"/{kind.group or 'api'}/{kind.version}")]
            return {"openapi": "3.0.0", "info": {"title": "", "version": ""}, "paths": dict(map(self._patch, served))}
        return super()._discovery(path)

    @staticmethod
    def _patch(kind):
        words = {"group": kind.group, "version": kind.version, "kind": kind.kind}
        parameters = [{"name": "fieldValidation", "in": "query"}]
        patch = {"parameters": parameters, "x-kubernetes-group-version-kind": words, "responses": {}}
        return f"/{kind.plural}", {"patch": patch}

    async def _watch(self, request, target):
        if "sendInitialEvents" in request.query:
            raise Refused(422, "Invalid", "this server streams no lists")
        return await super()._watch(request, target)

    def _dispatch(self, request, path, body, user):
        if body and "stringData" in body:
            given = {key: base64.b64encode(text.encode()).decode() for key, text in body.pop("stringData").items()}
            body["data"] = body.get("data", {}) | given
        status, answer = super()._dispatch(request, path, body, user)
        if not request.headers.get("User-Agent", "").startswith("Helm/"):
            return status, answer
        metadata = {name: value for name, value in answer.get("metadata", {}).items() if name != "managedFields"}
        return status, {**answer, "metadata": metadata}  # field ownership has its own short form there
