"""An emulated Kubernetes API server on a port of 127.0.0.1, with what Kopf and the operator need.

It keeps `resourceVersion`, `uid`, `generation` and field owners, serves server-side apply, merge patches, the
subresources `status` and `scale`, label and field selectors, watches, role-based access of service accounts, the
rules of custom resources, and collects garbage at once. `tests/operator/conformance` compares it with a real server.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from kubernetes_emulator.access import PREFIX, Access, Attempt
from kubernetes_emulator.fields import Json, find, patched
from kubernetes_emulator.kinds import (
    BUILT_IN,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CRD,
    ROLE,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
    kind_of_crd,
)
from kubernetes_emulator.rules import broken_defaults
from kubernetes_emulator.store import Change, Kind, Refused, Store

_APPLY = "application/apply-patch+yaml"
_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(slots=True)
class _Target:
    kind: Kind
    namespace: str | None
    name: str | None = None
    subresource: str = ""


@dataclass(slots=True)
class KubernetesServer:
    """The server's state and handles for tests. `url` is where it listens once it runs."""

    store: Store = field(default_factory=Store)
    url: str = ""
    kinds: dict[tuple[str, str], Kind] = field(default_factory=lambda: {(k.group, k.plural): k for k in BUILT_IN})
    _watches: set[asyncio.Task[Any]] = field(default_factory=set)
    _tick: asyncio.Event = field(default_factory=asyncio.Event)

    def install(self, crd: Json) -> None:
        """Serve a custom resource definition, as a cluster does after `kubectl apply`; 422 if it is invalid."""
        kind = kind_of_crd(crd)
        if found := [*broken_defaults(kind.schema or {})]:
            raise Refused(422, "Invalid", f"{crd['metadata']['name']} is invalid: {'; '.join(found)}")
        self.kinds[kind.group, kind.plural] = kind

    def _uninstall(self, name: str) -> None:
        """Serve a custom kind no more, if this is the name of its definition: its objects and watches end."""
        plural, _, group = name.partition(".")
        kind = self.kinds.pop((group, plural), None)
        if kind is not None:
            for body in [*self.store.all(kind)]:
                self.store.delete(kind, body["metadata"]["namespace"], body["metadata"]["name"])
            for task in [task for task in self._watches if task.get_name().endswith(f"/{plural}")]:
                task.cancel()

    def kind(self, plural: str, group: str | None = None) -> Kind:
        """A served kind by its plural, and its group where two share the plural."""
        return next(k for k in self.kinds.values() if k.plural == plural and group in {None, k.group})

    async def wake(self) -> None:
        """Let watches see changes that a test makes in the store directly."""
        self._tick.set()
        self._tick = asyncio.Event()
        await asyncio.sleep(0)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[KubernetesServer]:
        """Serve for the length of the block."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            for task in [*self._watches]:
                task.cancel()
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = "/" + request.match_info["path"].strip("/")
        text = await request.text()
        body = json.loads(text) if text else None
        try:
            user = self._user(request)
            if request.query.get("watch") in {"true", "1"} and request.method == "GET":
                target = self._target(path)
                self._permit(user, "watch", target)
                return await self._watch(request, target)
            status, answer = self._dispatch(request, path, body, user)
        except Refused as refused:
            status, answer = refused.code, _status(refused)
        if request.method != "GET":
            await self.wake()
        return web.json_response(answer, status=status)

    def _user(self, request: web.Request) -> str:
        """The service account of a request; empty for an administrator."""
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        namespace, _, name = token.removeprefix(PREFIX).partition(":")
        if token and not (token.startswith(PREFIX) and self.store.exists(SERVICE_ACCOUNT, namespace, name)):
            raise Refused(401, "Unauthorized", "Unauthorized")
        return token

    def _access(self) -> Access:
        roles = (*self.store.all(ROLE), *self.store.all(CLUSTER_ROLE))
        return Access(roles=roles, bindings=(*self.store.all(ROLE_BINDING), *self.store.all(CLUSTER_ROLE_BINDING)))

    def _permit(self, user: str, verb: str, target: _Target) -> None:
        attempt = Attempt(
            verb=verb,
            group=target.kind.group,
            resource="/".join(filter(None, (target.kind.plural, target.subresource))),
            namespace=target.namespace or "",
            name=target.name or "",
        )
        if user and not self._access().allows(user, attempt):
            raise Refused(403, "Forbidden", f'{target.kind.plural} is forbidden: User "{user}" {attempt}')

    def _dispatch(self, request: web.Request, path: str, body: Any, user: str) -> tuple[int, Json]:
        if (found := self._discovery(path)) is not None:
            return 200, found
        if path == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews":
            return 201, self._review(body, user)
        target = self._target(path)
        if target.name is None:
            self._permit(user, "create" if request.method == "POST" else "list", target)
            return self._collection(request, target, body)
        self._permit(user, _VERBS[request.method], target)
        applies = request.content_type == _APPLY
        if applies and not self.store.exists(target.kind, target.namespace or "", target.name):
            self._permit(user, "create", target)
        return self._single(request, target, body)

    def _discovery(self, path: str) -> Json | None:
        if path == "/version":
            return {"major": "1", "minor": "36", "gitVersion": "v1.36.0-emulated"}
        if path == "/api":
            return {"kind": "APIVersions", "versions": ["v1"]}
        groups = {kind.group: kind.version for kind in self.kinds.values() if kind.group}
        if path == "/apis":
            versions = {group: {"groupVersion": f"{group}/{v}", "version": v} for group, v in groups.items()}
            listed = [{"name": g, "versions": [v], "preferredVersion": v} for g, v in versions.items()]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}
        parts = path.strip("/").split("/")
        if parts == ["api", "v1"]:
            parts = ["apis", "", "v1"]
        if len(parts) == 3 and parts[0] == "apis" and (parts[1] in groups or not parts[1]):
            found = [kind for kind in self.kinds.values() if kind.group == parts[1]]
            return {"kind": "APIResourceList", "apiVersion": "v1", "resources": [*_resources(found)]}
        return None

    def _review(self, body: Json, user: str) -> Json:
        asked = body["spec"]["resourceAttributes"]
        attempt = Attempt(
            verb=asked["verb"],
            group=asked.get("group", ""),
            resource="/".join(filter(None, (asked["resource"], asked.get("subresource")))),
            namespace=asked.get("namespace", ""),
            name=asked.get("name", ""),
        )
        return {**body, "status": {"allowed": not user or self._access().allows(user, attempt)}}

    def _target(self, path: str) -> _Target:
        parts = path.strip("/").split("/")
        group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1] if len(parts) > 1 else "", parts[3:])
        namespace = None
        if len(rest) > 2 and rest[0] == "namespaces":
            namespace, rest = rest[1], rest[2:]
        kind = self.kinds.get((group, rest[0])) if rest else None
        if kind is None:
            raise Refused(404, "NotFound", "the server could not find the requested resource")
        return _Target(kind, namespace, *rest[1:3])

    def _collection(self, request: web.Request, target: _Target, body: Any) -> tuple[int, Json]:
        kind = target.kind
        if request.method == "POST":
            if kind is CRD:
                self.install(body)
            made = self.store.create(kind, target.namespace or "", body, manager=_manager(request))
            return 201, self._established(made) if kind is CRD else made
        if request.method != "GET":
            raise Refused(405, "MethodNotAllowed", "not on a collection")
        items = [item for item in self.store.all(kind, target.namespace) if _selected(request, item)]
        metadata = {"resourceVersion": str(self.store.version)}
        return 200, {"kind": kind.kind + "List", "apiVersion": kind.api_version, "metadata": metadata, "items": items}

    def _single(self, request: web.Request, target: _Target, body: Any) -> tuple[int, Json]:
        kind, namespace, name = target.kind, target.namespace or "", target.name or ""
        method = request.method
        if target.subresource == "scale":
            return 200, self._scale(request, target, body)
        if target.subresource == "token" and kind is SERVICE_ACCOUNT:
            self.store.get(kind, namespace, name)
            return 201, {**body, "status": {"token": f"{PREFIX}{namespace}:{name}"}}
        if method == "GET":
            return 200, self.store.get(kind, namespace, name)
        if method == "DELETE":
            self._uninstall(name if kind is CRD else "")
            orphan = (body or {}).get("propagationPolicy") == "Orphan"
            return 200, self.store.delete(kind, namespace, name, orphan=orphan)
        manager, subresource = _manager(request), target.subresource
        if method == "PATCH" and request.content_type == _APPLY:
            if "fieldManager" not in request.query:
                raise Refused(400, "BadRequest", "fieldManager is required for apply patch")
            if kind is CRD:
                self.install(body)
            existed, force = self.store.exists(kind, namespace, name), request.query.get("force") == "true"
            applied = self.store.apply(
                kind, namespace, name, body, manager=manager, force=force, subresource=subresource
            )
            return (200 if existed else 201), self._established(applied) if kind is CRD else applied
        if method == "PATCH" and request.content_type == "application/merge-patch+json":
            body = patched(self.store.get(kind, namespace, name), body)
        elif method != "PUT":
            raise Refused(415, "UnsupportedMediaType", f"{method} with {request.content_type}")
        return 200, self.store.update(kind, namespace, name, body, manager=manager, subresource=subresource)

    def _established(self, crd: Json) -> Json:
        """A definition with the status of one that is served."""
        served = {"type": "Established", "status": "True", "reason": "InitialNamesAccepted"}
        body = {**crd, "status": {"conditions": [served]}}
        return self.store.update(CRD, "", crd["metadata"]["name"], body, manager="server", subresource="status")

    def _scale(self, request: web.Request, target: _Target, body: Any) -> Json:
        kind, namespace, name = target.kind, target.namespace or "", target.name or ""
        if kind.replicas_path is None:
            raise Refused(404, "NotFound", f"{kind.plural} have no scale")
        found = self.store.get(kind, namespace, name)
        if request.method != "GET":
            wanted = patched(_scale_of(kind, found), body) if request.method == "PATCH" else body
            changed: Any = wanted["spec"].get("replicas", 0)
            for step in reversed(kind.replicas_path):
                changed = {step: changed}
            version = wanted["metadata"].get("resourceVersion")
            changed["metadata"] = {"resourceVersion": version}
            found = self.store.update(kind, namespace, name, patched(found, changed), manager=_manager(request))
        return _scale_of(kind, found)

    async def _watch(self, request: web.Request, target: _Target) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        seen = int(request.query.get("resourceVersion") or 0)
        task = asyncio.create_task(self._follow(request, response, target, seen), name=f"watch /{target.kind.plural}")
        self._watches.add(task)
        try:
            async with asyncio.timeout(float(request.query.get("timeoutSeconds", 3600))):
                await task
        except (TimeoutError, ConnectionError):
            pass
        except asyncio.CancelledError:
            if request.transport is not None:
                request.transport.abort()
        finally:
            self._watches.discard(task)
        return response

    async def _follow(self, request: web.Request, response: web.StreamResponse, target: _Target, seen: int) -> None:
        async def send(type_: str, body: Json) -> None:
            await response.write(json.dumps({"type": type_, "object": body}).encode() + b"\n")

        if not seen:
            for item in self.store.all(target.kind, target.namespace):
                await send("ADDED", item)
            seen = self.store.version
        while True:
            tick = self._tick
            for change in [change for change in self.store.changes if change.version > seen]:
                seen = change.version
                if _concerns(request, target, change):
                    await send(change.type, change.body)
            await tick.wait()


def _concerns(request: web.Request, target: _Target, change: Change) -> bool:
    place = change.body["metadata"].get("namespace")
    same = (change.kind.group, change.kind.plural) == (target.kind.group, target.kind.plural)
    return same and target.namespace in {None, place} and _selected(request, change.body)


def _resources(kinds: list[Kind]) -> list[Json]:
    verbs = ["create", "delete", "get", "list", "patch", "update", "watch"]
    found: list[Json] = []
    for kind in kinds:
        common = {"kind": kind.kind, "namespaced": kind.namespaced, "singularName": kind.kind.lower()}
        found.append({"name": kind.plural, "verbs": verbs, **common})
        if kind.status:
            found.append({"name": f"{kind.plural}/status", "verbs": ["get", "patch", "update"], **common})
    return found


def _selected(request: web.Request, body: Json) -> bool:
    """Whether an object matches the label selector (`a=b`, `a!=b`, `a`) and the field selector of a request."""
    labels = body["metadata"].get("labels", {})
    for term in filter(None, request.query.get("labelSelector", "").split(",")):
        name, differs, value = term.partition("!=") if "!=" in term else term.partition("=")
        if differs == "" and name not in labels:
            return False
        if differs and (labels.get(name) == value.removeprefix("=")) == (differs == "!="):
            return False
    fields = filter(None, request.query.get("fieldSelector", "").split(","))
    return all(
        str(find(body, tuple(name.split(".")))) == value for name, _, value in (term.partition("=") for term in fields)
    )


def _manager(request: web.Request) -> str:
    return request.query.get("fieldManager") or request.headers.get("User-Agent", "unknown").split("/")[0]


def _scale_of(kind: Kind, body: Json) -> Json:
    labels = find(body, ("spec", "selector", "matchLabels")) or {}
    selector = find(body, kind.selector_path) if kind.selector_path else ",".join(f"{k}={v}" for k, v in labels.items())
    metadata = {key: body["metadata"][key] for key in ("name", "namespace", "uid", "resourceVersion")}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": {"replicas": find(body, kind.replicas_path or ()) or 0},
        "status": {"replicas": find(body, kind.status_replicas_path) or 0, "selector": selector or ""},
    }


def _status(refused: Refused) -> Json:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": refused.reason,
        "message": str(refused),
        "code": refused.code,
    }
