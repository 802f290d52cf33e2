"""Requests to an API server in one namespace, as a person makes them with `kubectl`."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

Json = dict[str, Any]
GROUP_VERSION = "taskbell.dev/v1alpha1"
_TIMEOUT = aiohttp.ClientTimeout(total=30)


class RequestRefused(Exception):
    """The API server answered with an error status; the text holds its message."""

    def __init__(self, status: int, answer: Json) -> None:
        super().__init__(f"{status} {answer.get('reason')}: {answer.get('message')}")
        self.status = status
        self.answer = answer


@dataclass(frozen=True, slots=True)
class ApiServer:
    """The address of an API server, and how to sign in.

    Attributes:
        token: Bearer token; empty sends none.
        trust: For HTTPS: the trusted authority.
        certified: `trust` with a client certificate, if that is the administrator's way to sign in. A request of
            somebody else must not show it: a certificate wins over a token.
        collects_garbage: Whether objects are deleted with their owner, which the controller manager does.
        runs_deployments: Whether Deployments get pods, which the controller manager does, too.
    """

    url: str
    token: str = ""
    trust: ssl.SSLContext | None = None
    certified: ssl.SSLContext | None = None
    collects_garbage: bool = True
    runs_deployments: bool = False

    def headers(self, token: str = "") -> dict[str, str]:
        """The header that signs in, with another token if one is given."""
        bearer = token or self.token
        return {"Authorization": f"Bearer {bearer}"} if bearer else {}

    def tls(self, token: str = "") -> ssl.SSLContext | bool:
        """How a request connects: with the administrator's certificate only if no other token is given."""
        return (self.trust if token else self.certified or self.trust) or True


@dataclass(slots=True)
class Kubectl:
    """Requests by an administrator. Paths are those of the API; `at` makes them for the namespace."""

    server: ApiServer
    namespace: str
    _http: aiohttp.ClientSession = field(repr=False)

    @classmethod
    @asynccontextmanager
    async def open(cls, server: ApiServer, namespace: str) -> AsyncIterator[Kubectl]:
        """A client for the length of the block."""
        async with aiohttp.ClientSession(server.url, timeout=_TIMEOUT) as http:
            yield cls(server, namespace, http)

    def at(self, plural: str, name: str = "", subresource: str = "", *, group: str = GROUP_VERSION) -> str:
        """The path of an object or a collection in the namespace. `group` is empty for the core's kinds."""
        root = f"/apis/{group}" if group else "/api/v1"
        return "/".join(filter(None, (root, "namespaces", self.namespace, plural, name, subresource)))

    async def stream(
        self, method: str, path: str, body: Any = None, *, kind: str = "application/json", token: str = "", **query: str
    ) -> aiohttp.ClientResponse:
        """An answer that the caller reads, such as a watch. `token` signs in as somebody else."""
        headers = {"Accept": "application/json", "Content-Type": kind, **self.server.headers(token)}
        data = None if body is None else json.dumps(body)
        tls = self.server.tls(token)
        return await self._http.request(method, path, data=data, params=query, headers=headers, ssl=tls)

    async def send(
        self, method: str, path: str, body: Any = None, *, kind: str = "application/json", token: str = "", **query: str
    ) -> tuple[int, Json]:
        """Status and body of an answer."""
        async with await self.stream(method, path, body, kind=kind, token=token, **query) as response:
            if response.content_type == "text/plain":  # where no group is served
                return response.status, {"message": await response.text()}
            return response.status, await response.json(content_type=None)

    async def must(self, method: str, path: str, body: Any = None, **how: str) -> Json:
        """The answer's body.

        Raises:
            RequestRefused: The status is not a 2xx.
        """
        status, answer = await self.send(method, path, body, **how)
        if not 200 <= status < 300:
            raise RequestRefused(status, answer)
        return answer

    async def get(self, path: str) -> Json | None:
        """An object, or None where there is none."""
        status, answer = await self.send("GET", path)
        if status == 404:
            return None
        if status != 200:
            raise RequestRefused(status, answer)
        return answer

    async def all(self, plural: str, *, group: str = GROUP_VERSION) -> list[Json]:
        """All objects of a kind in the namespace."""
        return list((await self.must("GET", self.at(plural, group=group)))["items"])

    async def apply(
        self,
        plural: str,
        name: str,
        body: Json,
        *,
        manager: str,
        force: bool = False,
        subresource: str = "",
        group: str = GROUP_VERSION,
    ) -> tuple[int, Json]:
        """Server-side apply."""
        path = self.at(plural, name, subresource, group=group)
        query = {"fieldManager": manager, "force": "true" if force else "false"}
        return await self.send("PATCH", path, body, kind="application/apply-patch+yaml", **query)

    async def merge(self, path: str, body: Json) -> tuple[int, Json]:
        """Merge patch (RFC 7396)."""
        return await self.send("PATCH", path, body, kind="application/merge-patch+json", fieldManager="person")

    async def must_merge(self, path: str, body: Json) -> Json:
        """Merge patch; returns the object.

        Raises:
            RequestRefused: The status is not a 2xx.
        """
        return await self.must("PATCH", path, body, kind="application/merge-patch+json", fieldManager="person")

    async def install(self, manifest: Json) -> None:
        """`kubectl apply` of a manifest; an object of a namespaced kind goes to the namespace."""
        group, _, version = manifest["apiVersion"].rpartition("/")
        plural = _plural(manifest["kind"])
        name = manifest["metadata"]["name"]
        path = self.at(plural, name, group=f"{group}/{version}" if group else "")
        if manifest["kind"] in _CLUSTER_WIDE:
            path = f"/apis/{group}/{version}/{plural}/{name}" if group else f"/api/{version}/{plural}/{name}"
        query = {"kind": "application/apply-patch+yaml", "fieldManager": "kubectl", "force": "true"}
        await self.must("PATCH", path, manifest, **query)


_CLUSTER_WIDE = {"CustomResourceDefinition", "Namespace", "ClusterRole", "ClusterRoleBinding"}


def _plural(kind: str) -> str:
    """The plural of the kinds that tests install."""
    return kind.lower() + "s"
